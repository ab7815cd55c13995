"""WATERMARK FOR at the source: by the greatest event time alone where that decides, else by all rows."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from millstream.core.elements.batch import ArrowBatch
from millstream.core.errors import MalformedRecordError
from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Call, Expression, InputRef, Literal
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.watermarks import ExpressionWatermarks

ROW = RowType((Column("ts", lt.timestamp(3)),))
TS = InputRef(lt.timestamp(3), 0)
SECOND = Literal(lt.INTERVAL_DAY_TIME, timedelta(seconds=1))
LIMIT = Literal(lt.timestamp(3), datetime(1970, 1, 1, 0, 0, 8))
EPOCH = Literal(lt.timestamp(3), datetime(1970, 1, 1))


def batch(*times_ms: int | None) -> ArrowBatch:
    return ArrowBatch(pa.record_batch({"ts": pa.array(times_ms, pa.timestamp("ms"))}))


@pytest.mark.parametrize(
    ("expression", "watermarks_ms"),
    [
        (TS, [9000, 9000, 12000]),
        (Call(lt.timestamp(3), "-", (TS, SECOND)), [8000, 8000, 11000]),
        (Call(lt.timestamp(3), "+", (TS, SECOND)), [10000, 10000, 13000]),
        # All rows decide: the greatest time has the least watermark.
        (Call(lt.timestamp(3), "CASE", (Call(lt.BOOLEAN, ">", (TS, LIMIT)), EPOCH, TS)), [7000, 7000, 7000]),
    ],
    ids=str,
)
def test_the_watermark_follows_the_greatest_value(expression: Expression, watermarks_ms: list[int]) -> None:
    generator = ExpressionWatermarks(ROW, "ts", TS, expression, "UTC")()
    seen = []
    for rows in (batch(5000, 9000, 7000), batch(500, 3000), batch(12000)):
        generator.on_columns(rows)
        seen.append(generator.current_watermark_ms())
    assert seen == watermarks_ms


def test_a_null_event_time_is_refused_by_name() -> None:
    generator = ExpressionWatermarks(ROW, "ts", TS, TS, "UTC")()
    with pytest.raises(MalformedRecordError, match="event time 'ts' is NULL"):
        generator.on_columns(batch(5, None))


def test_a_batch_without_rows_moves_nothing() -> None:
    generator = ExpressionWatermarks(ROW, "ts", TS, TS, "UTC")()
    before = generator.current_watermark_ms()
    generator.on_columns(batch())
    assert generator.current_watermark_ms() == before
