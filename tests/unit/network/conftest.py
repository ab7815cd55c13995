"""Slots in one process: each with its own reactor and sockets, driven by hand."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream.core.clock import Clock, ManualClock
from millstream.core.elements import ArrowBatch, Element, EndOfData, ObjectBatch
from millstream.core.graph.specs import OutputPayload
from millstream.core.ids import PartitionId
from millstream.proto.v1 import job_graph_pb2, taskmanager_pb2
from millstream.taskmanager.network.environment import NetworkEnvironment, NetworkSettings
from millstream.taskmanager.network.gate import InputGate
from millstream.taskmanager.network.partition import ResultPartition
from millstream.taskmanager.network.reactor import Reactor

JOB_ID = "a" * 32
TOKEN = b"token of the job"


class Slot:
    """One slot process's data plane, without the process."""

    def __init__(self, clock: Clock, settings: NetworkSettings, unix_path: Path | None) -> None:
        self.clock = clock
        self.reactor = Reactor()
        self.network = NetworkEnvironment(
            self.reactor,
            clock,
            settings,
            host_id="host",
            unix_path=unix_path,
            tcp_host="127.0.0.1",
            log=logging.getLogger("millstream.network"),
        )
        self.network.listen()

    def turn(self) -> int:
        """What the task loop does between steps; returns how many descriptors were ready."""
        ready = self.reactor.poll(0)
        self.network.on_time(self.clock.monotonic_s())
        return ready

    def partition(
        self,
        consumers: int = 1,
        exchange: int = job_graph_pb2.EXCHANGE_FORWARD,
        producer: int = 0,
        edge: int = 0,
        buffer_timeout_ms: int = 100,
        generic_types: bool = True,
        **payload: Any,
    ) -> ResultPartition:
        message = taskmanager_pb2.OutputEdge(
            edge_id=edge, exchange=exchange, consumers=range(consumers), consumer_parallelism=consumers
        )
        return self.network.create_partition(
            PartitionId(edge, producer, 0),
            message,
            OutputPayload(edge, "operator", **payload),
            producer,
            128,
            generic_types,
            buffer_timeout_ms,
        )

    def gate(
        self,
        *producers: Slot,
        consumer: int = 0,
        edge: int = 0,
        exchange: job_graph_pb2.Exchange = job_graph_pb2.EXCHANGE_FORWARD,
    ) -> InputGate:
        channels = [
            taskmanager_pb2.ProducerChannel(producer=number, attempt=0, address=slot.network.address)
            for number, slot in enumerate(producers)
        ]
        made = taskmanager_pb2.InputEdge(edge_id=edge, input_index=0, channels=channels, exchange=exchange)
        return self.network.create_gate([made], consumer)

    def close(self) -> None:
        self.network.close()
        self.reactor.close()


class Slots:
    """Makes slots and turns them all."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.all: list[Slot] = []
        self._directory = tempfile.TemporaryDirectory()

    def new(self, *, unix: bool = True, job: bool = True, token: bytes = TOKEN, **settings: Any) -> Slot:
        path = Path(self._directory.name) / f"{len(self.all)}.sock" if unix else None
        slot = Slot(self.clock, NetworkSettings(**settings), path)
        if job:
            slot.network.set_job(JOB_ID, token)
        self.all.append(slot)
        return slot

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            for slot in self.all:
                slot.turn()

    def until(self, condition: Callable[[], object], turns_max: int = 20_000) -> None:
        """Turn all slots until ``condition``; the manual clock stands still."""
        for _ in range(turns_max):
            if condition():
                return
            self.turn()
        raise AssertionError(f"not so after {turns_max} turns")

    def settle(self) -> None:
        """Turn until no socket has anything to say."""
        quiet = 0
        while quiet < 5:
            ready = sum(slot.turn() for slot in self.all)
            quiet = 0 if ready else quiet + 1

    def read(self, gate: InputGate) -> list[tuple[int, Element]]:
        """Everything up to the end of all channels."""
        elements: list[tuple[int, Element]] = []

        def all_read() -> bool:
            while (polled := gate.poll()) is not None:
                elements.append(polled)
            return gate.all_ended()

        self.until(all_read)
        return elements

    def close(self) -> None:
        for slot in self.all:
            slot.close()
        self._directory.cleanup()


def rows_of(elements: list[tuple[int, Element]]) -> list[Any]:
    """The records among elements, in order."""
    rows: list[Any] = []
    for _, element in elements:
        if isinstance(element, ObjectBatch):
            rows += element.values
        elif isinstance(element, ArrowBatch):
            rows += element.records.to_pylist()
    return rows


def controls_of(elements: list[tuple[int, Element]]) -> list[Element]:
    return [e for _, e in elements if not isinstance(e, ObjectBatch | ArrowBatch | EndOfData)]


@pytest.fixture
def slots() -> Iterator[Slots]:
    made = Slots()
    yield made
    made.close()


@pytest.fixture
def new_slots() -> type[Slots]:
    """For tests that need new slots for each example; they close them."""
    return Slots


@pytest.fixture
def rows() -> Callable[[list[tuple[int, Element]]], list[Any]]:
    return rows_of


@pytest.fixture
def controls() -> Callable[[list[tuple[int, Element]]], list[Element]]:
    return controls_of
