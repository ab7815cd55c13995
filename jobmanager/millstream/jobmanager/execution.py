"""One subtask's current execution."""

from __future__ import annotations

from dataclasses import dataclass, field

from millstream.core.errors import MillstreamError
from millstream.core.ids import SubtaskId
from millstream.jobmanager.scheduling.slot_pool import Slot
from millstream.proto.v1 import common_pb2

ENDED = frozenset(
    {
        common_pb2.SUBTASK_STATUS_FINISHED,
        common_pb2.SUBTASK_STATUS_CANCELED,
        common_pb2.SUBTASK_STATUS_FAILED,
    }
)
_ORDER = {
    common_pb2.SUBTASK_STATUS_CREATED: 0,
    common_pb2.SUBTASK_STATUS_SCHEDULED: 1,
    common_pb2.SUBTASK_STATUS_DEPLOYING: 2,
    common_pb2.SUBTASK_STATUS_INITIALIZING: 3,
    common_pb2.SUBTASK_STATUS_RUNNING: 4,
    common_pb2.SUBTASK_STATUS_CANCELING: 5,
    common_pb2.SUBTASK_STATUS_FINISHED: 6,
    common_pb2.SUBTASK_STATUS_CANCELED: 6,
    common_pb2.SUBTASK_STATUS_FAILED: 6,
}


@dataclass
class Execution:
    """Attempt ``attempt`` of ``subtask``. Its status only moves forward."""

    subtask: SubtaskId
    attempt: int = 0
    status: common_pb2.SubtaskStatus.ValueType = common_pb2.SUBTASK_STATUS_CREATED
    slot: Slot | None = None
    error: MillstreamError | None = None
    metrics: common_pb2.SubtaskMetrics = field(default_factory=common_pb2.SubtaskMetrics)

    def advance(self, status: common_pb2.SubtaskStatus.ValueType) -> bool:
        """Take a status that lies ahead; False for one that does not (a report that came late, or is nonsense)."""
        if _ORDER.get(status, -1) <= _ORDER[self.status]:
            return False
        self.status = status
        return True

    def has_ended(self) -> bool:
        return self.status in ENDED

    def was_given_up(self, status: common_pb2.SubtaskStatus.ValueType) -> bool:
        """It has ended here, and yet reports ``status`` as one that runs: its deployment was late."""
        return self.has_ended() and status not in ENDED

    def is_deployed(self) -> bool:
        """It may exist in a slot."""
        return self.slot is not None and not self.has_ended() and _ORDER[self.status] >= 2

    def awaits_deployment(self) -> bool:
        """It was decided to deploy it, and nothing was heard of it since."""
        return self.status == common_pb2.SUBTASK_STATUS_DEPLOYING

    def ref(self, job_id: str) -> common_pb2.SubtaskRef:
        return common_pb2.SubtaskRef(
            job_id=job_id, vertex_id=self.subtask.vertex, index=self.subtask.index, attempt=self.attempt
        )
