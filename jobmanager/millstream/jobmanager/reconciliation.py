"""What a new leader finds of a job that another JobManager has led: collected from reports of TaskManagers. Pure.

A subtask counts as found if it is where its slot's other subtasks are, and is of the newest attempt of its region: all
else is a remnant, or would exchange records with one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from millstream.core.errors import MillstreamError
from millstream.core.ids import SlotId, SubtaskId, TaskManagerId, VertexId
from millstream.jobmanager.execution import Execution
from millstream.jobmanager.job_machine import Reconciled
from millstream.jobmanager.scheduling.regions import Regions
from millstream.jobmanager.scheduling.slot_pool import Slot
from millstream.proto.v1 import common_pb2


class Reconciliation:
    """Of one job, until its deadline or until everything is found."""

    def __init__(
        self,
        slot_subtasks: tuple[tuple[SubtaskId, ...], ...],
        regions: Regions,
        deadline_s: float,
        attempts: Mapping[str, int] | None = None,
    ) -> None:
        """``slot_subtasks``: of each slot, as they were deployed; ``deadline_s``: monotonic, when to stop waiting.

        ``attempts``: the newest that are known of some vertices; what is found of an older one is a remnant.
        """
        self.deadline_s = deadline_s
        self.awaiting_commit: set[SubtaskId] = set()
        self.triggered_checkpoint = 0
        """The highest whose barriers may be on their way."""
        self._slot_subtasks = slot_subtasks
        self._regions = regions
        self._held: set[SlotId] = set()
        self._found: dict[SubtaskId, Execution] = {}
        self._attempt = 0
        self._begun: dict[frozenset[VertexId], int] = {}
        for vertex, attempt in (attempts or {}).items():
            region = regions.get(VertexId(vertex), frozenset())
            self._begun[region] = max(self._begun.get(region, 0), attempt)

    def hold(self, slot_id: SlotId) -> None:
        """The slot serves the job, whatever is in it."""
        self._held.add(slot_id)

    def take(self, execution: Execution, awaits_commit: bool = False, triggered_checkpoint: int = 0) -> None:
        """A TaskManager says that it has this subtask in the execution's slot; of two attempts the newer counts.

        ``awaits_commit``: it can only finish after a checkpoint. ``triggered_checkpoint``: the highest that its slot
        was told to start, 0 for none.
        """
        self._attempt = max(self._attempt, execution.attempt)
        self.triggered_checkpoint = max(self.triggered_checkpoint, triggered_checkpoint)
        if execution.subtask.vertex not in self._regions:
            return
        known = self._found.get(execution.subtask)
        if known is None or execution.attempt >= known.attempt:
            self._found[execution.subtask] = execution
            self.awaiting_commit.discard(execution.subtask)
            if awaits_commit:
                self.awaiting_commit.add(execution.subtask)

    def update(
        self,
        subtask: SubtaskId,
        attempt: int,
        status: common_pb2.SubtaskStatus.ValueType,
        error: MillstreamError | None,
    ) -> bool:
        """Meanwhile it reports something; whether it was found before."""
        execution = self._found.get(subtask)
        if execution is None or execution.attempt != attempt:
            return False
        if execution.advance(status):
            execution.error = error
        return True

    def forget(self, taskmanager: TaskManagerId) -> None:
        """It is lost again, with all that it had."""
        self._found = {
            subtask: execution
            for subtask, execution in self._found.items()
            if _place(execution).taskmanager != taskmanager
        }
        self._held = {slot_id for slot_id in self._held if slot_id.taskmanager != taskmanager}

    def is_complete(self) -> bool:
        """Nothing is missing."""
        found = self._consistent()
        return all(subtask in found for subtasks in self._slot_subtasks for subtask in subtasks)

    def result(self, attempt: int) -> Reconciled:
        """``attempt``: the highest that the former leader may have deployed."""
        return Reconciled(self._consistent(), max(attempt, self._attempt))

    def useless(self, result: Reconciled) -> set[SlotId]:
        """Slots that the result does not need."""
        return self._held - set(map(_place, result.found.values()))

    def _consistent(self) -> Mapping[SubtaskId, Execution]:
        newest = dict(self._begun)
        for subtask, execution in self._found.items():
            region = self._regions[subtask.vertex]
            newest[region] = max(newest.get(region, 0), execution.attempt)
        current = {s: e for s, e in self._found.items() if e.attempt == newest[self._regions[s.vertex]]}
        kept: dict[SubtaskId, Execution] = {}
        taken: set[SlotId] = set()
        for subtasks in self._slot_subtasks:
            places = Counter(_place(current[subtask]) for subtask in subtasks if subtask in current)
            home = next((slot_id for slot_id, _ in places.most_common() if slot_id not in taken), None)
            if home is None:
                continue
            taken.add(home)
            kept |= {s: current[s] for s in subtasks if s in current and _place(current[s]) == home}
        return kept


def _place(execution: Execution) -> SlotId:
    slot: Slot | None = execution.slot
    assert slot is not None
    return slot.slot_id
