"""Decides when a checkpoint starts, whether it is complete, and when it is given up. Pure: no clock, disk or network.

One checkpoint is under way at a time:

1. ``SnapshotEnumerators``: the sources' enumerators are copied and what they hand out is held back, so that no split is
   both in their state and in a reader's.
2. ``TriggerSubtasks``: barriers start at the subtasks that have no running producer. The others follow their barriers.
3. ``Seal``: all have answered; the manifest is written. From then on the checkpoint exists.
4. ``Announce``: subtasks may commit. ``Discard``: older checkpoints go.

A subtask that finishes meanwhile needs no answer: all it emitted is before the end of its channels, which stands for a
barrier, and so in the snapshots of its consumers.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from millstream.core.errors import CheckpointError, MillstreamError
from millstream.core.ids import SubtaskId
from millstream.jobmanager.checkpointing.settings import CheckpointSettings
from millstream.proto.v1 import checkpoint_pb2

HISTORY_MAX = 10


class AbortReason(enum.Enum):
    """Why a checkpoint was given up; the text goes on from "was given up: "."""

    TIMEOUT = "it took longer than execution.checkpointing.timeout"
    DECLINED = "a subtask could not make its part"
    NOT_WRITTEN = "its manifest could not be written"
    ENUMERATOR = "the state of a source's enumerator could not be taken"
    JOB_STOPPED = "the job does not run any more"

    @property
    def is_failure(self) -> bool:
        """Counts against the tolerable failures."""
        return self is not AbortReason.JOB_STOPPED


@dataclass(frozen=True)
class SnapshotEnumerators:
    checkpoint_id: int


@dataclass(frozen=True)
class TriggerSubtasks:
    checkpoint_id: int
    triggered_ms: int
    subtasks: tuple[SubtaskId, ...]


@dataclass(frozen=True)
class Seal:
    """Write the manifest, then call ``sealed`` or ``not_sealed``."""

    checkpoint_id: int
    triggered_ms: int
    states: Mapping[SubtaskId, checkpoint_pb2.SubtaskState]


@dataclass(frozen=True)
class Announce:
    checkpoint_id: int


@dataclass(frozen=True)
class Abandon:
    """Tell the subtasks, let the enumerators go on, remove the files."""

    checkpoint_id: int


@dataclass(frozen=True)
class Discard:
    """Remove a checkpoint that is not retained any more."""

    checkpoint_id: int


@dataclass(frozen=True)
class FailJob:
    error: MillstreamError


Instruction = SnapshotEnumerators | TriggerSubtasks | Seal | Announce | Abandon | Discard | FailJob


@dataclass
class _Pending:
    summary: checkpoint_pb2.CheckpointSummary
    waiting: set[SubtaskId]
    states: dict[SubtaskId, checkpoint_pb2.SubtaskState] = field(default_factory=dict)
    triggered: set[SubtaskId] = field(default_factory=set)
    enumerators_done: bool = False
    sealing: bool = False


class CheckpointCoordinator:
    """``producers``: for each subtask of the job, the subtasks whose output it reads. Times are milliseconds."""

    def __init__(
        self, settings: CheckpointSettings, producers: Mapping[SubtaskId, frozenset[SubtaskId]], last_id: int = 0
    ) -> None:
        self.statistics = checkpoint_pb2.CheckpointStatistics()
        self.retained: list[int] = []
        self._settings = settings
        self._producers = producers
        self._next_id = last_id + 1
        self._pending: _Pending | None = None
        self._finished: set[SubtaskId] = set()
        self._awaiting: set[SubtaskId] = set()
        self._running = False
        self._requested = False
        self._next_ms = 0
        self._failures = 0

    @property
    def is_on(self) -> bool:
        return self._settings.interval_ms > 0

    @property
    def latest(self) -> int:
        """The newest completed checkpoint; 0 for none."""
        return self.retained[-1] if self.retained else 0

    @property
    def waiting(self) -> frozenset[SubtaskId]:
        """Subtasks that have not answered the checkpoint under way."""
        return frozenset() if self._pending is None else frozenset(self._pending.waiting)

    # -- the job ------------------------------------------------------------------------------------------------------

    def started(self, now_ms: int) -> None:
        """All subtasks run."""
        self._running = True
        self._next_ms = now_ms + self._settings.interval_ms

    def stopped(self, now_ms: int) -> list[Instruction]:
        """The job fails, is cancelled, or has ended; the next attempt starts from the beginning or from ``latest``."""
        self._running = False
        self._finished.clear()
        self._awaiting.clear()
        return self._abort(AbortReason.JOB_STOPPED, now_ms)

    def restored(self, checkpoint_id: int) -> None:
        """An attempt starts from this checkpoint."""
        self.statistics.restored_from = checkpoint_id

    def subtask_finished(self, subtask: SubtaskId) -> list[Instruction]:
        """It has processed all its input; its consumers may be the next to need a trigger."""
        self._finished.add(subtask)
        self._awaiting.discard(subtask)
        pending = self._pending
        if pending is None or pending.sealing:
            return []
        if subtask in pending.waiting:
            pending.waiting.discard(subtask)
            pending.states[subtask] = checkpoint_pb2.SubtaskState(index=subtask.index, finished=True)
        return [*self._trigger(pending), *self._check(pending)]

    def awaits_commit(self, subtask: SubtaskId) -> None:
        """It can only finish after a checkpoint: the last one need not wait for its interval."""
        self._awaiting.add(subtask)

    def request(self) -> None:
        """Start a checkpoint as soon as none is under way, also in a job that takes none by itself."""
        self._requested = True

    def tick(self, now_ms: int) -> list[Instruction]:
        """Ask often: starts what is due, gives up what takes too long."""
        pending = self._pending
        if pending is not None:
            if not pending.sealing and now_ms - pending.summary.triggered_ms > self._settings.timeout_ms:
                return self._abort(AbortReason.TIMEOUT, now_ms)
            return []
        left = self._producers.keys() - self._finished
        if not self._running or not left:
            return []
        is_due = self.is_on and (now_ms >= self._next_ms or left <= self._awaiting)
        if not is_due and not self._requested:
            return []
        self._requested = False
        return self._start(left, now_ms)

    # -- one checkpoint -----------------------------------------------------------------------------------------------

    def enumerators_copied(self, checkpoint_id: int) -> list[Instruction]:
        """Their state is safe and their output is held back."""
        pending = self._of(checkpoint_id)
        if pending is None:
            return []
        pending.enumerators_done = True
        return [*self._trigger(pending), *self._check(pending)]

    def enumerators_failed(self, checkpoint_id: int, error: MillstreamError, now_ms: int) -> list[Instruction]:
        return [] if self._of(checkpoint_id) is None else self._abort(AbortReason.ENUMERATOR, now_ms, error)

    def reported(
        self, subtask: SubtaskId, report: checkpoint_pb2.CheckpointReport, error: MillstreamError | None, now_ms: int
    ) -> list[Instruction]:
        """A subtask's part is durable, or cannot be made. The caller has checked the attempt."""
        pending = self._of(report.checkpoint_id)
        if pending is None or subtask not in pending.waiting:
            return []
        if error is not None:
            return self._abort(AbortReason.DECLINED, now_ms, error)
        pending.waiting.discard(subtask)
        pending.states[subtask] = report.state
        summary = pending.summary
        summary.acknowledged += 1
        summary.state_bytes += report.state.length
        summary.sync_us_max = max(summary.sync_us_max, report.sync_us)
        summary.async_us_max = max(summary.async_us_max, report.async_us)
        summary.alignment_us_max = max(summary.alignment_us_max, report.alignment_us)
        return self._check(pending)

    def sealed(self, checkpoint_id: int, path: str, now_ms: int) -> list[Instruction]:
        """The manifest is durable."""
        pending = self._pending
        if pending is None or pending.summary.checkpoint_id != checkpoint_id:
            return []
        self._pending = None
        self._failures = 0
        self._next_ms = max(
            pending.summary.triggered_ms + self._settings.interval_ms, now_ms + self._settings.min_pause_ms
        )
        pending.summary.path = path
        self._ended(pending.summary, "COMPLETED", now_ms)
        self.statistics.completed += 1
        self.retained.append(checkpoint_id)
        discarded = self.retained[: -self._settings.retained]
        del self.retained[: -self._settings.retained]
        return [Announce(checkpoint_id), *map(Discard, discarded)]

    def not_sealed(self, checkpoint_id: int, error: MillstreamError, now_ms: int) -> list[Instruction]:
        pending = self._pending
        if pending is None or pending.summary.checkpoint_id != checkpoint_id:
            return []
        return self._abort(AbortReason.NOT_WRITTEN, now_ms, error)

    # -- inner --------------------------------------------------------------------------------------------------------

    def _start(self, left: set[SubtaskId], now_ms: int) -> list[Instruction]:
        checkpoint_id = self._next_id
        self._next_id += 1
        summary = checkpoint_pb2.CheckpointSummary(
            checkpoint_id=checkpoint_id, status="IN_PROGRESS", triggered_ms=now_ms, expected=len(left)
        )
        self._pending = pending = _Pending(summary, set(left))
        for subtask in self._finished:
            pending.states[subtask] = checkpoint_pb2.SubtaskState(index=subtask.index, finished=True)
        self.statistics.triggered += 1
        self.statistics.history.insert(0, summary)
        del self.statistics.history[HISTORY_MAX:]
        return [SnapshotEnumerators(checkpoint_id)]

    def _trigger(self, pending: _Pending) -> list[Instruction]:
        """At subtasks that wait and have no running producer, each once."""
        if not pending.enumerators_done:
            return []
        heads = {s for s in pending.waiting - pending.triggered if self._producers[s] <= self._finished}
        pending.triggered |= heads
        if not heads:
            return []
        summary = pending.summary
        return [TriggerSubtasks(summary.checkpoint_id, summary.triggered_ms, tuple(sorted(heads)))]

    def _check(self, pending: _Pending) -> list[Instruction]:
        if pending.waiting or pending.sealing or not pending.enumerators_done:
            return []
        pending.sealing = True
        return [Seal(pending.summary.checkpoint_id, pending.summary.triggered_ms, pending.states)]

    def _of(self, checkpoint_id: int) -> _Pending | None:
        pending = self._pending
        if pending is None or pending.summary.checkpoint_id != checkpoint_id or pending.sealing:
            return None
        return pending

    def _abort(self, reason: AbortReason, now_ms: int, cause: MillstreamError | None = None) -> list[Instruction]:
        pending = self._pending
        if pending is None:
            return []
        self._pending = None
        checkpoint_id = pending.summary.checkpoint_id
        self._next_ms = now_ms + max(self._settings.min_pause_ms, self._settings.interval_ms)
        pending.summary.failure = reason.value if cause is None else f"{reason.value}: {cause}"
        self._ended(pending.summary, "FAILED", now_ms)
        self.statistics.failed += 1
        instructions: list[Instruction] = [Abandon(checkpoint_id)]
        if reason.is_failure:
            self._failures += 1
            if self._failures > self._settings.tolerable_failures:
                self._failures = 0
                told = f"checkpoint {checkpoint_id} was given up: {pending.summary.failure}"
                instructions.append(FailJob(CheckpointError(told)))
        return instructions

    def _ended(self, summary: checkpoint_pb2.CheckpointSummary, status: str, now_ms: int) -> None:
        summary.status = status
        summary.ended_ms = now_ms
        if self.statistics.history and self.statistics.history[0].checkpoint_id == summary.checkpoint_id:
            self.statistics.history[0].CopyFrom(summary)
