"""The sink contract. Two-phase commit joins it together with checkpoints."""

from __future__ import annotations

from abc import ABC, abstractmethod

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
        """End of input: make everything written visible to readers. Not called when the job fails or is cancelled."""

    def on_time(self, wall_ms: int) -> None:
        """Called now and then (at least once a second) for roll-over by age."""

    def close(self) -> None:
        """Release resources. Called once, also after a failure; must not publish unflushed records."""


class Sink(ABC):
    """Describes an output. Must be picklable."""

    @abstractmethod
    def create_writer(self, context: SinkContext) -> SinkWriter: ...
