"""Decides when a checkpoint starts, whether it is complete, and when it is given up. Pure: no clock, disk or network.

Each checkpoint goes through the same steps; up to ``max_concurrent`` of them are under way at a time:

1. ``SnapshotEnumerators``: the sources' enumerators are copied and what they hand out is held back, so that no split is
   both in their state and in a reader's.
2. ``TriggerSubtasks``: barriers start at the subtasks to which no producer sends any more. The others follow their
   barriers.
3. ``Seal``: all have answered; the manifest is written. From then on the checkpoint exists.
4. ``Announce``: subtasks may commit. ``Discard``: older checkpoints go.

A subtask that finishes meanwhile needs no answer: all it emitted is before the end of its channels, which stands for a
barrier, and so in the snapshots of its consumers.

A savepoint goes the same way, alone, but restarts do not use it: if one started from before it, sinks would drop what
they have prepared for it, and nobody could start from it any more. So it is sealed only when a checkpoint that was
started after it is complete, from which on no restart goes back behind it and all that it holds is committed. One with
which the job ends is sealed at once, and is committed itself.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from millstream.core.errors import CheckpointError, MillstreamError, UnsavableStateError
from millstream.core.ids import SubtaskId, VertexId
from millstream.jobmanager.checkpointing.settings import CheckpointSettings
from millstream.proto.v1 import checkpoint_pb2

HISTORY_MAX = 10


class AbortReason(enum.Enum):
    """Why a checkpoint was given up; the text goes on from "was given up: "."""

    TIMEOUT = "it took longer than execution.checkpointing.timeout"
    DECLINED = "a subtask could not make its part"
    NOT_WRITTEN = "its manifest could not be written"
    ENUMERATOR = "the state of a source's enumerator could not be taken"
    SUBSUMED = "a later one was complete first"
    JOB_STOPPED = "the job does not run any more"

    @property
    def is_failure(self) -> bool:
        """Counts against the tolerable failures."""
        return self not in (AbortReason.JOB_STOPPED, AbortReason.SUBSUMED)


@dataclass(frozen=True)
class SnapshotEnumerators:
    checkpoint_id: int
    savepoint: bool = False


@dataclass(frozen=True)
class TriggerSubtasks:
    checkpoint_id: int
    triggered_ms: int
    subtasks: tuple[SubtaskId, ...]
    base_id: int = 0
    """The newest completed checkpoint: this one may refer to its files, which are kept until it has ended; so are those
    of all that are completed meanwhile, for a subtask may know of them before its barrier comes."""
    savepoint: bool = False


@dataclass(frozen=True)
class Seal:
    """Write the manifest, then call ``sealed`` or ``not_sealed``."""

    checkpoint_id: int
    triggered_ms: int
    states: Mapping[SubtaskId, checkpoint_pb2.SubtaskState]
    savepoint: bool = False
    base_id: int = 0
    """The newest completed checkpoint when it was started."""


@dataclass(frozen=True)
class Announce:
    checkpoint_id: int
    savepoint: bool = False


@dataclass(frozen=True)
class Abandon:
    """Tell the subtasks, let the enumerators go on, remove the files.

    ``sealing``: the manifest was being written, and may exist. Subtasks wait for no barrier of it, and are not told:
    what it holds must not be undone.
    """

    checkpoint_id: int
    savepoint: bool = False
    failure: str = ""
    sealing: bool = False


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
    base_id: int
    savepoint: bool
    is_followed: bool = True
    """A checkpoint that started after it is complete, or none has to be; only then it is sealed."""
    states: dict[SubtaskId, checkpoint_pb2.SubtaskState] = field(default_factory=dict)
    triggered: set[SubtaskId] = field(default_factory=set)
    enumerators_done: bool = False
    records: int = 0
    """That all subtasks together have read in this attempt."""
    sealing: bool = False
    since_ms: int = 0
    """From when on it waits for the checkpoint that follows it."""

    @property
    def checkpoint_id(self) -> int:
        return self.summary.checkpoint_id

    @property
    def has_all(self) -> bool:
        """Everybody has answered."""
        return self.enumerators_done and not self.waiting

    @property
    def awaits_next(self) -> bool:
        """It needs nothing more but a checkpoint that follows it."""
        return self.has_all and not self.is_followed

    @property
    def is_under_way(self) -> bool:
        """The sources have answered: what they hand out from now on is not part of it."""
        return self.enumerators_done and not self.waiting & self.triggered


class CheckpointCoordinator:
    """``producers``: for each subtask of the job, the subtasks whose output it reads. Times are milliseconds."""

    def __init__(
        self, settings: CheckpointSettings, producers: Mapping[SubtaskId, frozenset[SubtaskId]], last_id: int = 0
    ) -> None:
        self.statistics = checkpoint_pb2.CheckpointStatistics()
        self.retained: list[int] = []
        self.progress = 0
        """The newest completed checkpoint of an attempt that had read something; 0 for none."""
        self._settings = settings
        self._producers = producers
        self._next_id = last_id + 1
        self._pending: dict[int, _Pending] = {}
        self._obsolete: list[int] = []
        """Completed and not retained, but one that is under way may refer to their files."""
        self._finished: set[SubtaskId] = set()
        self._awaiting: set[SubtaskId] = set()
        self._running = False
        self._savepoint_wanted = False
        self._savepoint_ends = False
        self._checkpoint_wanted = False
        self._held = False
        self._next_ms = 0
        self._failures = 0

    @property
    def is_on(self) -> bool:
        return self._settings.interval_ms > 0

    @property
    def has_savepoint(self) -> bool:
        """One is under way."""
        return any(pending.savepoint for pending in self._pending.values())

    @property
    def is_wanted(self) -> bool:
        """Something has been asked for that has not started yet."""
        return self._savepoint_wanted or self._checkpoint_wanted or bool(self._pending)

    @property
    def latest(self) -> int:
        """The newest completed checkpoint; 0 for none."""
        return self.retained[-1] if self.retained else 0

    @property
    def waiting(self) -> frozenset[SubtaskId]:
        """Subtasks that have not answered a checkpoint under way."""
        return frozenset().union(*(pending.waiting for pending in self._pending.values()))

    def waiting_for(self, checkpoint_id: int) -> frozenset[SubtaskId]:
        """Those of them that have not answered this one; none when it is not under way."""
        pending = self._of(checkpoint_id)
        return frozenset() if pending is None else frozenset(pending.waiting)

    @property
    def live(self) -> frozenset[int]:
        """Checkpoints whose files must stay: completed ones that are needed, and those under way."""
        return frozenset([*self.retained, *self._obsolete, *self._pending])

    # -- the job ------------------------------------------------------------------------------------------------------

    def taken_over(
        self, kept: Sequence[int], next_id: int, told: Sequence[checkpoint_pb2.CheckpointSummary] = ()
    ) -> None:
        """Another JobManager led the job, and completed ``kept``, oldest first. ``told``: what is known of these."""
        self.retained = list(kept)
        self.statistics.history.extend(reversed(told[-HISTORY_MAX:]))
        self.progress = self.latest
        self.skip(next_id - 1)
        self._retain()

    def skip(self, checkpoint_id: int) -> None:
        """Barriers of checkpoints up to this one may be on their way, of which nothing else is known here."""
        self._next_id = max(self._next_id, checkpoint_id + 1)

    @property
    def last_id(self) -> int:
        """The newest that was ever started."""
        return self._next_id - 1

    def started(self, now_ms: int) -> None:
        """All subtasks run."""
        self._running = True
        self._next_ms = now_ms + self._settings.interval_ms

    def stopped(self, now_ms: int) -> list[Instruction]:
        """The job, or a part of it, fails; or it is cancelled, or has ended.

        A checkpoint whose manifest is being written goes on: when it counts, nothing may start from an earlier one.
        """
        self._running = self._held = False
        given_up = [pending for pending in self._pending.values() if pending.savepoint or not pending.sealing]
        return [i for pending in given_up for i in self._abort(pending, AbortReason.JOB_STOPPED, now_ms)]

    def closed(self) -> None:
        """The job has ended: the rest of what is under way does not matter."""
        self._pending.clear()

    def left(self, vertices: Collection[VertexId]) -> None:
        """Their next attempt starts from the beginning or from ``latest``."""
        self._finished = {subtask for subtask in self._finished if subtask.vertex not in vertices}
        self._awaiting = {subtask for subtask in self._awaiting if subtask.vertex not in vertices}

    def rescaled(self, producers: Mapping[SubtaskId, frozenset[SubtaskId]]) -> None:
        """The next attempt has other subtasks."""
        self._producers = producers

    def restored(self, checkpoint_id: int) -> None:
        """An attempt starts from this checkpoint."""
        self.statistics.restored_from = checkpoint_id

    def subtask_finished(self, subtask: SubtaskId, answered: int = 0) -> list[Instruction]:
        """It has processed all its input; its consumers may be the next to need a trigger.

        ``answered``: the last checkpoint that it took part in before. Its report of that may be on its way still, and
        holds what it had not processed then: without it, the checkpoint would lack that.
        """
        self._finished.add(subtask)
        self._awaiting.discard(subtask)
        instructions: list[Instruction] = []
        for pending in self._open():
            if subtask in pending.waiting and pending.checkpoint_id > answered:
                pending.waiting.discard(subtask)
                pending.states[subtask] = checkpoint_pb2.SubtaskState(index=subtask.index, finished=True)
            instructions += [*self._trigger(pending), *self._check(pending)]
        return instructions

    def awaits_commit(self, subtask: SubtaskId) -> list[Instruction]:
        """It has ended its output, and can only finish after a checkpoint: the last one need not wait for its interval.

        No barrier follows to its consumers, so they may be the next to need a trigger.
        """
        self._awaiting.add(subtask)
        return [i for pending in self._open() for i in self._trigger(pending)]

    def request_savepoint(self, ends: bool = False) -> None:
        """Start a savepoint as soon as nothing is under way, also in a job that takes no checkpoints by itself; one,
        however often this is called before that.

        ``ends``: the job, or its input, ends with it.
        """
        self._savepoint_wanted, self._savepoint_ends = True, ends

    def request_checkpoint(self) -> None:
        """Start a checkpoint without waiting for the interval."""
        self._checkpoint_wanted = True

    def hold(self) -> None:
        """Start no further checkpoint in this attempt: the savepoint that was just completed is its end, and a later
        checkpoint would commit what it does not hold."""
        self._held = True

    def tick(self, now_ms: int) -> list[Instruction]:
        """Ask often: starts what is due, gives up what takes too long."""
        instructions: list[Instruction] = []
        for pending in self._open():
            if pending.awaits_next and not pending.since_ms:
                pending.since_ms = now_ms
            if now_ms - (pending.since_ms or pending.summary.triggered_ms) > self._settings.timeout_ms:
                instructions += self._abort(pending, AbortReason.TIMEOUT, now_ms)
        left = self._producers.keys() - self._finished
        if not self._running or not left:
            return instructions
        if self._savepoint_wanted and not self.has_savepoint:
            if not self._pending:
                self._savepoint_wanted = False
                instructions += self._start(left, now_ms, savepoint=True)
            return instructions
        if self._held:
            return instructions
        is_due = self.is_on and (now_ms >= self._next_ms or left <= self._awaiting)
        if (is_due or self._checkpoint_wanted) and self._may_start():
            self._checkpoint_wanted = False
            instructions += self._start(left, now_ms, savepoint=False)
        return instructions

    def _may_start(self) -> bool:
        pendings = [pending for pending in self._pending.values() if not pending.awaits_next]
        if any(pending.savepoint or not pending.is_under_way for pending in pendings):
            return False
        return len(pendings) < self._settings.max_concurrent

    # -- one checkpoint -----------------------------------------------------------------------------------------------

    def enumerators_copied(self, checkpoint_id: int) -> list[Instruction]:
        """Their state is safe and their output is held back."""
        pending = self._of(checkpoint_id)
        if pending is None:
            return []
        pending.enumerators_done = True
        return [*self._trigger(pending), *self._check(pending)]

    def enumerators_failed(self, checkpoint_id: int, error: MillstreamError, now_ms: int) -> list[Instruction]:
        pending = self._of(checkpoint_id)
        return [] if pending is None else self._abort(pending, AbortReason.ENUMERATOR, now_ms, error)

    def reported(
        self, subtask: SubtaskId, report: checkpoint_pb2.CheckpointReport, error: MillstreamError | None, now_ms: int
    ) -> list[Instruction]:
        """A subtask's part is durable, or cannot be made. The caller has checked the attempt."""
        pending = self._of(report.checkpoint_id)
        if pending is None or subtask not in pending.waiting:
            return []
        if error is not None:
            return self._abort(pending, AbortReason.DECLINED, now_ms, error)
        pending.waiting.discard(subtask)
        pending.states[subtask] = report.state
        pending.records += report.records
        _count(pending.summary, subtask, report, now_ms)
        return self._check(pending)

    def sealed(self, checkpoint_id: int, path: str, now_ms: int) -> list[Instruction]:
        """The manifest is durable."""
        pending = self._pending.pop(checkpoint_id, None)
        if pending is None:
            return []
        self._failures = 0
        pending.summary.path = path
        self._ended(pending.summary, "COMPLETED", now_ms)
        self.statistics.completed += 1
        if pending.savepoint:
            return [Announce(checkpoint_id, savepoint=True)]
        self._next_ms = max(self._next_ms, now_ms + self._settings.min_pause_ms)
        instructions: list[Instruction] = [Announce(checkpoint_id)]
        for older in [p for p in self._pending.values() if p.checkpoint_id < checkpoint_id]:
            if older.savepoint:
                older.is_followed = True
                instructions += self._check(older)
            else:
                instructions += self._abort(older, AbortReason.SUBSUMED, now_ms)
        self.retained.append(checkpoint_id)
        if pending.records:
            self.progress = checkpoint_id
        self._retain()
        return [*instructions, *self._discard()]

    def not_sealed(self, checkpoint_id: int, error: MillstreamError, now_ms: int) -> list[Instruction]:
        pending = self._pending.get(checkpoint_id)
        reason = AbortReason.NOT_WRITTEN if self._running else AbortReason.JOB_STOPPED
        return [] if pending is None else self._abort(pending, reason, now_ms, error)

    # -- inner --------------------------------------------------------------------------------------------------------

    def _retain(self) -> None:
        self._obsolete += self.retained[: -self._settings.retained]
        del self.retained[: -self._settings.retained]

    def _start(self, left: set[SubtaskId], now_ms: int, savepoint: bool) -> list[Instruction]:
        checkpoint_id = self._next_id
        self._next_id += 1
        if not savepoint:
            self._next_ms = now_ms + self._settings.interval_ms
        summary = checkpoint_pb2.CheckpointSummary(
            checkpoint_id=checkpoint_id,
            status="IN_PROGRESS",
            triggered_ms=now_ms,
            expected=len(left),
            savepoint=savepoint,
        )
        is_followed = not (savepoint and self.is_on and not self._savepoint_ends)
        pending = self._pending[checkpoint_id] = _Pending(summary, set(left), self.latest, savepoint, is_followed)
        for subtask in self._finished:
            pending.states[subtask] = checkpoint_pb2.SubtaskState(index=subtask.index, finished=True)
        self.statistics.triggered += 1
        self.statistics.history.insert(0, summary)
        del self.statistics.history[HISTORY_MAX:]
        return [SnapshotEnumerators(checkpoint_id, savepoint)]

    def _trigger(self, pending: _Pending) -> list[Instruction]:
        """At subtasks that wait and whose producers have all ended their output, each once."""
        if not pending.enumerators_done:
            return []
        ended = self._finished | self._awaiting
        heads = {s for s in pending.waiting - pending.triggered if self._producers[s] <= ended}
        pending.triggered |= heads
        if not heads:
            return []
        subtasks = tuple(sorted(heads))
        triggered_ms = pending.summary.triggered_ms
        return [TriggerSubtasks(pending.checkpoint_id, triggered_ms, subtasks, pending.base_id, pending.savepoint)]

    def _check(self, pending: _Pending) -> list[Instruction]:
        if pending.sealing or not pending.has_all:
            return []
        if pending.awaits_next:
            self._checkpoint_wanted = True
            return []
        pending.sealing = True
        triggered_ms = pending.summary.triggered_ms
        return [Seal(pending.checkpoint_id, triggered_ms, pending.states, pending.savepoint, pending.base_id)]

    def _open(self) -> list[_Pending]:
        return [pending for pending in self._pending.values() if not pending.sealing]

    def _of(self, checkpoint_id: int) -> _Pending | None:
        pending = self._pending.get(checkpoint_id)
        return None if pending is None or pending.sealing else pending

    def _abort(
        self, pending: _Pending, reason: AbortReason, now_ms: int, cause: MillstreamError | None = None
    ) -> list[Instruction]:
        del self._pending[pending.checkpoint_id]
        if not pending.savepoint:
            self._next_ms = max(self._next_ms, now_ms + max(self._settings.min_pause_ms, self._settings.interval_ms))
        pending.summary.failure = reason.value if cause is None else f"{reason.value}: {cause}"
        self._ended(pending.summary, "FAILED", now_ms)
        self.statistics.failed += 1
        instructions: list[Instruction] = [
            Abandon(pending.checkpoint_id, pending.savepoint, pending.summary.failure, pending.sealing),
            *self._discard(),
        ]
        if reason.is_failure and not pending.savepoint:
            self._failures += 1
            if self._failures > self._settings.tolerable_failures:
                self._failures = 0
                told = f"checkpoint {pending.checkpoint_id} was given up: {pending.summary.failure}"
                # What the program does wrong, it will do wrong again: that is the kind of the job's error too.
                known = isinstance(cause, UnsavableStateError)
                instructions.append(FailJob(UnsavableStateError(told) if known else CheckpointError(told)))
        return instructions

    def _discard(self) -> list[Instruction]:
        """What nobody needs any more."""
        oldest = min((pending.base_id for pending in self._pending.values()), default=None)
        discarded = [obsolete for obsolete in self._obsolete if oldest is None or obsolete < oldest]
        self._obsolete = [obsolete for obsolete in self._obsolete if obsolete not in discarded]
        return list(map(Discard, discarded))

    def _ended(self, summary: checkpoint_pb2.CheckpointSummary, status: str, now_ms: int) -> None:
        summary.status = status
        summary.ended_ms = now_ms
        for known in self.statistics.history:
            if known.checkpoint_id == summary.checkpoint_id:
                known.CopyFrom(summary)


def _count(
    summary: checkpoint_pb2.CheckpointSummary,
    subtask: SubtaskId,
    report: checkpoint_pb2.CheckpointReport,
    now_ms: int,
) -> None:
    """Add what one subtask reported."""
    state_bytes = sum(file.length for file in report.state.files)
    summary.acknowledged += 1
    summary.state_bytes += state_bytes
    summary.written_bytes += report.state.written_bytes
    summary.in_flight_bytes += report.in_flight_bytes
    summary.sync_us_max = max(summary.sync_us_max, report.sync_us)
    summary.async_us_max = max(summary.async_us_max, report.async_us)
    summary.alignment_us_max = max(summary.alignment_us_max, report.alignment_us)
    summary.subtasks.add(
        vertex_id=subtask.vertex,
        index=subtask.index,
        state_bytes=state_bytes,
        written_bytes=report.state.written_bytes,
        in_flight_bytes=report.in_flight_bytes,
        sync_us=report.sync_us,
        async_us=report.async_us,
        alignment_us=report.alignment_us,
        ended_ms=now_ms,
    )
