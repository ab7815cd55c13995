"""Key hash version 1 (``core/keys.py``) of whole columns: what ``stable_hash`` computes value by value.

All kernels fill ``hashes`` with the 64 bits whose high half is the stable hash. ``valid`` has one element a row, or
none where no value is null.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Uint64Array = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
BoolArray = npt.NDArray[np.bool_]

_CRC_POLYNOMIAL: Final = 0xEDB88320
"""Of CRC-32 as zlib has it, bits reversed."""


def crc_tables() -> npt.NDArray[np.uint32]:
    """Shape ``(8, 256)``: row ``k`` is the remainder of a byte followed by ``k`` zero bytes ("slicing by 8")."""
    tables = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (_CRC_POLYNOMIAL if crc & 1 else 0)
        tables[0, byte] = crc
    for k in range(1, 8):
        before = tables[k - 1]
        tables[k] = (before >> np.uint32(8)) ^ tables[0][before & np.uint32(255)]
    return tables


CRC_TABLES: Final = crc_tables()


@numba.njit(cache=True, nogil=True, inline="always")
def mix(x: Any) -> Any:
    """SplitMix64's finaliser on unsigned 64 bits."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def hash_integers(values: Int64Array, valid: BoolArray, null_hash: np.uint64, hashes: Uint64Array) -> None:
    """``null_hash`` is what a null has."""
    some_null = len(valid) > 0
    for i in range(len(values)):
        if some_null and not valid[i]:
            hashes[i] = null_hash
        else:
            hashes[i] = mix(np.uint64(values[i]))


@numba.njit(cache=True, nogil=True)
def hash_text(
    offsets: Int64Array,
    data: Bytes,
    valid: BoolArray,
    tag: int,
    null_hash: np.uint64,
    tables: npt.NDArray[np.uint32],
    hashes: Uint64Array,
) -> None:
    """``mix(crc32 + (length << 32) ^ tag)`` of the bytes ``data[offsets[i]:offsets[i + 1]]``."""
    some_null = len(valid) > 0
    ones = np.uint32(0xFFFFFFFF)
    low = np.uint32(255)
    for i in range(len(hashes)):
        if some_null and not valid[i]:
            hashes[i] = null_hash
            continue
        p, end = offsets[i], offsets[i + 1]
        size = np.uint64(end - p)
        crc = ones
        while p + 8 <= end:
            a = crc ^ (
                np.uint32(data[p])
                | (np.uint32(data[p + 1]) << np.uint32(8))
                | (np.uint32(data[p + 2]) << np.uint32(16))
                | (np.uint32(data[p + 3]) << np.uint32(24))
            )
            crc = np.uint32(
                tables[7, a & low]
                ^ tables[6, (a >> np.uint32(8)) & low]
                ^ tables[5, (a >> np.uint32(16)) & low]
                ^ tables[4, a >> np.uint32(24)]
                ^ tables[3, data[p + 4]]
                ^ tables[2, data[p + 5]]
                ^ tables[1, data[p + 6]]
                ^ tables[0, data[p + 7]]
            )
            p += 8
        while p < end:
            crc = np.uint32((crc >> np.uint32(8)) ^ tables[0, (crc ^ data[p]) & low])
            p += 1
        total = np.uint64(crc ^ ones) + (size << np.uint64(32))
        hashes[i] = mix(total ^ np.uint64(tag))


@numba.njit(cache=True, nogil=True)
def add_field(fields: Uint64Array, hashes: Uint64Array) -> None:
    """The next field of tuples: ``h = mix(h * 31 + hash of the field)``; ``hashes`` starts as tag + count."""
    for i in range(len(hashes)):
        hashes[i] = mix(hashes[i] * np.uint64(31) + fields[i])
