"""The life of a task inside its slot process, as a table.

The JobManager sees a coarser life (``SubtaskStatus``); ``REPORTED`` maps one to the other.
"""

from __future__ import annotations

import enum
from typing import Final

from millstream.core.errors import invariant
from millstream.proto.v1 import common_pb2


class TaskPhase(enum.Enum):
    """What a task is doing."""

    CREATED = "created"
    """Deployed; user code is not loaded yet."""
    RUNNING = "running"
    """Operators are open and take input."""
    DRAINING = "draining"
    """All input has ended and was processed; output waits to be taken by its consumers."""
    FINISHED = "finished"
    CANCELED = "canceled"
    FAILED = "failed"


_EDGES: Final = {
    TaskPhase.CREATED: {TaskPhase.RUNNING, TaskPhase.CANCELED, TaskPhase.FAILED},
    TaskPhase.RUNNING: {TaskPhase.DRAINING, TaskPhase.CANCELED, TaskPhase.FAILED},
    TaskPhase.DRAINING: {TaskPhase.FINISHED, TaskPhase.CANCELED, TaskPhase.FAILED},
    TaskPhase.FINISHED: set[TaskPhase](),
    TaskPhase.CANCELED: set[TaskPhase](),
    TaskPhase.FAILED: set[TaskPhase](),
}

REPORTED: Final = {
    TaskPhase.CREATED: common_pb2.SUBTASK_STATUS_INITIALIZING,
    TaskPhase.RUNNING: common_pb2.SUBTASK_STATUS_RUNNING,
    TaskPhase.FINISHED: common_pb2.SUBTASK_STATUS_FINISHED,
    TaskPhase.CANCELED: common_pb2.SUBTASK_STATUS_CANCELED,
    TaskPhase.FAILED: common_pb2.SUBTASK_STATUS_FAILED,
}
"""Phases the JobManager is told of, with the status it knows them by."""

ENDED: Final = frozenset({TaskPhase.FINISHED, TaskPhase.CANCELED, TaskPhase.FAILED})


def check_edge(old: TaskPhase, new: TaskPhase, task: str) -> None:
    """Raise ``InvariantViolation`` unless ``old`` may become ``new``."""
    invariant(new in _EDGES[old], f"task {task} cannot go from {old.value} to {new.value}")
