"""WATERMARK FOR at the source: the greatest value of an expression over the rows of one split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.api.watermarks import WatermarkGenerator, WatermarkStrategy
from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.elements.control import MIN_WATERMARK_MS
from millstream.core.errors import ErrorPlace, MalformedRecordError, RecordTypeError
from millstream.core.table.expressions import Call, Expression, Literal
from millstream.core.table.functions.function import EvaluationContext
from millstream.core.table.row_type import RowType

_PER_MS: Final = {"s": 1, "ms": 1, "us": 1000, "ns": 1_000_000}
_PREVIEW: Final = 300


@dataclass(frozen=True)
class ExpressionWatermarks:
    """Makes the generators of a table. Expressions are over the columns of the source.

    ``name``: of the column with the event time, which ``rowtime`` computes; ``expression``: the watermark.
    """

    row: RowType
    name: str
    rowtime: Expression
    expression: Expression
    time_zone: str

    def __call__(self) -> WatermarkGenerator:
        return _ExpressionGenerator(self)

    def strategy(self, idle_timeout_ms: int) -> WatermarkStrategy:
        """``idle_timeout_ms``: 0 for never idle."""
        return WatermarkStrategy(self, idle_timeout_ms=idle_timeout_ms or None)


class _ExpressionGenerator(WatermarkGenerator):
    reads_columns: ClassVar[bool] = True

    def __init__(self, made_by: ExpressionWatermarks) -> None:
        from millstream.core.table.evaluation import compile_projections

        self._name = made_by.name
        self._express = compile_projections((made_by.rowtime, made_by.expression), made_by.row)
        self._rowtime = compile_projections((made_by.rowtime,), made_by.row)
        self._follows = _follows(made_by.expression, made_by.rowtime)
        self._zone = ZoneInfo(made_by.time_zone)
        self._greatest_ms = MIN_WATERMARK_MS

    def on_columns(self, batch: Batch) -> None:
        if not isinstance(batch, ArrowBatch):
            raise RecordTypeError(f"the source of a table sent Python records: {batch!r}")
        records = batch.records
        if records.num_rows == 0:
            return
        (rowtime,) = self._rowtime(records, self._context(records))
        if rowtime.null_count:
            self._refuse(records, rowtime)
        if self._follows:
            records = records.slice(int(np.argmax(_numbers(rowtime))), 1)
        _, marks = self._express(records, self._context(records))
        if marks.null_count:
            marks = marks.drop_null()
        if len(marks):
            self._greatest_ms = max(self._greatest_ms, _greatest_ms(marks))

    def current_watermark_ms(self) -> int:
        return self._greatest_ms

    def _context(self, records: pa.RecordBatch) -> EvaluationContext:
        return EvaluationContext(rows=records.num_rows, time_zone=self._zone)

    def _refuse(self, records: pa.RecordBatch, rowtime: pa.Array) -> None:
        position = pc.index(pc.is_null(rowtime), True).as_py()
        row: Any = records.slice(position, 1).to_pylist()[0]
        preview = repr(row)[:_PREVIEW]
        raise MalformedRecordError(
            f"the event time {self._name!r} is NULL in the row {preview}. Filter such rows out before WATERMARK FOR, "
            f"or give them a time in a computed column.",
            place=ErrorPlace(record=preview),
        )


def _follows(expression: Expression, rowtime: Expression) -> bool:
    """Whether the greatest event time has the greatest watermark: it is the event time, or a constant before it."""
    match expression:
        case Call(name="-" | "+", arguments=(first, Literal())):
            return first == rowtime
        case _:
            return expression == rowtime


def _numbers(times: pa.Array) -> npt.NDArray[np.int64]:
    numbers: npt.NDArray[np.int64] = times.view(pa.int64()).to_numpy()
    return numbers


def _greatest_ms(times: pa.Array) -> int:
    factor = 1000 if times.type.unit == "s" else 1
    return int(np.max(_numbers(times))) * factor // _PER_MS[times.type.unit]
