"""Rows a second through columnar keyed state: look a batch's keys up, note the change, add to a total; list join rows.

Run: ``python benchmarks/columnar_state.py [ROWS_PER_BATCH]``. All keys are known before the clock runs.

``python benchmarks/columnar_state.py spill [KEYS] [MANAGED_MB]``: GROUP BY with COUNT and SUM over KEYS (5,000,000)
distinct keys, in a slot with MANAGED_MB (64) of managed memory, against the same in memory: first each key once, in any
order, then as many rows of the same keys, uniform and skewed.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable

import numba
import numpy as np
import pyarrow as pa

from millstream.core.clock import ManualClock
from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.keys import table_key_groups
from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import GroupAggregateSpec
from millstream.taskmanager.state.columnar.rowlist import RowTable
from millstream.taskmanager.state.columnar.table import ColumnTable
from millstream.testing.harness import OperatorHarness

BATCHES = 60
REPEATS = 5
KEYS = 100_000
SPILLING_BATCH_ROWS = 32_768
TOTAL = pa.schema([("total", pa.int64())])


@numba.njit(nogil=True)
def add_at(totals, slots, values):  # type: ignore[no-untyped-def]
    for i in range(len(slots)):
        totals[slots[i]] += values[i]


def best(work: Callable[[int], int]) -> float:
    """Millions of rows a second in the best of some rounds; ``work`` does batch ``i`` and returns its rows."""
    rates = []
    for _ in range(REPEATS):
        rows, start = 0, time.perf_counter()
        for i in range(BATCHES):
            rows += work(i)
        rates.append(rows / (time.perf_counter() - start) / 1e6)
    return max(rates)


def key_columns(kind: str, numbers: np.ndarray) -> list[pa.Array]:  # type: ignore[type-arg]
    integers = pa.array(numbers)
    if kind == "int64":
        return [integers]
    if kind == "string":
        return [pa.array([f"auction-{number}" for number in numbers.tolist()])]
    if kind == "two int64":
        return [integers, pa.array(numbers % 7)]
    return [integers, pa.array([f"channel-{number % 50}" for number in numbers.tolist()])]


def table_rates(kind: str, rows: int, rng: np.random.Generator) -> None:
    batches = [key_columns(kind, rng.integers(0, KEYS, rows)) for _ in range(BATCHES)]
    values = np.ones(rows, np.int64)
    schema = pa.schema([(f"k{i}", column.type) for i, column in enumerate(batches[0])])
    table = ColumnTable("t", schema, TOTAL, clock=ManualClock())
    table.lookup(key_columns(kind, np.arange(KEYS)))
    total = table.fixed("total")

    def look(i: int) -> int:
        table.lookup(batches[i])
        return rows

    def touch(i: int) -> int:
        slots, _ = table.lookup(batches[i])
        table.touch(slots)
        return rows

    def update(i: int) -> int:
        slots, _ = table.lookup(batches[i])
        table.touch(slots)
        add_at(total.values, slots, values)
        return rows

    def groups(i: int) -> int:
        table_key_groups(batches[i], 128)
        return rows

    update(0)
    groups(0)
    print(
        f"{kind:14} lookup {best(look):6.1f}  +touch {best(touch):6.1f}  +update {best(update):6.1f}  "
        f"key groups {best(groups):6.1f}   M rows/s"
    )


def row_rates(rows: int, rng: np.random.Generator) -> None:
    schema = pa.schema([("id", pa.int64()), ("name", pa.string()), ("price", pa.float64())])
    table = RowTable("t", pa.schema([("id", pa.int64())]), schema, clock=ManualClock())
    batches = []
    for _ in range(BATCHES):
        ids = rng.integers(0, KEYS, rows)
        names = pa.array([f"name {number}" for number in ids.tolist()])
        batches.append(pa.RecordBatch.from_arrays([pa.array(ids), names, pa.array(ids * 1.5)], schema=schema))
    table.append([batches[0].column("id")], batches[0])
    start = time.perf_counter()
    for batch in batches:
        table.append([batch.column("id")], batch)
    appended = BATCHES * rows / (time.perf_counter() - start) / 1e6

    def rows_of(i: int) -> int:
        positions, _ = table.rows_of(table.find([batches[i].column("id")]))
        return len(positions)

    def gather(i: int) -> int:
        _, found = table.rows_of(table.find([batches[i].column("id")]))
        return table.gather(found).num_rows

    listed, gathered = best(rows_of), best(gather)
    table.remove_matching([batches[0].column("id")], batches[0])
    start = time.perf_counter()
    for batch in batches[1:]:
        assert table.remove_matching([batch.column("id")], batch).all()
    removed = (BATCHES - 1) * rows / (time.perf_counter() - start) / 1e6
    print(
        f"{'rows':14} append {appended:6.1f}  rows_of {listed:6.1f}  +gather {gathered:6.1f}  "
        f"remove_matching {removed:6.1f}   M rows/s"
    )


class Discarding:
    """Takes what an operator emits."""

    def emit(self, batch: Batch) -> None:
        pass


def spilling_rates(keys: int, managed_mb: int) -> None:
    calls = (AggregateCall("COUNT", (), (), lt.BIGINT), AggregateCall("SUM", (1,), (lt.BIGINT,), lt.BIGINT))
    columns = [Column(name, lt.BIGINT) for name in ("k", "v", "n", "total")]
    read, emitted = RowType(tuple(columns[:2])), RowType((columns[0], *columns[2:]))
    spec = GroupAggregateSpec(read, emitted, (0,), calls, False, False)
    rng = np.random.default_rng(1)
    skewed = (keys * rng.random(keys) ** 8).astype(np.int64)
    streams = {"new keys": rng.permutation(keys), "uniform": rng.integers(0, keys, keys), "skewed": skewed}
    for backend in ("rocksdb", "memory"):
        configuration = {"state.backend.type": backend, "taskmanager.memory.managed.size": managed_mb << 20}
        with OperatorHarness(spec, configuration=configuration) as harness:
            operator = harness.operator
            operator.output = Discarding()  # type: ignore[assignment]
            for name, stream in streams.items():
                start, start_cpu = time.perf_counter(), time.process_time()
                for first in range(0, keys, SPILLING_BATCH_ROWS):
                    part = pa.array(stream[first : first + SPILLING_BATCH_ROWS])
                    records = pa.RecordBatch.from_arrays([part, part], schema=read.arrow_schema())
                    operator.process(ArrowBatch(records), 0)
                rate = keys / (time.perf_counter() - start) / 1e6
                of_cpu = keys / (time.process_time() - start_cpu) / 1e6
                peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
                print(
                    f"{backend:8} {name:10} {rate:6.3f} M rows/s, {of_cpu:6.3f} in a second of the processor; "
                    f"peak of the process so far {peak_mb} MB",
                    flush=True,
                )


def main() -> None:
    if sys.argv[1:2] == ["spill"]:
        given = [int(argument) for argument in sys.argv[2:]]
        spilling_rates(*given, *(5_000_000, 64)[len(given) :])
        return
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 8192
    rng = np.random.default_rng(1)
    for kind in ("int64", "string", "two int64", "int64, string"):
        table_rates(kind, rows, rng)
    row_rates(rows, rng)


if __name__ == "__main__":
    main()
