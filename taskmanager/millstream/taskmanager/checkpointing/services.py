"""What a task needs of its slot to take part in checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from millstream.core.errors import MillstreamError

if TYPE_CHECKING:
    from millstream.taskmanager.checkpointing.task_snapshot import TaskSnapshot
    from millstream.taskmanager.task.context import SubtaskInfo


class CheckpointServices(Protocol):
    """Writes snapshots and tells the JobManager."""

    @property
    def exactly_once(self) -> bool:
        """Whether barriers are aligned."""
        ...

    def write(self, info: SubtaskInfo, snapshot: TaskSnapshot) -> None:
        """Write beside the task what was taken, then acknowledge."""
        ...

    def decline(self, info: SubtaskInfo, checkpoint_id: int, error: MillstreamError) -> None:
        """The task cannot take part in this checkpoint."""
        ...
