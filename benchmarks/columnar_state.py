"""Rows a second through columnar keyed state: look a batch's keys up, note the change, add to a total; list join rows.

Run: ``python benchmarks/columnar_state.py [ROWS_PER_BATCH]``. All keys are known before the clock runs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numba
import numpy as np
import pyarrow as pa

from millstream.core.clock import ManualClock
from millstream.core.keys import table_key_groups
from millstream.taskmanager.state.columnar.rowlist import RowTable
from millstream.taskmanager.state.columnar.table import ColumnTable

BATCHES = 60
REPEATS = 5
KEYS = 100_000
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


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 8192
    rng = np.random.default_rng(1)
    for kind in ("int64", "string", "two int64", "int64, string"):
        table_rates(kind, rows, rng)
    row_rates(rows, rng)


if __name__ == "__main__":
    main()
