"""Writes down everything an operator emits, and checks the promises of its contract on the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from millstream.core.elements.batch import NO_TIMESTAMP_MS, ArrowBatch, Batch, ObjectBatch, RowKind
from millstream.core.elements.control import MIN_WATERMARK_MS, LatencyMarker, Watermark, WatermarkStatus
from millstream.core.errors import invariant


class TimedValue(NamedTuple):
    """A record and its event time in milliseconds; None without one."""

    value: Any
    timestamp_ms: int | None


class Change(NamedTuple):
    """A row of an Arrow batch and what it does: ``+I``, ``-U``, ``+U`` or ``-D``."""

    kind: str
    row: tuple[Any, ...]


@dataclass
class RecordedOutput:
    """Implements ``Output`` of the operator contract. Batches are taken apart, since their sizes mean nothing."""

    records: list[TimedValue] = field(default_factory=list)
    changelog: list[Change] = field(default_factory=list)
    """The rows of Arrow batches of the main output, with their kinds."""
    side_outputs: dict[str, list[TimedValue]] = field(default_factory=dict)
    watermarks_ms: list[int] = field(default_factory=list)
    statuses: list[bool] = field(default_factory=list)
    """True for every change to idle, False for every change to active."""
    latency_markers: list[LatencyMarker] = field(default_factory=list)
    batch_rows_max: int = 0
    """Rows of the largest batch emitted so far."""

    def emit(self, batch: Batch) -> None:
        self.batch_rows_max = max(self.batch_rows_max, batch.num_rows)
        self.records.extend(rows_of(batch))
        if isinstance(batch, ArrowBatch):
            self.changelog.extend(changes_of(batch))

    def emit_side(self, tag_id: str, batch: Batch) -> None:
        self.side_outputs.setdefault(tag_id, []).extend(rows_of(batch))

    def emit_watermark(self, watermark: Watermark) -> None:
        before_ms = self.watermarks_ms[-1] if self.watermarks_ms else MIN_WATERMARK_MS
        invariant(watermark.timestamp_ms >= before_ms, f"watermark {watermark.timestamp_ms} after {before_ms}")
        self.watermarks_ms.append(watermark.timestamp_ms)

    def emit_status(self, status: WatermarkStatus) -> None:
        self.statuses.append(status.idle)

    def emit_latency_marker(self, marker: LatencyMarker) -> None:
        self.latency_markers.append(marker)


def rows_of(batch: Batch) -> list[TimedValue]:
    """The rows of a batch of either kind."""
    values: list[Any] = batch.values if isinstance(batch, ObjectBatch) else batch.records.to_pylist()
    if batch.timestamps is None:
        return [TimedValue(value, None) for value in values]
    times = [None if time == NO_TIMESTAMP_MS else time for time in batch.timestamps.tolist()]
    return [TimedValue(value, time) for value, time in zip(values, times, strict=True)]


def changes_of(batch: ArrowBatch) -> list[Change]:
    """The rows of an Arrow batch with their kinds."""
    columns = [column.to_pylist() for column in batch.records.columns]
    rows = list(zip(*columns, strict=True)) if columns else [()] * batch.num_rows
    if batch.row_kinds is None:
        return [Change("+I", row) for row in rows]
    return [Change(str(RowKind(kind)), row) for kind, row in zip(batch.row_kinds.tolist(), rows, strict=True)]
