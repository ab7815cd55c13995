"""Gives batches their event times and follows the watermark of one split (or one subtask).

``BatchStamper`` is a ``WatermarkStrategy`` at work. Its cost per batch is one pass of the user's assigner, or nothing
when the source already gave event times, plus one ``max``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime
from inspect import Parameter, signature
from typing import Any

import numpy as np

from millstream.core.api.watermarks import TimestampAssigner, TimestampField, WatermarkStrategy
from millstream.core.clock import Clock
from millstream.core.elements.batch import NO_TIMESTAMP_MS, ArrowBatch, Batch, ObjectBatch, Timestamps
from millstream.core.elements.control import MIN_WATERMARK_MS
from millstream.core.errors import RecordTypeError
from millstream.core.event_time.idleness import IdlenessTracker


class BatchStamper:
    """Stamps batches by ``strategy`` and keeps their watermark, which never goes back."""

    def __init__(self, strategy: WatermarkStrategy, clock: Clock) -> None:
        self._generator = strategy.new_generator()
        self._idleness = IdlenessTracker(strategy.idle_timeout_ms, clock)
        self._watermark_ms = MIN_WATERMARK_MS
        self._column_of = _column_reader(strategy)
        self.failed_record: Any = None
        """The record on which the user's assigner raised, for the error message."""

    def stamp(self, batch: Batch) -> Batch:
        """``batch`` with event times (the same object when nothing changes); the watermark moves along.

        Raises what the user's assigner raises, and ``RecordTypeError`` when it returns no time.
        """
        if batch.num_rows == 0:
            return batch
        self._idleness.record_seen()
        if self._column_of is not None:
            timestamps = self._column_of(batch, self)
            if isinstance(batch, ObjectBatch):
                batch = ObjectBatch(batch.values, timestamps, batch.keys)
            else:
                batch = ArrowBatch(batch.records, timestamps, batch.row_kinds)
        if self._generator.reads_columns:
            self._generator.on_columns(batch)
        elif batch.timestamps is not None:
            self._generator.on_batch(batch, batch.timestamps)
        return batch

    def watermark(self) -> int | None:
        """The current watermark in milliseconds; None while there is none."""
        self._watermark_ms = max(self._watermark_ms, self._generator.current_watermark_ms())
        return None if self._watermark_ms == MIN_WATERMARK_MS else self._watermark_ms

    def is_idle(self) -> bool:
        """True when no record came for the strategy's idle timeout."""
        return self._idleness.is_idle()

    def ms_until_idle(self) -> int | None:
        """When to ask ``is_idle`` again; None when the strategy has no idleness."""
        return self._idleness.ms_until_idle()

    def restore(self, watermark_ms: int | None) -> None:
        """Continue from what ``watermark`` returned before a snapshot."""
        if watermark_ms is not None:
            self._watermark_ms = max(self._watermark_ms, watermark_ms)


_ColumnReader = Callable[[Batch, BatchStamper], Timestamps]


def _column_reader(strategy: WatermarkStrategy) -> _ColumnReader | None:
    assigner = strategy.assigner
    if assigner is None:
        return None
    if isinstance(assigner, TimestampField):
        return _field_reader(assigner.field)
    if isinstance(assigner, TimestampAssigner):
        return _calling(assigner.extract_timestamp, with_record_timestamp=True)
    return _calling(assigner, with_record_timestamp=_wants_two(assigner))


def _calling(function: Callable[..., Any], with_record_timestamp: bool) -> _ColumnReader:
    def read(batch: Batch, stamper: BatchStamper) -> Timestamps:
        values: list[Any] = batch.values if isinstance(batch, ObjectBatch) else batch.records.to_pylist()
        pending = iter(values)
        try:
            if with_record_timestamp:
                given = [NO_TIMESTAMP_MS] * len(values) if batch.timestamps is None else batch.timestamps.tolist()
                times = [function(value, before) for value, before in zip(pending, given, strict=True)]
            else:
                times = [function(value) for value in pending]
        except Exception:
            stamper.failed_record = values[len(values) - operator.length_hint(pending) - 1]
            raise
        return _as_column(times, values, stamper)

    return read


def _field_reader(field: int | str) -> _ColumnReader:
    def read(batch: Batch, stamper: BatchStamper) -> Timestamps:
        if isinstance(batch, ArrowBatch):
            return _arrow_column(batch, field)
        values, times = batch.values, []
        for value in values:
            try:
                times.append(
                    value[field] if not isinstance(field, str) or isinstance(value, dict) else _at(value, field)
                )
            except (KeyError, IndexError, AttributeError, TypeError):
                stamper.failed_record = value
                raise RecordTypeError(
                    f"the event time field {field!r} is missing in the record {value!r:.200}. "
                    "Check the name given to with_timestamp_assigner."
                ) from None
        return _as_column(times, values, stamper)

    return read


def _at(value: Any, field: str) -> Any:
    try:
        return getattr(value, field)
    except AttributeError:
        return value[field]


def _arrow_column(batch: ArrowBatch, field: int | str) -> Timestamps:
    import pyarrow as pa

    names = batch.records.schema.names
    if isinstance(field, str) and field not in names:
        raise RecordTypeError(
            f"the event time column {field!r} is missing; the columns are {', '.join(names)}. "
            "Check the name given to with_timestamp_assigner."
        )
    column = batch.records.column(field)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms", getattr(column.type, "tz", None)), safe=False)
    elif not pa.types.is_integer(column.type):
        raise RecordTypeError(
            f"the event time column {field!r} has type {column.type}. "
            "It must be an integer (milliseconds) or a timestamp."
        )
    column = column.cast(pa.int64(), safe=False)
    if column.null_count:
        column = column.fill_null(NO_TIMESTAMP_MS)
    times: Timestamps = column.to_numpy(zero_copy_only=False)
    return times


def _as_column(times: list[Any], values: list[Any], stamper: BatchStamper) -> Timestamps:
    if set(map(type, times)) == {int}:
        try:
            return np.array(times, dtype=np.int64)
        except OverflowError:
            pass  # the slow way below finds the record
    column = np.empty(len(times), dtype=np.int64)
    for row, time in enumerate(times):
        try:
            column[row] = _milliseconds(time)
        except (TypeError, ValueError, OverflowError):
            stamper.failed_record = values[row]
            raise RecordTypeError(
                f"the timestamp assigner returned {time!r:.100} ({type(time).__name__}) for the record "
                f"{values[row]!r:.200}. It must return milliseconds since 1970 as an int, or a datetime."
            ) from None
    return column


def _milliseconds(time: Any) -> int:
    if isinstance(time, datetime):
        aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        since = aware - _EPOCH
        return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    if isinstance(time, bool | str | bytes) or time is None:
        raise TypeError
    return int(time)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _wants_two(function: Callable[..., Any]) -> bool:
    """True when ``function`` takes (value, record_timestamp), False when it takes the value only."""
    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return False  # a builtin such as operator.itemgetter(0)
    positional = [p for p in parameters if p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is Parameter.empty]
    return len(required) >= 2 or any(p.kind is Parameter.VAR_POSITIONAL for p in parameters)
