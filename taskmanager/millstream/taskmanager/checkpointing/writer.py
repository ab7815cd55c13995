"""Writes the snapshots of a slot's tasks on a thread of its own, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from millstream.core.checkpoint.local_copies import LocalCopies
from millstream.core.checkpoint.manifest import checkpoint_name
from millstream.core.checkpoint.storage import Storage, location_of, open_storage
from millstream.core.clock import Clock
from millstream.core.errors import CheckpointError, ErrorPlace, MillstreamError
from millstream.core.failpoints import failpoint
from millstream.core.protocol_log import record
from millstream.core.rpc.error_info import to_proto
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.checkpointing.state_files import store_snapshot
from millstream.taskmanager.checkpointing.task_snapshot import TaskSnapshot
from millstream.taskmanager.network.reactor import Reactor
from millstream.taskmanager.state.state_writer import StateWriter
from millstream.taskmanager.task.context import SubtaskInfo
from millstream.taskmanager.task.figures import subtask_ref


@dataclass
class BarrierSettings:
    """What the job's settings say of its barriers."""

    exactly_once: bool = True
    unaligned: bool = False
    timeout_ms: int = 0


class SnapshotWriter:
    """Implements ``CheckpointServices`` for the job that the slot serves."""

    def __init__(
        self,
        reactor: Reactor,
        clock: Clock,
        report: Callable[[checkpoint_pb2.CheckpointReport], None],
        fail: Callable[[SubtaskInfo, Exception], None],
    ) -> None:
        """``fail`` ends a task whose state is lost to it."""
        self.barriers = BarrierSettings()
        self.storage: Storage | None = None
        """Of the job; none until one is adopted that takes checkpoints."""
        self.copies: LocalCopies | None = None
        """On this machine, if the job wants them."""
        self.cluster: Mapping[str, Any] = {}
        """Settings, of which those for storages count."""
        self._reactor = reactor
        self._clock = clock
        self._report = report
        self._fail = fail
        self._thread: ThreadPoolExecutor | None = None

    @property
    def exactly_once(self) -> bool:
        return self.barriers.exactly_once

    def write(self, info: SubtaskInfo, snapshot: TaskSnapshot) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        report = checkpoint_pb2.CheckpointReport(
            subtask=subtask_ref(info),
            checkpoint_id=snapshot.checkpoint_id,
            sync_us=round(snapshot.sync_s * 1e6),
            alignment_us=round(snapshot.alignment_s * 1e6),
            records=snapshot.records,
        )

        def work() -> None:
            started_s = self._clock.monotonic_s()
            place, generation = snapshot.barrier.savepoint, snapshot.barrier.generation
            try:
                failpoint("files.write")
                storage, directory = self._target(snapshot)
                place = storage.location
                owner = f"g{generation}-{info.vertex_id[:16]}-{info.subtask_index}-{info.attempt}"
                writer = StateWriter(storage, directory, snapshot.checkpoint_id, owner)
                report.state.CopyFrom(store_snapshot(info, snapshot, writer))
                if self.copies is not None and not snapshot.barrier.savepoint:
                    place_of_files = location_of(storage.location, directory)
                    own = f"-{info.vertex_id[:16]}-{info.subtask_index}-"
                    self.copies.keep(own, [location_of(place_of_files, file.path) for file in report.state.files])
                failpoint("files.written")
                number = snapshot.checkpoint_id
                record("snapshot.durable", **info.identity(), generation=generation, checkpoint=number)
                report.in_flight_bytes = sum(flight.length for flight in report.state.in_flight)
            except OSError as error:
                told = f"{info} cannot write its state to {place}: {error.strerror or error}"
                report.error.CopyFrom(to_proto(CheckpointError(told)))
            except MillstreamError as error:
                report.error.CopyFrom(to_proto(error))
            report.async_us = round((self._clock.monotonic_s() - started_s) * 1e6)
            self._reactor.call_soon(done)

        def done() -> None:
            try:
                snapshot.ended()
            except Exception as error:  # what was to be saved is nowhere now
                self._fail(info, error)
            failpoint("files.report")
            self._report(report)

        self._thread.submit(work)

    def _target(self, snapshot: TaskSnapshot) -> tuple[Storage, str]:
        """Where a snapshot goes: the storage, and the directory in it."""
        if snapshot.barrier.savepoint:
            return open_storage(snapshot.barrier.savepoint, self.cluster), ""
        assert self.storage is not None
        return self.storage, checkpoint_name(snapshot.checkpoint_id, snapshot.barrier.generation)

    def decline(self, info: SubtaskInfo, checkpoint_id: int, error: MillstreamError) -> None:
        if not error.place.operator:
            error.place = ErrorPlace(operator=info.vertex_name)
            error.message = f"operator {info.vertex_name!r}: {error.message}"
        report = checkpoint_pb2.CheckpointReport(
            subtask=subtask_ref(info), checkpoint_id=checkpoint_id, error=to_proto(error)
        )
        self._report(report)
