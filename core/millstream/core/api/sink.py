"""The sink contract, and two-phase commit for sinks whose results must not come twice.

A committing sink writes so that nobody sees it, hands the checkpoint what it would take to make it visible, and makes
it visible when the checkpoint is complete. The life of what was written between two checkpoints, a *committable*:

1. ``prepare_commit`` makes it at a checkpoint's barrier, durable and invisible.
2. ``commit`` makes it visible when that checkpoint, or a later one, is complete.
3. A job that fails in between starts from its last complete checkpoint. What that holds is given to
   ``recover_and_commit``, which cannot know whether it was committed before the failure.
4. What no complete checkpoint holds is given up by ``abort``: its records come again. Either the ending attempt knows,
   because it was told that the checkpoint was given up, or the next one finds what was left, in ``clean_up``.

A checkpoint that is given up while the job goes on aborts nothing: its committables are part of the next one.
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
    """A sink whose results are visible exactly once. Its methods may be called for one committable more than once."""

    @abstractmethod
    def create_writer(self, context: SinkContext) -> CommittingSinkWriter: ...

    @abstractmethod
    def commit(self, committable: Any) -> None:
        """Make it visible: its checkpoint is complete. The second time must change nothing.

        An error fails the task; the next attempt starts from that checkpoint, or a later one, and commits again.
        """

    def recover_and_commit(self, committable: Any) -> None:
        """Make it visible unless it is: the job starts from a checkpoint that holds it. ``commit`` unless overridden.

        Perhaps in another process, on another machine, long after ``prepare_commit``, and of a job that starts from a
        savepoint. Raise an error when the committable is lost: the job must not go on without its records.
        """
        self.commit(committable)

    @abstractmethod
    def abort(self, committable: Any) -> None:
        """Give it up, without a trace for readers: no complete checkpoint holds it, so its records come again.

        Called when the attempt that prepared it ends, if all checkpoints that could hold it were given up before; from
        ``clean_up`` for those of attempts that could not do so. Must do nothing when there is nothing left to give up.
        An error at the end of an attempt is logged; the next one may try again in ``clean_up``.
        """

    def clean_up(self, context: SinkContext, kept: list[Any]) -> None:
        """Before the first write of an attempt: abort what earlier attempts of this subtask left, except ``kept``.

        A process that is killed cannot abort, so a sink needs a way to find what it has prepared: by its name, say.
        ``kept`` are the committables of all subtasks; others may still be committing theirs.
        """
