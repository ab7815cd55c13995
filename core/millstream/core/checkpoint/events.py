"""Kinds of the events by which the JobManager drives checkpoints; their payload is a ``TriggerCheckpoint``."""

from typing import Final

TRIGGER: Final = "checkpoint.trigger"
COMPLETED: Final = "checkpoint.completed"
ABORTED: Final = "checkpoint.aborted"
