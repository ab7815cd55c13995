"""No split is lost and none is read twice, whenever the JobManager dies that hands them out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import vertex

from millstream.core.api.source import EnumeratorContext, SplitEnumerator
from millstream.core.errors import ExternalError, FencedError
from millstream.core.source_events import ADD_SPLITS, ASK_AGAIN, NO_MORE_SPLITS, split_number
from millstream.jobmanager.coordinators import source as module
from millstream.jobmanager.coordinators.hand_outs import APPENDED_MAX, HandOut, HandOuts
from millstream.jobmanager.coordinators.source import SourceCoordinator
from millstream.proto.v1 import job_graph_pb2, job_store_pb2

READERS = 3
SPLITS = 12
VERTEX = vertex("v1", READERS, name="numbers", operators=[job_graph_pb2.OperatorPlan(operator_id="op-1")])


class Enumerator(SplitEnumerator[int]):
    """Gives one split to the first reader at the start, and then one to each that asks."""

    takes_out = True

    def __init__(self, context: EnumeratorContext, left: list[int], fresh: bool) -> None:
        self._context, self._left, self._fresh = context, list(left), fresh

    def start(self) -> None:
        if self._fresh:
            self._context.assign([self._left.pop(0)], 0)

    def handle_split_request(self, subtask: int) -> None:
        if self._left:
            self._context.assign([self._left.pop(0)], subtask)
        else:
            self._context.no_more_splits(subtask)

    def take_out(self, splits: list[int]) -> None:
        self._left = [split for split in self._left if split not in splits]

    def snapshot_state(self) -> list[int]:
        return list(self._left)


class Copied(Enumerator):
    """Out of which nothing can be taken."""

    takes_out = False


class Numbers:
    """As much of a source as its coordinator needs."""

    def __init__(self, kind: type[Enumerator]) -> None:
        self._kind = kind

    def create_enumerator(self, context: EnumeratorContext) -> Enumerator:
        return self._kind(context, list(range(SPLITS)), fresh=True)

    def restore_enumerator(self, context: EnumeratorContext, state: list[int]) -> Enumerator:
        return self._kind(context, state, fresh=False)


class Died(BaseException):
    """The JobManager did."""


class Reader:
    """What it has read, and whether it waits; drops what it has had, as the operator does."""

    def __init__(self) -> None:
        self.splits: list[int] = []
        self.waits = False
        self.done = False
        self._last = 0

    def receive(self, kind: str, payload: bytes) -> None:
        if kind == ADD_SPLITS:
            number, pickled = split_number(payload)
            if number > self._last:
                self._last = number
                self.splits += cloudpickle.loads(pickled)
                self.waits = False
        elif kind == NO_MORE_SPLITS:
            self.done, self.waits = True, False
        elif kind == ASK_AGAIN:
            self.waits = False


def whole(before: list[job_store_pb2.SourceJournal], journal: job_store_pb2.SourceJournal) -> Any:
    """As the job store finds it."""
    if not journal.appended:
        return journal
    (*_, base) = (record for record in before if not record.base)
    handed_out = [*base.handed_out, *journal.handed_out]
    return job_store_pb2.SourceJournal(
        attempt=journal.attempt,
        enumerator=base.enumerator,
        numbers=journal.numbers,
        unsent=journal.unsent,
        handed_out=handed_out,
        base="of an appended one",
    )


class Leader:
    """Dies at the ``lives``-th thing that others see of it: a record, or a message before or after it arrives."""

    def __init__(self, readers: list[Reader], lives: int, adopted: job_store_pb2.SourceJournal | None = None) -> None:
        self.readers = readers
        self.lives = lives
        self.journals = [] if adopted is None else [adopted]

    def keep(self, journal: job_store_pb2.SourceJournal) -> None:
        self._step()
        self.journals.append(whole(self.journals, journal))
        self._step()

    async def send(self, vertex_id: str, index: int, operator_id: str, kind: str, payload: bytes) -> None:
        self._step()
        self.readers[index].receive(kind, payload)
        self._step()

    def _step(self) -> None:
        self.lives -= 1
        if self.lives == 0:
            raise Died


@pytest.fixture(scope="module", params=[Enumerator, Copied])
def blob(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "blob"
    path.write_bytes(cloudpickle.dumps(Numbers(request.param)))
    return path


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def read_all(blob: Path, lives: list[int], order: list[int]) -> list[Reader]:
    """With one leader after the other; the last one lives on. ``order``: which reader asks next."""
    with ThreadPoolExecutor(1) as executor:
        return asyncio.run(read_all_by(executor, blob, lives, order))


async def read_all_by(executor: ThreadPoolExecutor, blob: Path, lives: list[int], order: list[int]) -> list[Reader]:
    readers, journal = [Reader() for _ in range(READERS)], None
    for life in [*lives, -1]:
        if journal is not None:
            journal.base = ""  # written again as a whole one
        leader = Leader(readers, life, journal)
        coordinator = SourceCoordinator(VERTEX, blob, executor, leader.send, None, leader.keep, 0, journal)
        try:
            if journal is None:
                await coordinator.start()
                await coordinator.release()
            else:
                await coordinator.resume()
            asked = iter(order)
            while not all(reader.done for reader in readers):
                index = next(asked, None)
                candidates = [i for i, reader in enumerate(readers) if not reader.done and not reader.waits]
                assert candidates, "all wait, and nobody will tell them anything"
                if index is None or index not in candidates:
                    index = candidates[0]
                readers[index].waits = True
                await coordinator.request_split(index)
            return readers
        except Died:
            journal = leader.journals[-1] if leader.journals else journal
            coordinator.close()
    raise AssertionError("the last leader does not die")


@settings(deadline=None, max_examples=80)
@given(
    lives=st.lists(st.integers(1, 25), max_size=5),
    order=st.lists(st.integers(0, READERS - 1), max_size=20),
)
def test_every_split_is_read_once(blob: Path, lives: list[int], order: list[int]) -> None:
    readers = read_all(blob, lives, order)
    assert sorted(split for reader in readers for split in reader.splits) == list(range(SPLITS))


def test_a_checkpoint_holds_nothing_that_was_not_sent(blob: Path, executor: ThreadPoolExecutor) -> None:
    """A message that could not be sent goes before the enumerator is copied, since the copy is without its split."""
    readers = [Reader() for _ in range(READERS)]
    fails = [False, True]

    async def send(vertex_id: str, index: int, operator_id: str, kind: str, payload: bytes) -> None:
        if fails and fails.pop(0):
            raise ExternalError("not now")
        readers[index].receive(kind, payload)

    async def run() -> None:
        coordinator = SourceCoordinator(VERTEX, blob, executor, send)
        await coordinator.start()
        await coordinator.release()
        with pytest.raises(ExternalError, match="not now"):
            await coordinator.request_split(0)
        await coordinator.snapshot()
        assert readers[0].splits == [0, 1]
        await coordinator.request_split(1)
        assert readers[1].splits == [], "held back"
        await coordinator.release()
        assert len(readers[1].splits) == 1

    asyncio.run(run())


def test_nothing_is_handed_out_while_it_cannot_be_recorded(
    blob: Path, executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RECORD_WAIT_S", 0.0)
    refusals = [0, 3]
    leader = Leader([Reader() for _ in range(READERS)], -1)

    def keep(journal: job_store_pb2.SourceJournal) -> None:
        if refusals[0]:
            refusals[0] -= 1
            assert leader.readers[0].splits == [0]
            raise ExternalError("the disk is full")
        leader.keep(journal)

    async def run() -> None:
        coordinator = SourceCoordinator(VERTEX, blob, executor, leader.send, None, keep)
        await coordinator.start()
        await coordinator.release()
        refusals[0] = 3
        await coordinator.request_split(0)
        assert leader.readers[0].splits == [0, 1] and refusals[0] == 0

        def fenced(journal: job_store_pb2.SourceJournal) -> None:
            raise FencedError("another one leads")

        coordinator._keep = fenced
        with pytest.raises(FencedError):
            await coordinator.request_split(1)
        assert leader.readers[1].splits == []

    asyncio.run(run())


def test_what_changes_nothing_is_not_recorded() -> None:
    hand_outs = HandOuts(2)
    assert hand_outs.to_keep(3, b"state") is not None
    hand_outs.add([HandOut(0, NO_MORE_SPLITS, b"")])
    assert hand_outs.to_keep(3, b"state") is None
    hand_outs.add([HandOut(1, ADD_SPLITS, b"split")])
    kept = hand_outs.to_keep(3, b"state")
    assert kept is not None and kept.attempt == 3 and list(kept.numbers) == [0, 1]
    assert [unsent.subtask for unsent in kept.unsent] == [1]
    assert hand_outs.to_keep(3, b"other") is not None
    again = HandOuts.of_journal(kept)
    assert again.to_keep(3, b"state") is None and [event.subtask for event in again.unsent] == [1]


def test_the_state_is_copied_once_in_a_while() -> None:
    hand_outs = HandOuts(1)
    assert not hand_outs.may_append()
    assert hand_outs.to_keep(0, b"state") is not None
    for number in range(APPENDED_MAX):
        hand_outs.add([HandOut(0, ADD_SPLITS, b"%d" % number)])
        assert hand_outs.may_append()
        journal = hand_outs.to_append(0)
        assert journal is not None and len(journal.handed_out) == number + 1 and not journal.enumerator
        assert hand_outs.to_append(0) is None
    hand_outs.add([HandOut(0, ADD_SPLITS, b"last")])
    assert not hand_outs.may_append()
    journal = hand_outs.to_keep(0, b"other")
    assert journal is not None and not journal.handed_out and hand_outs.may_append()
