"""Arrow columns to Python rows, column by column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

RowMaker = Callable[[Sequence[str]], Callable[[list[list[Any]]], list[Any]]]
"""Given the column names, gives a function from columns (one list each) to rows."""


def dict_rows(names: Sequence[str]) -> Callable[[list[list[Any]]], list[Any]]:
    """Rows as dicts by column name."""
    names = tuple(names)

    def make(columns: list[list[Any]]) -> list[Any]:
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    return make


def tuple_rows(names: Sequence[str]) -> Callable[[list[list[Any]]], list[Any]]:
    """Rows as tuples in column order."""
    return lambda columns: list(zip(*columns, strict=True))


@dataclass(frozen=True)
class RecordRows:
    """Rows as instances of a dataclass or NamedTuple; columns are matched by name."""

    record_class: type

    def __call__(self, names: Sequence[str]) -> Callable[[list[list[Any]]], list[Any]]:
        record_class = self.record_class
        fields = tuple(getattr(record_class, "_fields", ()) or getattr(record_class, "__dataclass_fields__", ()))
        positions = [list(names).index(field) for field in fields]
        return lambda columns: list(map(record_class, *[columns[position] for position in positions]))


def column_values(column: pa.Array) -> list[Any]:
    """The values of one column as Python objects; numbers without nulls by way of numpy, strings through a dictionary
    where few are distinct."""
    import pyarrow as pa

    kind = column.type
    if column.null_count == 0 and (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return column.to_numpy(zero_copy_only=False).tolist()  # type: ignore[no-any-return]
    if column.null_count and (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and len(column) > 16:
        values: list[Any] = column.fill_null(0).to_numpy(zero_copy_only=False).tolist()
        for index in column.is_null().to_numpy(zero_copy_only=False).nonzero()[0].tolist():
            values[index] = None
        return values
    if pa.types.is_string(kind) and len(column) > 64:
        encoded = column.dictionary_encode()
        if len(encoded.dictionary) * 4 < len(column):
            words = [*encoded.dictionary.to_pylist(), None]
            codes = encoded.indices.fill_null(len(words) - 1).to_numpy(zero_copy_only=False).tolist()
            return [words[code] for code in codes]
    return column.to_pylist()  # type: ignore[no-any-return]
