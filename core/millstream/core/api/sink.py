"""The sink contract, and two-phase commit for sinks whose results must not come twice.

A committing sink writes so that nobody sees it, hands the checkpoint what it would take to make it visible, and makes
it visible when the checkpoint is complete. A job that fails in between starts from that checkpoint and commits again,
so committing the same thing twice must do no more than once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from millstream.core.clock import Clock
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import Watermark


class SinkContext(ABC):
    """What a writer may use."""

    job_id: str
    operator_id: str
    subtask_index: int
    parallelism: int
    attempt: int
    clock: Clock
    has_checkpoints: bool
    """Whether ``prepare_commit`` will be called: without checkpoints a committing writer commits on its own."""


class SinkWriter(ABC):
    """Writes what one subtask receives. Called by the task loop only."""

    def open(self) -> None:
        """Called once before the first write."""

    @abstractmethod
    def write(self, batch: Batch) -> None:
        """Take the whole batch; may buffer."""

    def write_watermark(self, watermark: Watermark) -> None:
        """The watermark passed all records written so far."""

    def flush(self) -> None:
        """Before each checkpoint and at the end of the input: keep nothing written back in memory.

        Not called when the job fails or is cancelled.
        """

    def on_time(self, wall_ms: int) -> None:
        """Called now and then (at least once a second) for roll-over by age."""

    def close(self) -> None:
        """Release resources. Called once, also after a failure; must not publish unflushed records."""


class Sink(ABC):
    """Describes an output. Must be picklable."""

    @abstractmethod
    def create_writer(self, context: SinkContext) -> SinkWriter: ...


class CommittingSinkWriter(SinkWriter):
    """The writer of a ``CommittingSink``."""

    @abstractmethod
    def prepare_commit(self) -> list[Any]:
        """Finish what was written up to now, durably but invisibly: picklable *committables*, perhaps none.

        Called at each checkpoint. From then on what was written belongs to them: ``close`` must not remove it. An error
        fails the task, which starts again from the last checkpoint: what was written may be lost.
        """


class CommittingSink(Sink):
    """A sink whose results are visible exactly once."""

    @abstractmethod
    def create_writer(self, context: SinkContext) -> CommittingSinkWriter: ...

    @abstractmethod
    def commit(self, committable: Any) -> None:
        """Make it visible. Called after its checkpoint is complete, and again after a restart that cannot know whether
        it was; the second time must change nothing."""

    def clean_up(self, context: SinkContext, kept: list[Any]) -> None:
        """Before the first write of an attempt: remove what earlier attempts of this subtask left, except ``kept``.

        ``kept`` are the committables of all subtasks; others may still be committing theirs.
        """
