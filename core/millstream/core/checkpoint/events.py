"""Kinds of the events by which the JobManager drives checkpoints; the payload of its own is a ``TriggerCheckpoint``."""

from typing import Final

TRIGGER: Final = "checkpoint.trigger"
COMPLETED: Final = "checkpoint.completed"
ABORTED: Final = "checkpoint.aborted"
AWAIT_COMMIT: Final = "await_commit"
"""From a sink to the JobManager: all is written, and only a checkpoint can make it visible."""
