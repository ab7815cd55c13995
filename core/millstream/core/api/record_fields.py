"""Key selectors for fields of a record: what ``key_by("city")`` and ``key_by([0, 2])`` become.

They live here, not with the API, because they travel with the job: slots import this module and nothing of the client.
"""

from __future__ import annotations

import dataclasses
import operator
from typing import Any

from millstream.core.api.row import Row
from millstream.core.errors import RecordTypeError


def arrow_columns(selector: Any) -> tuple[str, ...] | None:
    """The columns of Arrow batches that hold the key ``selector`` takes from dicts; None when that is not known."""
    if type(selector) is operator.itemgetter:
        fields: tuple[Any, ...] = tuple(selector.__reduce__()[1])
    elif isinstance(selector, FieldKey):
        fields = (selector.field,)
    elif isinstance(selector, FieldsKey):
        fields = tuple(key.field for key in selector.keys)
    else:
        return None
    return fields if all(isinstance(field, str) for field in fields) else None


class FieldKey:
    """One field by position or name, of tuples, NamedTuples, Rows, dicts, dataclasses and other objects."""

    __slots__ = ("field",)

    def __init__(self, field: int | str) -> None:
        self.field = field

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

    def __call__(self, record: Any) -> tuple[Any, ...]:
        return tuple([key(record) for key in self.keys])

    def __repr__(self) -> str:
        return f"FieldsKey({tuple(key.field for key in self.keys)!r})"
