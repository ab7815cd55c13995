"""Columns as Python values: rows as ``Row``, all else as functions of users see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from millstream.core.api.row import Row, RowKind
from millstream.core.elements.batch import ArrowBatch
from millstream.core.table.logical_types import LogicalType, TypeRoot
from millstream.core.table.python_types import python_values
from millstream.core.table.row_type import RowType

Convert = Callable[[Any], Any]


def rows_of(batch: ArrowBatch, row_type: RowType) -> Iterator[Row]:
    """The rows of a batch, with their kinds."""
    names = list(row_type.names)
    kinds = None if batch.row_kinds is None else batch.row_kinds.tolist()
    for position, values in enumerate(value_tuples(batch.records, row_type)):
        row = Row(*values)
        row.set_field_names(names)
        if kinds is not None:
            row.set_row_kind(RowKind(kinds[position]))
        yield row


def value_tuples(records: pa.RecordBatch, row_type: RowType) -> Iterator[tuple[Any, ...]]:
    """The rows as tuples."""
    columns = [_column(values, kind) for values, kind in zip(records.columns, row_type.types, strict=True)]
    return iter(zip(*columns, strict=True)) if columns else iter([()] * records.num_rows)


def _column(values: pa.Array, kind: LogicalType) -> list[Any]:
    found = python_values(values)
    convert = _conversion(kind)
    return found if convert is None else [convert(value) for value in found]


def _conversion(kind: LogicalType) -> Convert | None:
    """What makes ``Row`` of the dicts inside of a value; None where there are none."""
    if kind.root is TypeRoot.ROW:
        names = [name for name, _ in kind.fields]
        inner = [_conversion(field) for _, field in kind.fields]
        return lambda value: None if value is None else _row(value, names, inner)
    if kind.root is TypeRoot.ARRAY and kind.element is not None:
        element = _conversion(kind.element)
        return None if element is None else _each(element)
    if kind.root is TypeRoot.MAP and kind.element is not None:
        element = _conversion(kind.element)
        return None if element is None else _each_value(element)
    return None


def _each(element: Convert) -> Convert:
    return lambda value: None if value is None else [element(item) for item in value]


def _each_value(element: Convert) -> Convert:
    return lambda value: None if value is None else {key: element(item) for key, item in value.items()}


def _row(value: dict[str, Any], names: list[str], inner: list[Convert | None]) -> Row:
    row = Row(*(item if change is None else change(item) for item, change in zip(value.values(), inner, strict=True)))
    row.set_field_names(names)
    return row
