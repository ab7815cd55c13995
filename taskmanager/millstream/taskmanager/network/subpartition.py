"""The queue between a producer and one consumer subtask, on the producer's side.

Holds elements by reference, not bytes: a consumer in the same process takes them as they are; for a remote one they are
encoded only when there is credit. Until then small batches that wait side by side are merged, so batches grow with
load. Flow control asks ``is_full``, which counts estimated bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np

from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.elements.control import Element, EndOfData

MERGED_ROWS_MAX: Final = 16_384
ELEMENTS_MAX: Final = 64


class Subpartition:
    """Elements for one consumer, oldest first."""

    def __init__(self, queue_bytes_max: int, merge_bytes: int) -> None:
        self._elements: deque[tuple[Element, int]] = deque()
        self._queue_bytes_max = queue_bytes_max
        self._merge_bytes = merge_bytes
        self.queued_bytes = 0
        self.queued_since_s: float | None = None
        self.abandoned = False
        """The consumer wants no more: everything is dropped."""
        self.end_taken = False
        """The consumer took the end of the data."""
        self.on_data: Callable[[], None] | None = None
        """Called after each element; set by whoever reads."""

    def add(self, element: Element, now_s: float) -> None:
        if self.abandoned:
            return
        size = element.estimated_bytes() if isinstance(element, ObjectBatch | ArrowBatch) else 0
        if not self._elements:
            self.queued_since_s = now_s
        self._elements.append((element, size))
        self.queued_bytes += size
        if self.on_data is not None:
            self.on_data()

    def take(self) -> Element | None:
        """The next element; object batches that wait behind each other come merged, up to a bound."""
        if not self._elements:
            return None
        element, size = self._elements.popleft()
        self.queued_bytes -= size
        if isinstance(element, ObjectBatch) and self._elements and size < self._merge_bytes:
            element = self._merge(element, size)
        if not self._elements:
            self.queued_since_s = None
        if isinstance(element, EndOfData):
            self.end_taken = True
        return element

    def put_back(self, batch: Batch) -> None:
        """Return the rest of a batch that was taken and cut."""
        size = batch.estimated_bytes()
        self._elements.appendleft((batch, size))
        self.queued_bytes += size

    def _merge(self, first: ObjectBatch, size: int) -> ObjectBatch:
        parts, rows = [first], first.num_rows
        while self._elements:
            following, following_size = self._elements[0]
            if (
                not isinstance(following, ObjectBatch)
                or size + following_size > self._merge_bytes
                or rows + following.num_rows > MERGED_ROWS_MAX
                or (following.timestamps is None) != (first.timestamps is None)
            ):
                break
            self._elements.popleft()
            self.queued_bytes -= following_size
            parts.append(following)
            rows += following.num_rows
            size += following_size
        return first if len(parts) == 1 else merge_batches(parts)

    def abandon(self) -> None:
        """The consumer is gone or has enough."""
        self.abandoned = True
        self._elements.clear()
        self.queued_bytes = 0
        self.queued_since_s = None

    def is_full(self) -> bool:
        return self.queued_bytes >= self._queue_bytes_max or len(self._elements) >= ELEMENTS_MAX

    def is_drained(self) -> bool:
        """The consumer has everything, or wants nothing."""
        return self.abandoned or self.end_taken

    @property
    def queued_elements(self) -> int:
        return len(self._elements)

    def wants_flush(self) -> bool:
        """Something waits that is worth sending without waiting for more."""
        return bool(self._elements) and (
            self.queued_bytes >= self._merge_bytes or not isinstance(self._elements[-1][0], ObjectBatch)
        )


def merge_batches(parts: list[ObjectBatch]) -> ObjectBatch:
    """One batch of all rows in order. All parts have timestamps, or none has."""
    values = [value for part in parts for value in part.values]
    timestamps = None
    if parts[0].timestamps is not None:
        timestamps = np.concatenate([part.timestamps for part in parts if part.timestamps is not None])
    keys = None
    if all(part.keys is not None for part in parts):
        keys = [key for part in parts for key in part.keys or ()]
    return ObjectBatch(values, timestamps, keys)
