"""SQL types: their names, their nullability, and the Arrow type that carries each.

One frozen class serves all types: ``root`` says which, the other fields hold its parameters. Times are physical
integers: DATE days, TIME milliseconds, TIMESTAMP(p) in ms, us or ns by precision, without a zone; TIMESTAMP_LTZ(p) the
same, as instants (Arrow zone UTC); INTERVAL YEAR TO MONTH int32 months, INTERVAL DAY TO SECOND a duration in ms.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_TIMESTAMP_PRECISION: Final = 6
DEFAULT_DECIMAL_PRECISION: Final = 10
MAX_DECIMAL_PRECISION: Final = 38
UNBOUNDED_LENGTH: Final = 2**31 - 1


class TypeRoot(enum.Enum):
    """The families of types; the value is the name in SQL."""

    NULL = "NULL"
    BOOLEAN = "BOOLEAN"
    TINYINT = "TINYINT"
    SMALLINT = "SMALLINT"
    INTEGER = "INT"
    BIGINT = "BIGINT"
    DECIMAL = "DECIMAL"
    FLOAT = "FLOAT"
    DOUBLE = "DOUBLE"
    CHAR = "CHAR"
    VARCHAR = "VARCHAR"
    BINARY = "BINARY"
    VARBINARY = "VARBINARY"
    DATE = "DATE"
    TIME = "TIME"
    TIMESTAMP = "TIMESTAMP"
    TIMESTAMP_LTZ = "TIMESTAMP_LTZ"
    INTERVAL_YEAR_MONTH = "INTERVAL YEAR TO MONTH"
    INTERVAL_DAY_TIME = "INTERVAL DAY TO SECOND"
    ARRAY = "ARRAY"
    MAP = "MAP"
    MULTISET = "MULTISET"
    ROW = "ROW"


_R = TypeRoot
INTEGERS: Final = (_R.TINYINT, _R.SMALLINT, _R.INTEGER, _R.BIGINT)
EXACT: Final = (*INTEGERS, _R.DECIMAL)
APPROXIMATE: Final = (_R.FLOAT, _R.DOUBLE)
NUMERIC: Final = (*EXACT, *APPROXIMATE)
TEXT: Final = (_R.CHAR, _R.VARCHAR)
BYTES_ROOTS: Final = (_R.BINARY, _R.VARBINARY)
TIMESTAMPS: Final = (_R.TIMESTAMP, _R.TIMESTAMP_LTZ)
TEMPORAL: Final = (_R.DATE, _R.TIME, *TIMESTAMPS)
INTERVALS: Final = (_R.INTERVAL_YEAR_MONTH, _R.INTERVAL_DAY_TIME)
COMPOSITE: Final = (_R.ARRAY, _R.MAP, _R.MULTISET, _R.ROW)


@dataclass(frozen=True)
class LogicalType:
    """A SQL type. ``str`` gives it as SQL writes it, with ``NOT NULL`` where it is not nullable."""

    root: TypeRoot
    nullable: bool = True
    precision: int = 0
    """Digits of DECIMAL; of the fraction of a second of TIME, TIMESTAMP, TIMESTAMP_LTZ; length of CHAR, VARCHAR, ..."""
    scale: int = 0
    """Of DECIMAL."""
    element: LogicalType | None = None
    """Of ARRAY and MULTISET; the value of MAP."""
    key: LogicalType | None = None
    """Of MAP."""
    fields: tuple[tuple[str, LogicalType], ...] = ()
    """Of ROW."""

    def with_nullable(self, nullable: bool) -> LogicalType:
        return self if self.nullable == nullable else replace(self, nullable=nullable)

    def is_a(self, *roots: TypeRoot) -> bool:
        return self.root in roots

    def same_kind(self, other: LogicalType) -> bool:
        """Equal but for nullability, of nested types too."""
        return self._bare() == other._bare()

    def field(self, name: str) -> tuple[int, LogicalType] | None:
        """Position and type of a field of ROW; None when there is none of that name."""
        for position, (known, kind) in enumerate(self.fields):
            if known == name:
                return position, kind
        return None

    def text(self) -> str:
        """The type without its nullability."""
        root = self.root
        if root is _R.DECIMAL:
            return f"DECIMAL({self.precision}, {self.scale})"
        if root in (_R.VARCHAR, _R.VARBINARY) and self.precision == UNBOUNDED_LENGTH:
            return "STRING" if root is _R.VARCHAR else "BYTES"
        if root in (*TEXT, *BYTES_ROOTS, _R.TIME, *TIMESTAMPS):
            return f"{root.value}({self.precision})"
        if root is _R.ARRAY or root is _R.MULTISET:
            return f"{root.value}<{self.element}>"
        if root is _R.MAP:
            return f"MAP<{self.key}, {self.element}>"
        if root is _R.ROW:
            return "ROW<" + ", ".join(f"`{name}` {kind}" for name, kind in self.fields) + ">"
        return str(root.value)

    def __str__(self) -> str:
        return self.text() if self.nullable else f"{self.text()} NOT NULL"

    def arrow(self) -> pa.DataType:
        """The Arrow type that carries it."""
        from millstream.core.table.arrow_types import arrow_type

        return arrow_type(self)

    def _bare(self) -> LogicalType:
        return replace(
            self,
            nullable=True,
            element=None if self.element is None else self.element._bare(),
            key=None if self.key is None else self.key._bare(),
            fields=tuple((name, kind._bare()) for name, kind in self.fields),
        )


NULL: Final = LogicalType(_R.NULL)
BOOLEAN: Final = LogicalType(_R.BOOLEAN)
TINYINT: Final = LogicalType(_R.TINYINT)
SMALLINT: Final = LogicalType(_R.SMALLINT)
INT: Final = LogicalType(_R.INTEGER)
BIGINT: Final = LogicalType(_R.BIGINT)
FLOAT: Final = LogicalType(_R.FLOAT)
DOUBLE: Final = LogicalType(_R.DOUBLE)
STRING: Final = LogicalType(_R.VARCHAR, precision=UNBOUNDED_LENGTH)
BYTES: Final = LogicalType(_R.VARBINARY, precision=UNBOUNDED_LENGTH)
DATE: Final = LogicalType(_R.DATE)
TIME: Final = LogicalType(_R.TIME)
INTERVAL_YEAR_MONTH: Final = LogicalType(_R.INTERVAL_YEAR_MONTH)
INTERVAL_DAY_TIME: Final = LogicalType(_R.INTERVAL_DAY_TIME)


def decimal(precision: int = DEFAULT_DECIMAL_PRECISION, scale: int = 0) -> LogicalType:
    return LogicalType(_R.DECIMAL, precision=precision, scale=scale)


def char(length: int = 1) -> LogicalType:
    return LogicalType(_R.CHAR, precision=length)


def varchar(length: int = UNBOUNDED_LENGTH) -> LogicalType:
    return LogicalType(_R.VARCHAR, precision=length)


def timestamp(precision: int = DEFAULT_TIMESTAMP_PRECISION) -> LogicalType:
    return LogicalType(_R.TIMESTAMP, precision=precision)


def timestamp_ltz(precision: int = DEFAULT_TIMESTAMP_PRECISION) -> LogicalType:
    return LogicalType(_R.TIMESTAMP_LTZ, precision=precision)


def array(element: LogicalType) -> LogicalType:
    return LogicalType(_R.ARRAY, element=element)


def multiset(element: LogicalType) -> LogicalType:
    return LogicalType(_R.MULTISET, element=element)


def map_of(key: LogicalType, value: LogicalType) -> LogicalType:
    return LogicalType(_R.MAP, key=key, element=value)


def row(*fields: tuple[str, LogicalType]) -> LogicalType:
    return LogicalType(_R.ROW, fields=tuple(fields))
