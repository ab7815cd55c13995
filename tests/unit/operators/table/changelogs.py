"""Changelogs as lists of ``(kind, row)``: to batches, and to the rows that are there in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from millstream.core.elements.batch import ArrowBatch
from millstream.core.table.row_type import RowType
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import RunMode

KINDS = {"+I": 0, "-U": 1, "+U": 2, "-D": 3}

MODES = (
    RunMode(),
    RunMode(batch_rows=1),
    RunMode(seed=1, restore_each_step=True),
    RunMode(batch_rows=3, restore_each_step=True),
)

Change = tuple[str, tuple[Any, ...]]


def batch_of(kind: RowType, rows: Iterable[Sequence[Any]], kinds: Sequence[str] | None = None) -> ArrowBatch:
    """Rows of Python values as a batch."""
    listed = [tuple(row) for row in rows]
    arrays = [
        pa.array([row[index] for row in listed], column.type.arrow()) for index, column in enumerate(kind.columns)
    ]
    records = pa.RecordBatch.from_arrays(arrays, schema=kind.arrow_schema())
    codes = None if kinds is None else np.array([KINDS[each] for each in kinds], np.int8)
    return ArrowBatch(records, None, codes)


def changelog_of(kind: RowType, changes: Sequence[Change]) -> ArrowBatch:
    """The same with kinds; None where all are inserts."""
    kinds = [change for change, _ in changes]
    return batch_of(kind, [row for _, row in changes], None if set(kinds) <= {"+I"} else kinds)


def materialized(changes: Iterable[Any], keys: Sequence[int] | None = None) -> Counter[tuple[Any, ...]]:
    """The rows that are there after all changes. A row that is taken back must be there.

    With ``keys``, +U replaces the row of its key (a changelog without -U).
    """
    there: Counter[tuple[Any, ...]] = Counter()
    by_key: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for kind, row in changes:
        row = frozen(row)
        if keys is not None:
            key = tuple(row[index] for index in keys)
            if kind == "-D":
                assert key in by_key, f"{kind} {row} of a key that is not there"
                del by_key[key]
            elif kind == "-U":
                assert by_key.get(key) == row, f"-U {row} where {by_key.get(key)} is"
            else:
                assert (kind == "+U") == (key in by_key), f"{kind} {row} over {by_key.get(key)}"
                by_key[key] = row
        elif kind in ("+I", "+U"):
            there[row] += 1
        else:
            assert there[row] > 0, f"{kind} {row} which is not there"
            there[row] -= 1
    return Counter(by_key.values()) if keys is not None else +there


def frozen(value: Any) -> Any:
    """A value of a row that can be counted: lists become tuples, NaNs become one."""
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    if isinstance(value, dict):
        return tuple(sorted((key, frozen(item)) for key, item in value.items()))
    if isinstance(value, float):
        return "NaN" if value != value else 0.0 if abs(value) < 1e-6 else float(f"{value:.6g}")
    return value


def drive(harness: OperatorHarness, kind: RowType, steps: Iterable[Any]) -> None:
    """Rows of ``kind``, or watermarks; then the end."""
    for step in steps:
        if isinstance(step, int):
            harness.watermark(step)
        else:
            harness.push_batch(batch_of(kind, step))
    harness.end()


@st.composite
def changelogs(draw: st.DrawFn, rows: st.SearchStrategy[tuple[Any, ...]], rows_max: int = 30) -> list[Change]:
    """Inserts of ``rows``, and deletes of rows that are there."""
    changes: list[Change] = []
    there: list[tuple[Any, ...]] = []
    for _ in range(draw(st.integers(0, rows_max))):
        if there and draw(st.integers(0, 2)) == 0:
            changes.append((draw(st.sampled_from(["-D", "-U"])), there.pop(draw(st.integers(0, len(there) - 1)))))
        else:
            row = draw(rows)
            there.append(row)
            changes.append((draw(st.sampled_from(["+I", "+U"])), row))
    return changes


def surviving(changes: Sequence[Change]) -> list[tuple[Any, ...]]:
    """The rows that are there in the end, in order; of equal rows the oldest is taken back."""
    there: list[tuple[Any, ...]] = []
    for kind, row in changes:
        if kind in ("+I", "+U"):
            there.append(row)
        else:
            there.remove(row)
    return there
