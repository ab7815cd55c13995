"""Rows of both systems as equal Python values, and what differs between two multisets of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

Rows = Counter[tuple[Any, ...]]

FLOAT_DIGITS: Final = 9
SHOWN_MAX: Final = 12


def multiset(table: pa.Table | pa.RecordBatch) -> Rows:
    """The rows of an Arrow table."""
    columns = [[plain(value, field.type) for value in column.to_pylist()] for field, column in _columns(table)]
    return Counter(zip(*columns, strict=True))


def applied(changes: pa.Table) -> Rows:
    """What is left of a changelog whose first column is the row kind. A row retracted more often than it was inserted
    has a negative count."""
    rows: Rows = Counter()
    kinds = changes.column(0).to_pylist()
    columns = [[plain(value, field.type) for value in column.to_pylist()] for field, column in _columns(changes)][1:]
    for kind, *row in zip(kinds, *columns, strict=True):
        rows[tuple(row)] += -1 if kind in (1, 3) else 1
    return Counter({row: count for row, count in rows.items() if count})


def of_values(rows: Iterable[tuple[Any, ...]]) -> Rows:
    """The rows of a reference function."""
    return Counter(tuple(plain(value) for value in row) for row in rows)


def difference(expected: Rows, found: Rows, left: str, right: str) -> str:
    """What one has and the other has not, as text; empty if they are equal."""
    if expected == found:
        return ""
    keys = expected.keys() | found.keys()
    missing = {row: expected[row] - found[row] for row in keys if expected[row] > found[row]}
    extra = {row: found[row] - expected[row] for row in keys if found[row] > expected[row]}
    lines = [f"{sum(expected.values())} rows by {left}, {sum(found.values())} by {right}"]
    for title, rows in ((f"only {left}", missing), (f"only {right}", extra)):
        lines.append(f"{title}: {sum(rows.values())}")
        for row, count in sorted(rows.items(), key=repr)[:SHOWN_MAX]:
            lines.append(f"  {count}x ({', '.join(_shown(value) for value in row)})")
    return "\n".join(lines)


def plain(value: Any, kind: pa.DataType | None = None) -> Any:
    """Numbers compare by value, binary fractions to nine digits; instants without zone; rows as tuples, maps sorted."""
    match value:
        case float():
            return _number(value)
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        case dict():
            kinds = {field.name: field.type for field in kind} if kind is not None else {}
            return tuple(plain(item, kinds.get(name)) for name, item in value.items())
        case list() | tuple() if kind is not None and pa.types.is_map(kind):
            return tuple(sorted(((plain(key), plain(item)) for key, item in value), key=repr))
        case list() | tuple():
            element = kind.value_type if kind is not None and pa.types.is_nested(kind) else None
            return tuple(plain(item, element) for item in value)
        case _:
            return value


def _number(value: float) -> Any:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return str(value)
    return Decimal(f"{value:.{FLOAT_DIGITS}g}")


def _columns(table: pa.Table | pa.RecordBatch) -> list[tuple[pa.Field, Any]]:
    return list(zip(table.schema, table.columns, strict=True))


def _shown(value: Any) -> str:
    match value:
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat(" ")
        case _:
            return repr(value)
