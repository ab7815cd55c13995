"""Single cells of CSV to Python values that Arrow takes."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from millstream.connectors.files.formats.json_values import round_decimal
from millstream.core.errors import ConfigError


def cell_converter(kind: pa.DataType, array_delimiter: str) -> Callable[[str], Any]:
    """Raises ``ConfigError`` for types that a cell does not hold; the converter ValueError for text that does not fit.

    Elements of an ARRAY stand between ``array_delimiter``; an empty cell is an empty array.
    """
    if pa.types.is_list(kind):
        element = cell_converter(kind.value_type, array_delimiter)
        return lambda text: [element(part) if part else None for part in text.split(array_delimiter)] if text else []
    if pa.types.is_string(kind):
        return lambda text: text
    if pa.types.is_integer(kind):
        return lambda text: int(text.strip())
    if pa.types.is_floating(kind):
        return lambda text: float(text.strip())
    if pa.types.is_boolean(kind):
        return _boolean
    if pa.types.is_decimal(kind):
        return lambda text: round_decimal(text.strip(), kind.precision, kind.scale)
    if pa.types.is_binary(kind):
        return lambda text: base64.b64decode(text, validate=True)
    if pa.types.is_timestamp(kind):
        return lambda text: datetime.datetime.fromisoformat(text.strip())
    if pa.types.is_date(kind):
        return lambda text: datetime.date.fromisoformat(text.strip())
    if pa.types.is_time(kind):
        return lambda text: datetime.time.fromisoformat(text.strip())
    raise ConfigError(f"a CSV cell cannot hold {kind}. Read such columns from JSON, Parquet or Avro.")


def _boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return word == "true"
