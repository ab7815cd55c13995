"""What all table operators share: their specification, evaluation of expressions, emission of columns."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Generic, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.elements.control import MIN_WATERMARK_MS, Watermark
from millstream.core.errors import invariant
from millstream.core.graph.specs import ChainedOperator, OperatorSpec
from millstream.core.table.async_calls import AsyncCalls, AsyncSettings
from millstream.core.table.functions.function import EvaluationContext
from millstream.core.table.row_type import RowType
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output
from millstream.taskmanager.operators.table.failing_rows import Retry, placed
from millstream.taskmanager.operators.table.row_kinds import Kinds, kinds_or_none

ROWS_MAX: Final = 1 << 16
"""A batch that an operator emits has at most so many rows."""

LOCAL_TIME_ZONE: Final = "table.local-time-zone"

SpecT = TypeVar("SpecT", bound=OperatorSpec)


class TableOperator(Operator, Generic[SpecT]):
    """Base of the operators of SQL; ``output_type`` is the type of what it emits."""

    def __init__(self, chained: ChainedOperator, spec: SpecT, output_type: RowType) -> None:
        self.chained = chained
        self.spec = spec
        self.output_type = output_type
        self.schema = output_type.arrow_schema()
        self.watermark_ms = MIN_WATERMARK_MS
        self._calls: AsyncCalls | None = None

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self.time_zone = ZoneInfo(str(context.configuration.get(LOCAL_TIME_ZONE, "UTC")))
        self._calls = AsyncCalls(AsyncSettings.of(context.configuration))
        self._random = np.random.default_rng(secrets.randbits(64))

    def process_watermark(self, watermark: Watermark) -> None:
        self.watermark_ms = max(self.watermark_ms, watermark.timestamp_ms)
        super().process_watermark(watermark)

    def rows_together(self) -> int:
        return 1 if self._calls is None else self._calls.rows_together

    def close(self) -> None:
        if self._calls is not None:
            self._calls.close()

    def evaluation(self, rows: int) -> EvaluationContext:
        """What functions may know while a batch of ``rows`` is evaluated."""
        return EvaluationContext(
            rows=rows,
            now_us=self.context.clock.wall_ms() * 1000,
            watermark_ms=None if self.watermark_ms == MIN_WATERMARK_MS else self.watermark_ms,
            time_zone=self.time_zone,
            subtask_index=self.context.subtask_index,
            random=self._random_numbers,
            calls=self._calls,
        )

    def _random_numbers(self, count: int) -> Sequence[float]:
        numbers: Sequence[float] = self._random.random(count)  # type: ignore[assignment]
        return numbers

    @contextmanager
    def evaluating(self, records: pa.RecordBatch | Callable[[], pa.RecordBatch], retry: Retry | None) -> Iterator[None]:
        """An error inside is told with the operator and the row that ``retry``, given one row, fails for."""
        try:
            yield
        except Exception as error:
            rows = records() if callable(records) else records
            raise placed(error, rows, retry, self.chained.name) from error

    def emit_columns(self, columns: Sequence[pa.Array], kinds: Kinds | None = None) -> None:
        """Columns in the order of the output type; cut where they are long."""
        self.emit_records(pa.RecordBatch.from_arrays(list(columns), schema=self.schema), kinds)

    def emit_records(self, records: pa.RecordBatch, kinds: Kinds | None = None) -> None:
        """The same for a batch with the schema of the output."""
        rows = records.num_rows
        if rows == 0:
            return
        if rows <= ROWS_MAX:
            self.output.emit(ArrowBatch(records, None, kinds_or_none(kinds)))
            return
        whole = ArrowBatch(records, None, kinds)
        for start in range(0, rows, ROWS_MAX):
            part = whole.slice(start, min(rows, start + ROWS_MAX))
            part.row_kinds = kinds_or_none(part.row_kinds)
            self.output.emit(part)


def arrow_batch(batch: Batch) -> ArrowBatch:
    """The batch, which the planner promised to be columns."""
    invariant(isinstance(batch, ArrowBatch), f"a table operator got {batch!r}")
    assert isinstance(batch, ArrowBatch)
    return batch
