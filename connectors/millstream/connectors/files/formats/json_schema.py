"""What an NDJSON decoder looks for: the wanted columns of an Arrow schema as the tree that the kernel walks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.errors import ConfigError
from millstream.core.kernels import ndjson

_INTEGER_BITS: Final = {pa.int8(): 8, pa.int16(): 16, pa.int32(): 32, pa.int64(): 64}
_KINDS: Final = {
    pa.float32(): ndjson.DOUBLE,
    pa.float64(): ndjson.DOUBLE,
    pa.bool_(): ndjson.BOOLEAN,
    pa.string(): ndjson.STRING,
    pa.binary(): ndjson.STRING,
    pa.date32(): ndjson.DATE,
    pa.time32("ms"): ndjson.TIME,
}
_UNIT_DIGITS: Final = {"ms": 3, "us": 6, "ns": 9}


@dataclass(frozen=True)
class JsonOptions:
    """Flink's options. ``timestamps``: "SQL" or "ISO-8601", with a space or a ``T`` between date and time.

    A missing field is NULL, or with ``fail_on_missing`` makes its line a bad one. ``lenient``: a value that does not
    fit its column is NULL instead of making its line a bad one.
    """

    timestamps: str = "SQL"
    fail_on_missing: bool = False
    lenient: bool = False

    @property
    def separator(self) -> str:
        return "T" if self.timestamps == "ISO-8601" else " "


@dataclass(eq=False)
class JsonField:
    """A node of the tree: a wanted value, or an object on the way to some."""

    name: str
    type: pa.DataType | None = None
    """None for an object of which only parts are wanted."""
    slot: int = -1
    children: list[JsonField] = field(default_factory=list)

    def child(self, name: str) -> JsonField:
        """The child called ``name``, made when it is missing."""
        for known in self.children:
            if known.name == name:
                return known
        self.children.append(JsonField(name))
        return self.children[-1]

    def complete(self) -> None:
        """Give a whole ROW its fields as children: they are decoded one by one and put together afterwards."""
        if self.type is not None and pa.types.is_struct(self.type):
            for member in self.type:
                node = self.child(member.name)
                node.type = member.type
                node.complete()


class JsonSchema:
    """The tree of the columns ``names``, as arrays for ``decode_lines``; dots in a name lead into ROW fields."""

    def __init__(self, schema: pa.Schema, names: Sequence[str], options: JsonOptions) -> None:
        self.options = options
        self.root = JsonField("")
        self.columns: list[JsonField] = []
        for name in names:
            path = column_path(schema, name)
            node, kind = self.root.child(path[0]), schema.field(path[0]).type
            for part in path[1:]:
                if options.fail_on_missing:  # whether the object was there decides whether its fields are missing
                    node.type = kind
                node, kind = node.child(part), kind.field(part).type
            node.type = kind
            self.columns.append(node)
        for node in self.columns:
            node.complete()
        self.fields: list[JsonField] = [self.root]
        """By node number."""
        self.slots: list[JsonField] = []
        self.nodes, self.keys = self._flatten()
        self.output = pa.schema([(name, node.type) for name, node in zip(names, self.columns, strict=True)])

    def _flatten(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        rows: list[list[int]] = [[0] * ndjson.NODE_FIELDS]
        keys = bytearray()
        rows[0][ndjson.LENIENT] = int(self.options.lenient)
        at = 0
        while at < len(self.fields):
            node = self.fields[at]
            rows[at][ndjson.FIRST_CHILD], rows[at][ndjson.CHILDREN] = len(rows), len(node.children)
            for child in node.children:
                self.fields.append(child)
                rows.append(self._row(child, len(keys)))
                keys += child.name.encode()
            at += 1
        for number in reversed(range(len(rows))):  # children stand after their parents
            first, count = rows[number][ndjson.FIRST_CHILD], rows[number][ndjson.CHILDREN]
            own = int(number > 0 and rows[number][ndjson.SLOT] >= 0)
            rows[number][ndjson.LEAVES] = own + sum(row[ndjson.LEAVES] for row in rows[first : first + count])
        return np.array(rows, np.int64).ravel(), np.frombuffer(bytes(keys) + b"\0", np.uint8)

    def _row(self, node: JsonField, key_start: int) -> list[int]:
        row = [0] * ndjson.NODE_FIELDS
        row[ndjson.KEY_START], row[ndjson.KEY_LENGTH] = key_start, len(node.name.encode())
        if node.type is not None:
            node.slot = len(self.slots)
            self.slots.append(node)
        row[ndjson.SLOT] = node.slot
        row[ndjson.KIND], row[ndjson.LOW], row[ndjson.HIGH] = self._kind(node)
        return row

    def _kind(self, node: JsonField) -> tuple[int, int, int]:
        kind = node.type
        if node.children or kind is None or pa.types.is_struct(kind):
            return ndjson.OBJECT, 0, 0
        if kind in _INTEGER_BITS:
            bound = 1 << (_INTEGER_BITS[kind] - 1)
            return ndjson.INTEGER, -bound, bound - 1
        if pa.types.is_decimal(kind):
            return ndjson.DECIMAL, kind.scale, kind.precision
        if pa.types.is_timestamp(kind) and kind.unit in _UNIT_DIGITS:
            return ndjson.TIMESTAMP, _UNIT_DIGITS[kind.unit], ord(self.options.separator) * 2 + int(kind.tz is not None)
        return _KINDS.get(kind, ndjson.JSON), 0, 0


def column_path(schema: pa.Schema, name: str) -> list[str]:
    """The steps to a column: ``bid.price`` is the field ``price`` of the ROW ``bid``, unless a column is called so.

    Raises ``ConfigError`` when there is no such column.
    """
    if name in schema.names:
        return [name]
    first, *rest = name.split(".")
    kind: pa.DataType | None = schema.field(first).type if first in schema.names else None
    for part in rest:
        kind = kind.field(part).type if kind is not None and _has_field(kind, part) else None
    if kind is None:
        raise ConfigError(f"there is no column {name!r}; the columns are {', '.join(schema.names)}")
    return [first, *rest]


def _has_field(kind: pa.DataType, name: str) -> bool:
    return bool(pa.types.is_struct(kind) and kind.get_field_index(name) >= 0)
