"""The watermark of a source subtask: the smallest over its splits, each with its own generator and idleness.

A source reads splits in turn (files, partitions), whose event times have nothing to do with each other; one generator
for all would drop the rows of the slower ones as late. A split counts from its registration until it finishes. With no
split left the watermark stays where it is: the end of the input, or the next split, moves it on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from millstream.core.api.watermarks import WatermarkStrategy
from millstream.core.clock import Clock
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import MIN_WATERMARK_MS, Watermark, WatermarkStatus
from millstream.core.event_time.stamping import BatchStamper


class SplitWatermarks:
    """Stamps the batches of the splits of one source subtask, and merges their watermarks."""

    def __init__(self, strategy: WatermarkStrategy, clock: Clock) -> None:
        self._strategy = strategy
        self._clock = clock
        self._stampers: dict[str, BatchStamper] = {}
        self._merged_ms = MIN_WATERMARK_MS
        self._merged_idle = False
        self._last_ms = MIN_WATERMARK_MS  # of the last split, when none is left
        self.failed_record: object = None
        """The record on which the user's assigner raised last."""

    def add_splits(self, split_ids: Iterable[str]) -> None:
        """These splits are assigned: from now on they hold back the watermark until they have records or are idle.

        Optional: a split not announced counts from its first batch. Announce splits that are read concurrently; do not
        announce those that wait for their turn, or event time stands still until they are read.
        """
        for split_id in split_ids:
            self._stampers.setdefault(split_id, BatchStamper(self._strategy, self._clock))

    def slowest(self, split_ids: Sequence[str]) -> str:
        """The split whose watermark is furthest behind; one that has none yet comes first."""

        def reached(split_id: str) -> int:
            stamper = self._stampers.get(split_id)
            mark = None if stamper is None else stamper.watermark()
            return MIN_WATERMARK_MS if mark is None else mark

        return min(split_ids, key=reached)

    def stamp(self, split_id: str, batch: Batch) -> Batch:
        """``batch`` with event times. Raises what the user's assigner raises."""
        stamper = self._stampers.get(split_id)
        if stamper is None:
            stamper = self._stampers[split_id] = BatchStamper(self._strategy, self._clock)
        try:
            return stamper.stamp(batch)
        except Exception:
            self.failed_record = stamper.failed_record
            raise

    def finish_split(self, split_id: str) -> None:
        """The split has no further record; it no longer counts once ``poll`` saw its last watermark."""
        stamper = self._stampers.pop(split_id, None)
        if stamper is not None and not self._stampers:
            self._last_ms = max(self._last_ms, stamper.watermark() or MIN_WATERMARK_MS)

    def poll(self) -> list[Watermark | WatermarkStatus]:
        """What changed since the last call, in the order to emit it: at most one status and one watermark."""
        changes: list[Watermark | WatermarkStatus] = []
        active = [stamper for stamper in self._stampers.values() if not stamper.is_idle()]
        idle = bool(self._stampers) and not active
        if idle != self._merged_idle:
            self._merged_idle = idle
            changes.append(WatermarkStatus(idle=idle))
        if self._stampers:
            marks = [stamper.watermark() for stamper in active]
            least_ms = min((MIN_WATERMARK_MS if mark is None else mark for mark in marks), default=MIN_WATERMARK_MS)
        else:
            least_ms = self._last_ms
        if least_ms > self._merged_ms:
            self._merged_ms = least_ms
            changes.append(Watermark(least_ms))
        return changes

    def ms_until_idle(self) -> int | None:
        """Milliseconds until a split may become idle and ``poll`` should be asked again; None for never."""
        waits = [s.ms_until_idle() for s in self._stampers.values() if not s.is_idle()]
        return min((wait for wait in waits if wait is not None), default=None)
