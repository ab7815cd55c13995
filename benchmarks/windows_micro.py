"""Records per second of tumbling windows with a Python reduce function, against a bare dictionary loop.

Run ``python benchmarks/windows_micro.py [--records N]``. 10,000 keys, batches of 2,000 rows, event time almost sorted,
10-second windows, one watermark a batch. The bare loop keeps one dictionary a window and does nothing else: no batches,
no watermark, no output; it is the ceiling for any Python window operator.
"""

from __future__ import annotations

import argparse
import gc
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core.api.windows import (
    EventTimeSessionWindows,
    SlidingEventTimeWindows,
    TumblingEventTimeWindows,
    WindowAssigner,
)
from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.elements.control import MAX_WATERMARK_MS, LatencyMarker, Watermark, WatermarkStatus
from millstream.core.graph.specs import AggregationSpec, WindowSpec
from millstream.taskmanager.operators.window import create_window_operator
from millstream.testing import OperatorHarness

KEYS = 10_000
BATCH_ROWS = 2_000
WINDOW_MS = 10_000
RECORDS_PER_MS = 20

Record = tuple[int, int]


class Counting:
    """An output that only counts."""

    rows = 0

    def emit(self, batch: Batch) -> None:
        self.rows += batch.num_rows

    def emit_side(self, tag_id: str, batch: Batch) -> None:
        return

    def emit_watermark(self, watermark: Watermark) -> None:
        return

    def emit_status(self, status: WatermarkStatus) -> None:
        return

    def emit_latency_marker(self, marker: LatencyMarker) -> None:
        return


def add(left: Record, right: Record) -> Record:
    return (left[0], left[1] + right[1])


def key_of(record: Record) -> int:
    return record[0]


def make_input(records: int) -> tuple[list[list[Record]], list[Any]]:
    """Batches of (key, amount), and their event times, out of order by up to 100 ms."""
    randomness = random.Random(1)
    rows = [(randomness.randrange(KEYS), randomness.randrange(100)) for _ in range(records)]
    times = np.arange(records) // RECORDS_PER_MS + np.random.default_rng(1).integers(0, 100, records)
    cuts = range(0, records, BATCH_ROWS)
    return [rows[i : i + BATCH_ROWS] for i in cuts], [times[i : i + BATCH_ROWS].astype(np.int64) for i in cuts]


def bare_loop(batches: list[list[Record]], times: list[Any]) -> int:
    windows: dict[int, dict[int, Record]] = {}
    for batch, batch_times in zip(batches, times, strict=True):
        for record, time_ms in zip(batch, batch_times.tolist(), strict=True):
            table = windows.setdefault(time_ms // WINDOW_MS, {})
            key = key_of(record)
            table[key] = add(table[key], record) if key in table else record
    return sum(map(len, windows.values()))


def operator(assigner: WindowAssigner[Any, Any], **contents: Any) -> Callable[[list[list[Record]], list[Any]], int]:
    def run(batches: list[list[Record]], times: list[Any]) -> int:
        harness = OperatorHarness(WindowSpec(assigner, **contents), key_selector=key_of, create=create_window_operator)
        counting = Counting()
        harness.operator.open(harness.operator.context, counting)  # again, with an output that costs nothing
        for batch, batch_times in zip(batches, times, strict=True):
            harness.operator.process(ObjectBatch(batch, batch_times), 0)
            harness.operator.process_watermark(Watermark(int(batch_times.max()) - 100))
        harness.operator.process_watermark(Watermark(MAX_WATERMARK_MS))
        harness.close()
        return counting.rows

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    records = parser.parse_args().records
    batches, times = make_input(records)
    tumbling = TumblingEventTimeWindows.of(WINDOW_MS)
    cases: list[tuple[str, Callable[[list[list[Record]], list[Any]], int]]] = [
        ("bare dictionary loop", bare_loop),
        ("tumbling, reduce", operator(tumbling, reduce=add)),
        ("tumbling, built-in sum", operator(tumbling, aggregation=AggregationSpec("sum", 1))),
        ("tumbling, lists", operator(tumbling)),
        ("sliding 10 s / 5 s, reduce", operator(SlidingEventTimeWindows.of(WINDOW_MS, WINDOW_MS // 2), reduce=add)),
        ("sessions, gap 1 s, reduce", operator(EventTimeSessionWindows.with_gap(1000), reduce=add)),
    ]
    gc.collect()
    gc.freeze()
    ceiling = 0.0
    for name, run in cases:
        start = time.perf_counter()
        emitted = run(batches, times)
        rate = records / (time.perf_counter() - start)
        ceiling = ceiling or rate
        print(f"{name:28} {rate:>12,.0f} records/s  {rate / ceiling:5.0%} of the bare loop  {emitted:>9,} results")


if __name__ == "__main__":
    main()
