"""Avro schemas for Arrow schemas, as Flink's ``avro`` format maps SQL types."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from millstream.core.errors import ConfigError

_SIMPLE: Final[dict[pa.DataType, Any]] = {
    pa.bool_(): "boolean",
    pa.int8(): "int",
    pa.int16(): "int",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.binary(): "bytes",
    pa.date32(): {"type": "int", "logicalType": "date"},
    pa.time32("ms"): {"type": "int", "logicalType": "time-millis"},
}


def avro_record(schema: pa.Schema, name: str = "record") -> dict[str, Any]:
    """A record of nullable fields. Raises ``ConfigError`` for types that Avro has not."""
    return {
        "type": "record",
        "name": name,
        "fields": [
            {"name": field.name, "type": ["null", _type(field.type, f"{name}_{field.name}")], "default": None}
            for field in schema
        ],
    }


def _type(kind: pa.DataType, name: str) -> Any:
    """``name``: for records inside, each of which needs its own."""
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if pa.types.is_decimal(kind):
        return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    if pa.types.is_timestamp(kind) and kind.unit in ("ms", "us"):
        unit = "millis" if kind.unit == "ms" else "micros"
        return {"type": "long", "logicalType": f"timestamp-{unit}" if kind.tz else f"local-timestamp-{unit}"}
    if pa.types.is_list(kind):
        return {"type": "array", "items": ["null", _type(kind.value_type, name)]}
    if pa.types.is_map(kind) and pa.types.is_string(kind.key_type):
        return {"type": "map", "values": ["null", _type(kind.item_type, name)]}
    if pa.types.is_struct(kind):
        return avro_record(pa.schema(list(kind)), name)
    raise ConfigError(f"Avro has no type for {kind}. CAST the column to one it has: TIMESTAMP(6), or a MAP by STRING.")
