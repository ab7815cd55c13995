"""What a task needs of its slot to take part in checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from millstream.core.errors import MillstreamError
from millstream.taskmanager.operators.snapshots import OperatorSnapshot

if TYPE_CHECKING:
    from millstream.taskmanager.task.task import Task

Snapshots = Sequence[tuple[str, OperatorSnapshot]]
"""By operator id."""


class CheckpointServices(Protocol):
    """Writes snapshots and tells the JobManager."""

    exactly_once: bool
    """Whether barriers are aligned."""

    def write(self, task: Task, checkpoint_id: int, snapshots: Snapshots, sync_s: float, alignment_s: float) -> None:
        """Write beside the task, then acknowledge."""
        ...

    def decline(self, task: Task, checkpoint_id: int, error: MillstreamError) -> None:
        """The task cannot take part in this checkpoint."""
        ...
