"""``Row``: a record of fields by position and, optionally, by name. Behaves like PyFlink's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from millstream.core.elements.batch import RowKind

__all__ = ["Row", "RowKind"]


class Row:
    """``Row(1, "a")`` has positions; ``Row(id=1, name="a")`` has names too.

    A row of names only may serve as a template: ``Person = Row("id", "name"); Person(1, "a")``.
    """

    __slots__ = ("_fields", "_row_kind", "_values")

    def __init__(self, *values: Any, **named: Any) -> None:
        if values and named:
            raise ValueError("a Row takes either positional or named values, not both")
        self._values: list[Any] = list(named.values()) if named else list(values)
        self._fields: list[str] | None = list(named) if named else None
        self._row_kind = RowKind.INSERT

    def as_dict(self, recursive: bool = False) -> dict[str, Any]:
        """Values by field name. Raises ``TypeError`` for a row without names."""
        if self._fields is None:
            raise TypeError("a Row without field names cannot become a dict")
        values = [value.as_dict(True) if recursive and isinstance(value, Row) else value for value in self._values]
        return dict(zip(self._fields, values, strict=True))

    def get_field_names(self) -> list[str] | None:
        return self._fields

    def set_field_names(self, field_names: list[str]) -> None:
        if len(field_names) != len(self._values):
            raise ValueError(f"{len(field_names)} names for {len(self._values)} fields")
        self._fields = list(field_names)

    def get_row_kind(self) -> RowKind:
        return self._row_kind

    def set_row_kind(self, row_kind: RowKind) -> None:
        self._row_kind = row_kind

    def _position(self, field: int | str) -> int:
        if isinstance(field, int):
            return field
        if self._fields is None or field not in self._fields:
            known = "none" if self._fields is None else ", ".join(self._fields)
            raise KeyError(f"the row has no field {field!r}; its field names are: {known}")
        return self._fields.index(field)

    def __call__(self, *values: Any) -> Row:
        """A row with this row's values as field names."""
        row = Row(*values)
        row.set_field_names([str(name) for name in self._values])
        return row

    def __getitem__(self, field: int | str) -> Any:
        return self._values[self._position(field)]

    def __setitem__(self, field: int | str, value: Any) -> None:
        self._values[self._position(field)] = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._values[self._position(name)]
        except KeyError as error:
            raise AttributeError(str(error)) from None

    def __contains__(self, value: Any) -> bool:
        return value in self._values

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Row):
            return NotImplemented
        return (self._values, self._fields, self._row_kind) == (other._values, other._fields, other._row_kind)

    def __hash__(self) -> int:
        return hash((tuple(self._values), self._row_kind))

    def __copy__(self) -> Row:
        return _rebuild(list(self._values), self._fields, int(self._row_kind))

    def __reduce__(self) -> Any:
        return _rebuild, (self._values, self._fields, int(self._row_kind))

    def __repr__(self) -> str:
        if self._fields is None:
            return f"Row({', '.join(map(repr, self._values))})"
        return f"Row({', '.join(f'{n}={v!r}' for n, v in zip(self._fields, self._values, strict=True))})"


def _rebuild(values: list[Any], fields: list[str] | None, row_kind: int) -> Row:
    row = Row(*values)
    row._fields = fields
    row._row_kind = RowKind(row_kind)
    return row
