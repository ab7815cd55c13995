"""Key selectors for fields of a record: what ``key_by("city")`` and ``key_by([0, 2])`` become.

They live here, not with the API, because they travel with the job: slots import this module and nothing of the client.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from millstream.core.api.row import Row
from millstream.core.errors import RecordTypeError


class FieldKey:
    """One field by position or name, of tuples, NamedTuples, Rows, dicts, dataclasses and other objects."""

    __slots__ = ("field",)

    def __init__(self, field: int | str) -> None:
        self.field = field

    @property
    def arrow_columns(self) -> tuple[str, ...] | None:
        """The column of Arrow batches that holds the key."""
        return (self.field,) if isinstance(self.field, str) else None

    def __call__(self, record: Any) -> Any:
        """The field's value. Raises ``RecordTypeError`` for a record without it."""
        field = self.field
        try:
            if isinstance(record, dict | Row):
                return record[field]
            if isinstance(field, str):
                return getattr(record, field)
            if dataclasses.is_dataclass(record):
                return getattr(record, dataclasses.fields(record)[field].name)
            return record[field]
        except (LookupError, AttributeError, TypeError) as error:
            raise RecordTypeError(f"the record {record!r:.200} has no field {field!r} to key by") from error

    def __repr__(self) -> str:
        return f"FieldKey({self.field!r})"


class FieldsKey:
    """Several fields, as a tuple."""

    __slots__ = ("keys",)

    def __init__(self, fields: tuple[int | str, ...]) -> None:
        self.keys = tuple(FieldKey(field) for field in fields)

    @property
    def arrow_columns(self) -> tuple[str, ...] | None:
        """As of ``FieldKey``; None if a field is given by position."""
        names = tuple(key.field for key in self.keys if isinstance(key.field, str))
        return names if len(names) == len(self.keys) else None

    def __call__(self, record: Any) -> tuple[Any, ...]:
        return tuple([key(record) for key in self.keys])

    def __repr__(self) -> str:
        return f"FieldsKey({tuple(key.field for key in self.keys)!r})"
