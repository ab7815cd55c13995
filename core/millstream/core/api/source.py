"""The source contract: splits, an enumerator in the JobManager, readers in the slots (the pattern of Flink's FLIP-27).

A *split* is a part of the input with a position: a byte range of a file, a range of numbers. The enumerator finds
splits and hands them to readers that ask; a reader turns splits into batches. Splits must be picklable and small. If
they have an order (``<``), a reader that is restored with several gets them in it.
Enumerators run in the JobManager, never see records, and are called from one thread at a time.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from millstream.core.clock import Clock
from millstream.core.elements.batch import Batch

SplitT = TypeVar("SplitT")


class Boundedness(enum.Enum):
    BOUNDED = "BOUNDED"
    CONTINUOUS_UNBOUNDED = "CONTINUOUS_UNBOUNDED"


class PollStatus(enum.Enum):
    """What a reader answers when it has no batch."""

    NOTHING_NOW = "nothing now"
    """Ask again after ``SourceReader.wait_s()`` or when the wake-up given at creation was called."""
    SPLIT_WANTED = "split wanted"
    """It has no split left; the task asks the enumerator for one."""
    END_OF_INPUT = "end of input"
    """It has no split left and was told that none will come."""


class SplitBatch:
    """A batch and the split it came from, so that watermarks are kept per split.

    ``side_outputs`` are ``(tag id, batch)`` pairs for records that do not belong to the main output (malformed rows).
    """

    __slots__ = ("batch", "side_outputs", "split_finished", "split_id")

    def __init__(
        self,
        batch: Batch,
        split_id: str,
        split_finished: bool = False,
        side_outputs: tuple[tuple[str, Batch], ...] = (),
    ) -> None:
        self.batch = batch
        self.split_id = split_id
        self.split_finished = split_finished
        self.side_outputs = side_outputs


class EnumeratorContext(ABC):
    """What an enumerator may do."""

    parallelism: int

    @abstractmethod
    def assign(self, splits: list[Any], subtask: int) -> None:
        """Hand splits to the reader of ``subtask``."""

    @abstractmethod
    def no_more_splits(self, subtask: int) -> None:
        """Tell the reader of ``subtask`` that it will get no further split."""

    @abstractmethod
    def ask_later(self, subtask: int, delay_ms: int) -> None:
        """There is no split now, but perhaps after ``delay_ms``: the reader of ``subtask`` asks again then."""


class SplitEnumerator(ABC, Generic[SplitT]):
    """Finds and assigns splits. No call may block for long: the JobManager waits for it on a worker thread."""

    def start(self) -> None:
        """Called once before any other call."""

    @abstractmethod
    def handle_split_request(self, subtask: int) -> None:
        """The reader of ``subtask`` has no split left: assign one, remember the wish, or say that there will be none or
        none yet."""

    def add_splits_back(self, splits: list[SplitT], subtask: int) -> None:
        """``subtask`` failed before these splits were part of a completed checkpoint."""
        raise RuntimeError(f"{type(self).__name__} takes no splits back")

    @abstractmethod
    def snapshot_state(self) -> Any:
        """Picklable state from which ``Source.restore_enumerator`` continues."""

    takes_out: ClassVar[bool] = False
    """Whether it has ``take_out``: then its state need not be copied for each split, where another JobManager may go on
    with it."""

    def take_out(self, splits: list[SplitT]) -> None:
        """Called after ``start`` of one that was restored: these were handed out since its state was taken."""
        raise RuntimeError(f"{type(self).__name__} cannot take splits out")

    def close(self) -> None:
        """Release what ``start`` took."""


class ReaderContext(ABC):
    """What a reader may use."""

    subtask_index: int
    parallelism: int
    clock: Clock

    @property
    @abstractmethod
    def batch_rows_max(self) -> int:
        """Upper bound of rows the next batch should have. It follows the cost of what is done with them: ask before
        each batch."""

    @property
    def column_rows_max(self) -> int:
        """The same bound for an Arrow batch: work on columns has a price a batch that many rows must share."""
        return self.batch_rows_max

    def slowest(self, split_ids: Sequence[str]) -> str:
        """Of splits that are read side by side (at least one), that whose event time is furthest behind."""
        return split_ids[0]

    @abstractmethod
    def wake_up(self) -> None:
        """Make the task loop poll again; the only method that other threads may call."""

    @abstractmethod
    def report_malformed(self, count: int) -> None:
        """Count records that were skipped because they do not parse."""


class SourceReader(ABC, Generic[SplitT]):
    """Turns splits into batches. Called by the task loop only, so it needs no locks.

    ``poll`` never blocks for long: local files may be read inline, anything that waits belongs in a thread of the
    reader's own that calls ``ReaderContext.wake_up``. Positions are those of the *next* record to read.
    """

    side_by_side: ClassVar[bool] = False
    """It reads all splits that it holds, not one after the other: each of them holds back the watermark."""

    def start(self) -> None:
        """Called once before the first poll."""

    @abstractmethod
    def poll(self) -> SplitBatch | PollStatus:
        """The next batch (at most ``batch_rows_max`` rows, ``column_rows_max`` if columnar), or why there is none."""

    @abstractmethod
    def add_splits(self, splits: list[SplitT]) -> None:
        """Splits to read, after those already held."""

    @abstractmethod
    def notify_no_more_splits(self) -> None:
        """No further ``add_splits`` follows."""

    @abstractmethod
    def snapshot_state(self) -> list[SplitT]:
        """The unread rest of every split held, each with its current position."""

    def wait_s(self) -> float | None:
        """After ``NOTHING_NOW``: seconds until polling makes sense (rate limit); None to wait for the wake-up."""
        return None

    def close(self) -> None:
        """Release files, sockets and threads. Called once, also after a failure."""


class Source(ABC, Generic[SplitT]):
    """Describes an input. Must be picklable."""

    boundedness: Boundedness = Boundedness.BOUNDED

    @abstractmethod
    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[SplitT]: ...

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[SplitT]:
        """An enumerator that continues from what ``snapshot_state`` returned."""
        raise RuntimeError(f"{type(self).__name__} cannot be restored")

    @abstractmethod
    def create_reader(self, context: ReaderContext) -> SourceReader[SplitT]: ...

    @property
    def parallelism_max(self) -> int | None:
        """A bound on useful parallelism (1 for a socket); None for no bound."""
        return None

    @property
    def produced_type(self) -> Any:
        """TypeInformation of the records, or None when unknown."""
        return None

    def column_types(self) -> Mapping[str, type] | None:
        """``int``, ``float`` or ``str`` by column, of a source that could emit Arrow batches instead of dicts."""
        return None

    def in_time_order(self) -> Source[SplitT]:
        """The same source for a reader of event time: records of different splits come about in the order of their
        times, where the source can do that."""
        return self

    def columnar(self) -> Source[SplitT]:
        """The same source with Arrow batches, where ``column_types`` is not None. Records that do not fit the columns
        may still come as dicts."""
        raise RuntimeError(f"{type(self).__name__} has no columns")
