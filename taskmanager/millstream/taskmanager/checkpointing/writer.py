"""Writes the snapshots of a slot's tasks on a thread of its own, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from millstream.core.clock import Clock
from millstream.core.errors import CheckpointError, ErrorPlace, MillstreamError
from millstream.core.rpc.error_info import to_proto
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.checkpointing.services import Snapshots
from millstream.taskmanager.checkpointing.state_files import lay_out, write_state
from millstream.taskmanager.network.reactor import Reactor
from millstream.taskmanager.task.figures import subtask_ref
from millstream.taskmanager.task.task import Task


class SnapshotWriter:
    """Implements ``CheckpointServices`` for the job that the slot serves."""

    def __init__(
        self, reactor: Reactor, clock: Clock, report: Callable[[checkpoint_pb2.CheckpointReport], None]
    ) -> None:
        self.exactly_once = True
        self.directory = ""
        """Of the job; empty until one is adopted that takes checkpoints."""
        self._reactor = reactor
        self._clock = clock
        self._report = report
        self._thread: ThreadPoolExecutor | None = None

    def write(self, task: Task, checkpoint_id: int, snapshots: Snapshots, sync_s: float, alignment_s: float) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        report = checkpoint_pb2.CheckpointReport(
            subtask=subtask_ref(task.info),
            checkpoint_id=checkpoint_id,
            sync_us=round(sync_s * 1e6),
            alignment_us=round(alignment_s * 1e6),
        )
        started_s = self._clock.monotonic_s()
        directory, info = Path(self.directory), task.info
        state, content = lay_out(info, snapshots)
        report.state.CopyFrom(state)
        report.sync_us += round((self._clock.monotonic_s() - started_s) * 1e6)

        def work() -> None:
            started_s = self._clock.monotonic_s()
            try:
                write_state(directory, checkpoint_id, state, content)
            except OSError as error:
                report.error.CopyFrom(
                    to_proto(
                        CheckpointError(f"{info} cannot write its state to {directory}: {error.strerror or error}")
                    )
                )
            report.async_us = round((self._clock.monotonic_s() - started_s) * 1e6)
            self._reactor.call_soon(lambda: self._report(report))

        self._thread.submit(work)

    def decline(self, task: Task, checkpoint_id: int, error: MillstreamError) -> None:
        if not error.place.operator:
            error.place = ErrorPlace(operator=task.info.vertex_name)
        report = checkpoint_pb2.CheckpointReport(
            subtask=subtask_ref(task.info), checkpoint_id=checkpoint_id, error=to_proto(error)
        )
        self._report(report)
