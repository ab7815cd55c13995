"""Rows per second of single table operators, one thread, without network or files: python benchmarks/table_operators.py

Each operator gets the same batches three times, in a new instance; the best run counts. What it emits is thrown away.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.elements.control import Watermark
from millstream.core.table import logical_types as lt
from millstream.core.table import specs
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.row_type import Column, RowType
from millstream.testing.harness import OperatorHarness

BATCH_ROWS = 32_768
BATCHES = 60
KEYS = 100_000
ROWS_A_MS = 10
WINDOW_MS = 50_000

TIME = lt.timestamp(3)
INPUT = RowType((Column("k", lt.BIGINT), Column("v", lt.BIGINT), Column("ts", TIME)))
GROUPED = RowType((Column("k", lt.BIGINT), Column("c", lt.BIGINT), Column("s", lt.BIGINT)))
WINDOWED = RowType((*GROUPED.columns, Column("window_start", TIME), Column("window_end", TIME)))
COUNTED = RowType((Column("v", lt.BIGINT), Column("n", lt.BIGINT)))
CALLS = (AggregateCall("COUNT", (), (), lt.BIGINT), AggregateCall("SUM", (1,), (lt.BIGINT,), lt.BIGINT))
DISTINCT = (AggregateCall("COUNT", (0,), (lt.BIGINT,), lt.BIGINT, distinct=True),)
BY_VALUE = (specs.SortKey(1, ascending=False, nulls_first=False),)


class Discarding:
    """Counts the rows it is given."""

    def __init__(self) -> None:
        self.rows = 0

    def emit(self, batch: Batch) -> None:
        self.rows += batch.num_rows

    def emit_watermark(self, watermark: Watermark) -> None:
        pass


def window(kind: specs.WindowKind, size_ms: int, step_ms: int = 0) -> specs.WindowAggregateSpec:
    properties = ("window_start", "window_end")
    return specs.WindowAggregateSpec(INPUT, WINDOWED, (0,), CALLS, specs.Window(kind, size_ms, step_ms), 2, properties)


def rank(last: int) -> specs.RankSpec:
    return specs.RankSpec(INPUT, INPUT, "ROW_NUMBER", (0,), BY_VALUE, 1, last, False, False, True)


OPERATORS: dict[str, specs.OperatorSpec] = {
    "group by, +U only": specs.GroupAggregateSpec(INPUT, GROUPED, (0,), CALLS, False, False),
    "group by, -U and +U": specs.GroupAggregateSpec(INPUT, GROUPED, (0,), CALLS, False, True),
    "count distinct": specs.GroupAggregateSpec(INPUT, COUNTED, (1,), DISTINCT, False, True),
    "tumble": window(specs.WindowKind.TUMBLE, WINDOW_MS),
    "hop": window(specs.WindowKind.HOP, WINDOW_MS, WINDOW_MS // 5),
    "session": window(specs.WindowKind.SESSION, WINDOW_MS // 10),
    "deduplicate, last by time": specs.DeduplicateSpec(INPUT, INPUT, (0,), 2, True, False),
    "deduplicate, first by arrival": specs.DeduplicateSpec(INPUT, INPUT, (0,), None, False, False),
    "top-1": rank(1),
    "top-10": rank(10),
}


def batches() -> list[ArrowBatch]:
    randomness = np.random.default_rng(0)
    made = []
    for number in range(BATCHES):
        times = (number * BATCH_ROWS + np.arange(BATCH_ROWS)) // ROWS_A_MS
        columns = [
            pa.array(randomness.integers(0, KEYS, BATCH_ROWS)),
            pa.array(randomness.integers(0, 1000, BATCH_ROWS)),
            pa.array(times).cast(TIME.arrow()),
        ]
        made.append(ArrowBatch(pa.RecordBatch.from_arrays(columns, schema=INPUT.arrow_schema())))
    return made


def seconds(spec: specs.OperatorSpec, given: list[ArrowBatch], clock: Callable[[], float]) -> tuple[float, int]:
    """``(time of the best of three runs, rows emitted)``; the first one compiles kernels where the cache has none."""
    best, rows = float("inf"), 0
    for _ in range(3):
        with OperatorHarness(spec) as harness:
            operator, output = harness.operator, Discarding()
            operator.output = output  # type: ignore[assignment]
            start = clock()
            for number, batch in enumerate(given):
                operator.process(batch, 0)
                operator.process_watermark(Watermark((number + 1) * BATCH_ROWS // ROWS_A_MS - 1000))
            best, rows = min(best, clock() - start), output.rows
    return best, rows


def main() -> None:
    given = batches()
    for name, spec in OPERATORS.items():
        if len(sys.argv) > 1 and sys.argv[1] not in name:
            continue
        best, rows = seconds(spec, given, time.process_time)
        print(f"{name:32} {BATCH_ROWS * BATCHES / best / 1e6:7.2f} M rows/s   {rows:9,} rows out")


if __name__ == "__main__":
    main()
