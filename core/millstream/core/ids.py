"""Identifiers, each a type of its own so that mypy refuses a job id where a slot id belongs."""

from __future__ import annotations

from typing import NamedTuple, NewType

JobId = NewType("JobId", str)
"""32 hexadecimal digits, drawn by the client that submits."""

VertexId = NewType("VertexId", str)
"""A job vertex (a chain of operators), unique within its job and stable across submissions of the same program."""

OperatorId = NewType("OperatorId", str)
"""One operator of the stream graph; derived from the uid where the user gave one."""

TaskManagerId = NewType("TaskManagerId", str)
"""Drawn by a TaskManager process at each start: a restarted TaskManager is a new one."""

BlobKey = NewType("BlobKey", str)
"""SHA-256 of a blob's content, 64 hexadecimal digits."""

AttemptNumber = NewType("AttemptNumber", int)
"""Counts the executions of one subtask from 0; higher fences lower."""


class SlotId(NamedTuple):
    """A slot of one TaskManager: its index there, from 0."""

    taskmanager: TaskManagerId
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls on an id

    def __str__(self) -> str:
        return f"{self.taskmanager}/slot-{self.index}"


class SubtaskId(NamedTuple):
    """One parallel instance of a vertex: ``index`` of ``parallelism`` (the latter is the vertex's, not held here)."""

    vertex: VertexId
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody calls on an id

    def __str__(self) -> str:
        return f"{self.vertex}[{self.index}]"


class PartitionId(NamedTuple):
    """What one producer subtask writes to one job edge.

    ``attempt`` is the producer's: a consumer of an older attempt is refused.
    """

    edge: int
    producer: int
    attempt: int

    def __str__(self) -> str:
        return f"edge-{self.edge}/{self.producer}#{self.attempt}"


class ChannelId(NamedTuple):
    """One logical connection: the part of ``partition`` that consumer subtask ``consumer`` reads."""

    partition: PartitionId
    consumer: int

    def __str__(self) -> str:
        return f"{self.partition}->{self.consumer}"
