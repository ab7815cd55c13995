"""Key hash version 1 (``core/keys.py``) of the rows of Arrow columns.

Integers, booleans, text, bytes and null columns are hashed by kernels, other types value by value; either way a row's
hash is that of the Python value, or of the tuple of several, which ``stable_hash`` gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core import keys
from millstream.core.kernels.arrow_views import fixed_dtype, flat, integers_of, is_text, text_of, valid_of
from millstream.core.kernels.key_hash import CRC_TABLES, add_field, hash_integers, hash_text
from millstream.core.serde import encode_value

Uint64Array = npt.NDArray[np.uint64]

_NULL_HASH: Final = np.uint64(keys.hash64(None))
"""Of a type that numba tells at once: a Python integer above 2**63 makes it look its types up at each call."""


def row_hashes(columns: Sequence[pa.Array | pa.ChunkedArray], *, table_values: bool = False) -> Uint64Array:
    """64 bits a row of at least one column.

    ``table_values`` takes times as the integers that Arrow stores, and nested values by their stable encoding
    (``core.serde``), for no Python value of theirs has a stable hash.

    Raises ``RecordTypeError`` for values of a type without a stable hash.
    """
    hashed = [_column_hashes(flat(column), table_values) for column in columns]
    if len(hashed) == 1:
        return hashed[0]
    rows = np.full(len(hashed[0]), keys.TAG_TUPLE + len(hashed), np.uint64)
    for fields in hashed:
        add_field(fields, rows)
    return rows


def _column_hashes(column: pa.Array, table_values: bool) -> Uint64Array:
    kind = column.type
    hashes: Uint64Array = np.empty(len(column), np.uint64)
    is_integer = (pa.types.is_integer(kind) and kind != pa.uint64()) or pa.types.is_boolean(kind)
    if is_integer or (table_values and pa.types.is_temporal(kind) and not pa.types.is_interval(kind)):
        dtype = fixed_dtype(kind)
        assert dtype is not None
        hash_integers(integers_of(column, dtype), valid_of(column), _NULL_HASH, hashes)
    elif is_text(kind):
        is_string = pa.types.is_string(kind) or pa.types.is_large_string(kind)
        tag = keys.TAG_STR if is_string else keys.TAG_BYTES
        hash_text(*text_of(column), valid_of(column), tag, _NULL_HASH, CRC_TABLES, hashes)
    elif table_values and pa.types.is_nested(kind):
        encoded = [None if value is None else encode_value(value) for value in column.to_pylist()]
        bytes_of = pa.array(encoded, pa.large_binary())
        hash_text(*text_of(bytes_of), valid_of(bytes_of), keys.TAG_OTHER, _NULL_HASH, CRC_TABLES, hashes)
    elif pa.types.is_null(kind):
        hashes[:] = _NULL_HASH
    else:
        values = _distinct(column)
        if values is None:
            hashes[:] = [keys.hash64(value) for value in column.to_pylist()]
        else:
            codes, words = values
            hashes[:] = np.array([*map(keys.hash64, words), _NULL_HASH], np.uint64)[codes]
    return hashes


def _distinct(column: pa.Array) -> tuple[npt.NDArray[np.int32], list[object]] | None:
    """``(code of each row, distinct values)``, -1 for null; None for types that Arrow has no dictionaries of."""
    try:
        encoded = column.dictionary_encode()
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return None
    codes: npt.NDArray[np.int32] = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes, encoded.dictionary.to_pylist()
