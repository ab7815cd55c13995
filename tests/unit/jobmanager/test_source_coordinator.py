"""An enumerator runs on the job's thread; what it hands out is sent in order; its failure names the source."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from plans import vertex

from millstream.connectors.sequence import NumberSequenceSource
from millstream.core.errors import ConfigError, UserCodeError
from millstream.core.source_events import ADD_SPLITS, split_number
from millstream.jobmanager.coordinators.source import SourceCoordinator
from millstream.proto.v1 import job_graph_pb2

Sent = tuple[str, int, str, str, Any]
LOG: list[str] = []


class Enumerator:
    """Deals three splits; ``fails`` names the method that raises."""

    def __init__(self, context: Any, fails: str, error: type[Exception]) -> None:
        self.context = context
        self.fails = fails
        self.error = error
        self.left = ["s1", "s2", "s3"]

    def note(self, method: str) -> None:
        LOG.append(f"{method} on {threading.current_thread().name}")
        if self.fails == method:
            raise self.error(f"no {method}")

    def start(self) -> None:
        self.note("start")
        self.context.assign([f"first of {self.context.parallelism}"], 0)

    def handle_split_request(self, subtask: int) -> None:
        self.note("request")
        if self.left:
            self.context.assign([self.left.pop(0)], subtask)
        else:
            self.context.no_more_splits(subtask)

    def close(self) -> None:
        self.note("close")


class Source:
    def __init__(self, fails: str = "", error: type[Exception] = ValueError) -> None:
        self.fails = fails
        self.error = error

    def create_enumerator(self, context: Any) -> Enumerator:
        if self.fails == "create":
            raise self.error("no create")
        return Enumerator(context, self.fails, self.error)


def content(kind: str, payload: bytes) -> Any:
    pickled = split_number(payload)[1] if kind == ADD_SPLITS else payload
    return cloudpickle.loads(pickled) if pickled else None


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    LOG.clear()
    with ThreadPoolExecutor(1, thread_name_prefix="job") as made:
        yield made


def with_coordinator(
    blob: Path, executor: ThreadPoolExecutor, use: Callable[[SourceCoordinator], Awaitable[None]]
) -> list[Sent]:
    """What ``use`` makes the coordinator of a source with two readers send."""
    sent: list[Sent] = []

    async def send(vertex_id: str, index: int, operator_id: str, kind: str, payload: bytes) -> None:
        sent.append((vertex_id, index, operator_id, kind, content(kind, payload)))

    async def run() -> None:
        described = vertex("v1", 2, name="numbers", operators=[job_graph_pb2.OperatorPlan(operator_id="op-1")])
        coordinator = SourceCoordinator(described, blob, executor, send)
        assert not coordinator.is_ready()
        async with asyncio.timeout(30):
            await use(coordinator)
        coordinator.close()

    asyncio.run(run())
    return sent


def blob_of(tmp_path: Path, source: Source) -> Path:
    path = tmp_path / "blob"
    path.write_bytes(cloudpickle.dumps(source))
    return path


def test_splits_go_to_who_asked_until_there_are_none(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    async def use(coordinator: SourceCoordinator) -> None:
        await coordinator.start()
        await coordinator.release()
        assert coordinator.is_ready()
        for subtask in (1, 0, 1, 0):
            await coordinator.request_split(subtask)

    assert with_coordinator(blob_of(tmp_path, Source()), executor, use) == [
        ("v1", 0, "op-1", "add_splits", ["first of 2"]),
        ("v1", 1, "op-1", "add_splits", ["s1"]),
        ("v1", 0, "op-1", "add_splits", ["s2"]),
        ("v1", 1, "op-1", "add_splits", ["s3"]),
        ("v1", 0, "op-1", "no_more_splits", None),
    ]
    executor.shutdown(wait=True)
    assert ["start on job_0", *["request on job_0"] * 4, "close on job_0"] == LOG


def test_requests_at_the_same_time_each_get_a_split_of_their_own(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    async def use(coordinator: SourceCoordinator) -> None:
        await coordinator.start()
        await coordinator.release()
        await asyncio.gather(*(coordinator.request_split(subtask) for subtask in (0, 1, 0)))

    sent = with_coordinator(blob_of(tmp_path, Source()), executor, use)
    assert sorted(payload[0] for *_, payload in sent) == ["first of 2", "s1", "s2", "s3"]
    assert sorted(index for _, index, *_ in sent) == [0, 0, 0, 1]


@pytest.mark.parametrize("method", ["create", "start", "request"])
def test_a_failing_enumerator_is_the_users_and_names_the_source(
    tmp_path: Path, executor: ThreadPoolExecutor, method: str
) -> None:
    async def use(coordinator: SourceCoordinator) -> None:
        with pytest.raises(UserCodeError, match=f"enumerator of source 'numbers' failed: ValueError: no {method}") as e:
            await coordinator.start()
            await coordinator.request_split(0)
        assert e.value.place.operator == "numbers"
        assert coordinator.is_ready() == (method == "request")

    with_coordinator(blob_of(tmp_path, Source(method)), executor, use)


def test_an_enumerator_that_stops_an_iteration_ends_the_wait(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    """No future takes this exception: whoever awaited it waited for ever."""

    async def use(coordinator: SourceCoordinator) -> None:
        with pytest.raises(UserCodeError, match="enumerator of source 'numbers' failed: RuntimeError: StopIteration"):
            await coordinator.start()

    with_coordinator(blob_of(tmp_path, Source("start", StopIteration)), executor, use)


def test_an_error_of_millstream_passes_unchanged(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    async def use(coordinator: SourceCoordinator) -> None:
        with pytest.raises(ConfigError, match=r"^no start$"):
            await coordinator.start()

    with_coordinator(blob_of(tmp_path, Source("start", ConfigError)), executor, use)


def test_a_blob_that_does_not_load_is_reported(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    async def use(coordinator: SourceCoordinator) -> None:
        with pytest.raises(UserCodeError, match="enumerator of source 'numbers' failed: UnpicklingError"):
            await coordinator.start()
        await coordinator.release()

    (tmp_path / "blob").write_bytes(b"\x00 no pickle")
    with_coordinator(tmp_path / "blob", executor, use)


def test_what_is_handed_out_after_a_snapshot_waits(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    """Otherwise a split would be both in the enumerator's state and in a reader's, and be read twice."""
    states: list[bytes] = []

    async def first(coordinator: SourceCoordinator) -> None:
        await coordinator.start()
        await coordinator.release()
        await coordinator.request_split(0)
        states.append(await coordinator.snapshot())
        await coordinator.request_split(1)
        assert len(sent) == 1, "held back"
        await coordinator.release()
        assert len(sent) == 2
        await coordinator.request_split(0)

    path = blob_of(tmp_path, NumberSequenceSource(0, 99))  # type: ignore[arg-type]
    sent: list[Any] = []

    async def send(vertex_id: str, index: int, operator_id: str, kind: str, payload: bytes) -> None:
        sent.append((index, kind, content(kind, payload)))

    def run(use: Callable[[SourceCoordinator], Awaitable[None]], restored: bytes | None) -> None:
        described = vertex("v1", 2, name="numbers", operators=[job_graph_pb2.OperatorPlan(operator_id="op-1")])

        async def body() -> None:
            async with asyncio.timeout(30):
                await use(SourceCoordinator(described, path, executor, send, restored))

        asyncio.run(body())

    run(first, None)
    assert [(index, kind) for index, kind, _ in sent] == [(0, "add_splits"), (1, "add_splits"), (0, "no_more_splits")]
    second_split = sent[1][2]
    sent.clear()

    async def again(coordinator: SourceCoordinator) -> None:
        await coordinator.start()
        await coordinator.release()
        await coordinator.request_split(1)
        await coordinator.request_split(1)

    run(again, states[0])
    assert sent == [(1, "add_splits", second_split), (1, "no_more_splits", None)]


def test_what_a_closed_enumerator_still_hands_out_goes_to_nobody(tmp_path: Path, executor: ThreadPoolExecutor) -> None:
    """The subtasks that asked are gone, and those of the next attempt get splits of their own enumerator."""

    async def use(coordinator: SourceCoordinator) -> None:
        await coordinator.start()
        await coordinator.release()
        await coordinator.snapshot()
        await coordinator.request_split(0)
        coordinator.close()
        await coordinator.release()
        await coordinator.request_split(1)

    class Kept(Source):
        def create_enumerator(self, context: Any) -> Enumerator:
            enumerator = super().create_enumerator(context)
            enumerator.snapshot_state = lambda: list(enumerator.left)  # type: ignore[attr-defined]
            return enumerator

    assert with_coordinator(blob_of(tmp_path, Kept()), executor, use) == [
        ("v1", 0, "op-1", "add_splits", ["first of 2"])
    ]
