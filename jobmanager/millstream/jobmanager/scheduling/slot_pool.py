"""All slots of the cluster, and who has them. Pure: reports and requests in, grants out.

A slot is free when this JobManager has given it to nobody *and* its TaskManager says that a fresh process waits in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from millstream.core.ids import JobId, SlotId, TaskManagerId
from millstream.proto.v1 import common_pb2, jobmanager_pb2


@dataclass
class Slot:
    """One slot as last reported and as allocated here."""

    slot_id: SlotId
    address: common_pb2.DataAddress
    ready: bool = False
    reported_job: str = ""
    incarnation: int = 0
    cold: bool = False
    """A job of tables would have to load much before it runs there."""
    allocated_to: JobId | None = None

    def is_free(self) -> bool:
        return self.ready and self.allocated_to is None and not self.reported_job


@dataclass
class SlotPool:
    """Slots by TaskManager."""

    slots: dict[TaskManagerId, dict[int, Slot]] = field(default_factory=dict)

    def report(self, taskmanager: TaskManagerId, reports: list[jobmanager_pb2.SlotReport]) -> None:
        """What a TaskManager says of all its slots. Reports of an older process of a slot are ignored."""
        known = self.slots.setdefault(taskmanager, {})
        for report in reports:
            slot = known.setdefault(report.index, Slot(SlotId(taskmanager, report.index), report.data))
            if report.incarnation < slot.incarnation:
                continue
            slot.incarnation = report.incarnation
            slot.address = report.data
            slot.ready = report.ready
            slot.reported_job = report.job_id
            slot.cold = report.cold

    def take_cold(self, taskmanager: TaskManagerId) -> list[Slot]:
        """Its free slots with a cold process, which are not free any more until a fresh one is reported."""
        taken = [slot for slot in self.slots_of(taskmanager) if slot.cold and slot.is_free()]
        for slot in taken:
            slot.ready = False
            slot.incarnation += 1  # what the old process still reports is ignored
        return taken

    def put_back(self, slot: Slot) -> None:
        """The process of a slot that was taken could not be replaced: it is as free as its next report says."""
        slot.incarnation -= 1

    def remove(self, taskmanager: TaskManagerId) -> None:
        """The TaskManager is gone."""
        self.slots.pop(taskmanager, None)

    def allocate(self, job: JobId, count: int, former: Sequence[TaskManagerId | None] = ()) -> list[Slot] | None:
        """``count`` free slots, or None when there are not that many.

        Each is on the TaskManager that ``former`` names for it, where its state may be at hand, if there is room; the
        others are spread evenly.
        """
        free = {
            taskmanager: [slot for slot in slots.values() if slot.is_free()]
            for taskmanager, slots in self.slots.items()
        }
        if sum(map(len, free.values())) < count:
            return None
        granted: list[Slot | None] = [
            free[taskmanager].pop(0) if taskmanager is not None and free.get(taskmanager) else None
            for taskmanager in former[:count]
        ]
        granted += [None] * (count - len(granted))
        chosen: list[Slot] = []
        for slot in granted:
            if slot is None:
                fullest = max(free, key=lambda taskmanager: len(free[taskmanager]))
                slot = free[fullest].pop(0)
            slot.allocated_to = job
            chosen.append(slot)
        return chosen

    def find(self, slot_id: SlotId) -> Slot | None:
        """None for one that is not registered, or not any more."""
        return self.slots.get(slot_id.taskmanager, {}).get(slot_id.index)

    def claim(self, slot_id: SlotId, job: JobId) -> None:
        """The job has it already, from a former leader."""
        slot = self.find(slot_id)
        if slot is not None:
            slot.allocated_to = job

    def release(self, slot_id: SlotId) -> None:
        """The job is done with the slot; it is free when its TaskManager reports a fresh process."""
        slot = self.find(slot_id)
        if slot is not None:
            slot.allocated_to = None
            slot.ready = False

    def strays(self) -> list[Slot]:
        """Slots that say they serve a job, and are given to none here."""
        known = [slot for slots in self.slots.values() for slot in slots.values()]
        return [slot for slot in known if slot.reported_job and slot.allocated_to is None]

    def total(self) -> int:
        return sum(map(len, self.slots.values()))

    def free(self, taskmanager: TaskManagerId | None = None) -> int:
        """Free slots, of one TaskManager or of all."""
        chosen = self.slots.values() if taskmanager is None else [self.slots.get(taskmanager, {})]
        return sum(slot.is_free() for slots in chosen for slot in slots.values())

    def slots_of(self, taskmanager: TaskManagerId) -> list[Slot]:
        return list(self.slots.get(taskmanager, {}).values())
