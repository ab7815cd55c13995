"""One column of Python values as bytes; the encoding is chosen by the exact types the column holds."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from millstream.core.errors import MalformedRecordError
from millstream.core.serde.values import pack, unpack

INT64: Final = 1
FLOAT64: Final = 2
BOOL: Final = 3
TEXT: Final = 4
"""UTF-8 values joined by NUL; only where no value holds one."""
NONE: Final = 5
PACKED: Final = 6
"""msgpack, see ``values``."""

_NUL: Final = "\0"


def encode_column(column: Sequence[Any], generic_types: bool) -> tuple[int, bytes | memoryview]:
    """``(encoding, bytes)``. ``column`` is not empty."""
    kinds = set(map(type, column))
    if len(kinds) == 1:
        kind = next(iter(kinds))
        if kind is int:
            try:
                return INT64, memoryview(array("q", column)).cast("B")
            except OverflowError:
                return PACKED, pack(list(column), generic_types)
        if kind is str:
            joined = _NUL.join(column)
            if joined.count(_NUL) == len(column) - 1:
                return TEXT, joined.encode("utf-8", "surrogatepass")
        elif kind is float:
            return FLOAT64, memoryview(array("d", column)).cast("B")
        elif kind is bool:
            return BOOL, bytes(column)
        elif kind is type(None):
            return NONE, b""
    return PACKED, pack(column if type(column) is list else list(column), generic_types)


def decode_column(encoding: int, data: memoryview, rows: int) -> list[Any]:
    """The inverse of ``encode_column``; always ``rows`` values, or ``MalformedRecordError``."""
    column: list[Any]
    if encoding == INT64:
        column = np.frombuffer(data, np.int64).tolist()
    elif encoding == TEXT:
        column = str(data, "utf-8", "surrogatepass").split(_NUL)
    elif encoding == FLOAT64:
        column = np.frombuffer(data, np.float64).tolist()
    elif encoding == BOOL:
        column = np.frombuffer(data, np.bool_).tolist()
    elif encoding == NONE:
        column = [None] * rows
    elif encoding == PACKED:
        column = unpack(data)
    else:
        raise MalformedRecordError(f"a batch has a column of the unknown encoding {encoding}")
    if type(column) is not list or len(column) != rows:
        raise MalformedRecordError(f"a column of a batch does not have the {rows} values its header promises")
    return column
