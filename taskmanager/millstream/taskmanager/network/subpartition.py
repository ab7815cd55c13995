"""The queue between a producer and one consumer subtask, on the producer's side.

Holds elements by reference, not bytes: a consumer in the same process takes them as they are; for a remote one they are
encoded only when there is credit. Until then small batches that wait side by side are merged, so batches grow with
load. Flow control asks ``is_full``, which counts estimated bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.elements.control import Barrier, Element, LatencyMarker, Watermark
from millstream.core.errors import MillstreamError
from millstream.taskmanager.network.coalescing import MERGED_ROWS_MAX, batch_bytes, can_merge, merge_batches

ELEMENTS_MAX: Final = 256


class Subpartition:
    """Elements for one consumer, oldest first."""

    def __init__(self, queue_bytes_max: int, segment_bytes: int) -> None:
        self.queued_bytes = 0
        """Estimate, rows only."""
        self.drained = False
        """The consumer took the end of the data, or wants no more; whatever is added is dropped."""
        self.has_reader = False
        self.on_data: Callable[[], None] | None = None
        """Called after each element; set by a local reader."""
        self.on_failure: Callable[[MillstreamError], None] | None = None
        """Called when the producer ends before its data was taken; set by whoever reads."""
        self._elements: deque[tuple[Element, int]] = deque()
        self._queue_bytes_max = queue_bytes_max
        self._segment_bytes = segment_bytes
        self._urgent = 0

    def add(self, element: Element) -> None:
        """Queue an element, whether or not there is room: the producer asks before it makes one."""
        if self.drained:
            return
        elements = self._elements
        if isinstance(element, ObjectBatch | ArrowBatch):
            size = batch_bytes(element)
            self.queued_bytes += size
        else:
            size = 0
            if isinstance(element, Watermark):
                if elements and isinstance(elements[-1][0], Watermark):
                    elements.pop()  # the later one says it all
            elif not isinstance(element, LatencyMarker):
                self._urgent += 1
        elements.append((element, size))
        if self.on_data is not None:
            self.on_data()

    def take(self) -> Element | None:
        """The next element; batches that wait behind each other come merged, up to a segment."""
        taken = self.take_sized()
        return None if taken is None else taken[0]

    def take_sized(self) -> tuple[Element, int] | None:
        """The same with its estimated bytes."""
        if not self._elements:
            return None
        element, size = self._elements.popleft()
        if isinstance(element, ObjectBatch | ArrowBatch):
            self.queued_bytes -= size
            return self._merge(element, size) if self._elements and size < self._segment_bytes else (element, size)
        if not isinstance(element, Watermark | LatencyMarker):
            self._urgent -= 1
        return element, 0

    def ends(self) -> tuple[Element, ...]:
        """The first and the last element; they stay."""
        return (self._elements[0][0], self._elements[-1][0]) if self._elements else ()

    def add_first(self, barrier: Barrier) -> None:
        """A barrier that overtakes everything."""
        if not self.drained:
            self._elements.appendleft((barrier, 0))
            self._urgent += 1
            if self.on_data is not None:
                self.on_data()

    def batches(self, before: Barrier | None = None) -> list[Batch]:
        """What waits, or what waits before a barrier that does."""
        found: list[Batch] = []
        for element, _ in self._elements:
            if element is before:
                break
            if isinstance(element, ObjectBatch | ArrowBatch):
                found.append(element)
        return found

    def barrier(self, checkpoint_id: int) -> Barrier | None:
        """That of the checkpoint, if it waits here."""
        if self._urgent:
            for element, _ in self._elements:
                if isinstance(element, Barrier) and element.checkpoint_id == checkpoint_id:
                    return element
        return None

    def remove(self, barrier: Barrier) -> None:
        """Take a barrier out of its place."""
        self._elements.remove((barrier, 0))
        self._urgent -= 1

    def put_back(self, batch: Batch, size: int) -> None:
        """Return the rest of a batch that was taken and cut; ``size`` is its share of the estimate."""
        self._elements.appendleft((batch, size))
        self.queued_bytes += size

    def _merge(self, first: Batch, size: int) -> tuple[Batch, int]:
        parts, rows = [first], first.num_rows
        elements = self._elements
        while elements and size < self._segment_bytes:
            following, following_size = elements[0]
            if (
                not isinstance(following, ObjectBatch | ArrowBatch)
                or size + following_size > self._segment_bytes
                or rows + following.num_rows > MERGED_ROWS_MAX
                or not can_merge(first, following)
            ):
                break
            elements.popleft()
            self.queued_bytes -= following_size
            parts.append(following)
            rows += following.num_rows
            size += following_size
        return merge_batches(parts), size

    def is_worth_sending(self) -> bool:
        """Enough rows wait to fill a segment, or an element that should not wait for more."""
        return self._urgent > 0 or self.queued_bytes >= self._segment_bytes or len(self._elements) >= ELEMENTS_MAX

    def is_full(self) -> bool:
        return self.queued_bytes >= self._queue_bytes_max or len(self._elements) >= ELEMENTS_MAX

    def backlog(self) -> int:
        """Segments that wait, by estimate."""
        return max(len(self._elements) and 1, -(-self.queued_bytes // self._segment_bytes))

    @property
    def queued_elements(self) -> int:
        return len(self._elements)

    def drain(self) -> None:
        """The consumer took the end or wants no more."""
        self.drained = True
        self._elements.clear()
        self.queued_bytes = self._urgent = 0

    def fail(self, failure: MillstreamError) -> None:
        """The producer ends early: tell the reader."""
        if not self.drained and self.on_failure is not None:
            self.on_failure(failure)
