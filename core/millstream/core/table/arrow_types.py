"""Between SQL types and the Arrow types that carry them."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from millstream.core.errors import JobGraphError
from millstream.core.table import logical_types as lt
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot
_SIMPLE: Final[dict[TypeRoot, pa.DataType]] = {
    _R.NULL: pa.null(),
    _R.BOOLEAN: pa.bool_(),
    _R.TINYINT: pa.int8(),
    _R.SMALLINT: pa.int16(),
    _R.INTEGER: pa.int32(),
    _R.BIGINT: pa.int64(),
    _R.FLOAT: pa.float32(),
    _R.DOUBLE: pa.float64(),
    _R.CHAR: pa.string(),
    _R.VARCHAR: pa.string(),
    _R.BINARY: pa.binary(),
    _R.VARBINARY: pa.binary(),
    _R.DATE: pa.date32(),
    _R.TIME: pa.time32("ms"),
    _R.INTERVAL_YEAR_MONTH: pa.int32(),
    _R.INTERVAL_DAY_TIME: pa.duration("ms"),
}


def time_unit(precision: int) -> str:
    """The Arrow unit of a TIMESTAMP with ``precision`` digits of the second."""
    return "ms" if precision <= 3 else "us" if precision <= 6 else "ns"


def arrow_type(kind: LogicalType) -> pa.DataType:
    """The Arrow type of a SQL type; nested fields keep their nullability."""
    simple = _SIMPLE.get(kind.root)
    if simple is not None:
        return simple
    if kind.root is _R.DECIMAL:
        return pa.decimal128(kind.precision, kind.scale)
    if kind.root is _R.TIMESTAMP:
        return pa.timestamp(time_unit(kind.precision))
    if kind.root is _R.TIMESTAMP_LTZ:
        return pa.timestamp(time_unit(kind.precision), tz="UTC")
    if kind.root is _R.ROW:
        return pa.struct([pa.field(name, arrow_type(field)) for name, field in kind.fields])
    assert kind.element is not None
    if kind.root is _R.ARRAY:
        return pa.list_(arrow_type(kind.element))
    if kind.root is _R.MULTISET:
        return pa.map_(arrow_type(kind.element), pa.int32())
    assert kind.key is not None
    return pa.map_(arrow_type(kind.key), arrow_type(kind.element))


_FROM_ARROW: Final[dict[pa.DataType, LogicalType]] = {
    pa.null(): lt.NULL,
    pa.bool_(): lt.BOOLEAN,
    pa.int8(): lt.TINYINT,
    pa.int16(): lt.SMALLINT,
    pa.int32(): lt.INT,
    pa.int64(): lt.BIGINT,
    pa.uint8(): lt.SMALLINT,
    pa.uint16(): lt.INT,
    pa.uint32(): lt.BIGINT,
    pa.uint64(): lt.decimal(20, 0),
    pa.float32(): lt.FLOAT,
    pa.float64(): lt.DOUBLE,
    pa.string(): lt.STRING,
    pa.large_string(): lt.STRING,
    pa.binary(): lt.BYTES,
    pa.large_binary(): lt.BYTES,
    pa.date32(): lt.DATE,
    pa.time32("ms"): lt.TIME,
}
_PRECISION: Final = {"s": 3, "ms": 3, "us": 6, "ns": 9}


def logical_type(kind: pa.DataType) -> LogicalType:
    """The SQL type of an Arrow type. Raises ``JobGraphError`` for one that SQL has no type for."""
    known = _FROM_ARROW.get(kind)
    if known is not None:
        return known
    if pa.types.is_timestamp(kind):
        make = lt.timestamp if kind.tz is None else lt.timestamp_ltz
        return make(_PRECISION[kind.unit])
    if pa.types.is_decimal(kind):
        return lt.decimal(kind.precision, kind.scale)
    if pa.types.is_struct(kind):
        return lt.row(*[(field.name, logical_type(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return lt.map_of(logical_type(kind.key_type), logical_type(kind.item_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return lt.array(logical_type(kind.value_type))
    if pa.types.is_dictionary(kind):
        return logical_type(kind.value_type)
    if pa.types.is_date64(kind):
        return lt.DATE
    if pa.types.is_time(kind):
        return lt.TIME
    if pa.types.is_duration(kind):
        return lt.INTERVAL_DAY_TIME
    raise JobGraphError(f"Arrow's type {kind} has no type in SQL. Cast the column before it becomes a table.")
