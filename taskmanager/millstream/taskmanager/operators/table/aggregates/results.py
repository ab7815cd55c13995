"""Arrays by slot as Arrow columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.kernels.arrow_views import fixed_dtype

BoolArray = npt.NDArray[np.bool_]


def fixed_array(values: npt.NDArray[Any], valid: BoolArray | None, kind: pa.DataType) -> pa.Array:
    """A column of a type of fixed width of at most 64 bits; numbers too large for it wrap around."""
    dtype = fixed_dtype(kind)
    assert dtype is not None
    nulls = 0 if valid is None else len(valid) - int(np.count_nonzero(valid))
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls and valid is not None else None
    if dtype == np.bool_:
        data = np.packbits(values.astype(np.bool_), bitorder="little")
    else:
        data = np.ascontiguousarray(values.astype(dtype, copy=False))
    return pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(data)], nulls)


def decimal_array(
    lows: npt.NDArray[np.int64], highs: npt.NDArray[np.int64], valid: BoolArray, kind: pa.DataType
) -> pa.Array:
    """128-bit integers as decimals; NULL where ``valid`` is not, and where there are too many digits."""
    limit = 10**kind.precision
    top, low_limit = limit >> 64, np.uint64(limit & (2**64 - 1))
    negative = highs < 0
    magnitude_low = np.where(negative, ~lows + 1, lows).view(np.uint64)
    magnitude_high = np.where(negative, ~highs + (lows == 0), highs)
    fits = (magnitude_high < top) | ((magnitude_high == top) & (magnitude_low < low_limit))
    fits &= magnitude_high >= 0
    valid = valid & fits
    words = np.empty(2 * len(lows), np.int64)
    words[0::2], words[1::2] = lows, highs
    nulls = len(valid) - int(np.count_nonzero(valid))
    bitmap = pa.py_buffer(np.packbits(valid, bitorder="little")) if nulls else None
    return pa.Array.from_buffers(kind, len(lows), [bitmap, pa.py_buffer(words)], nulls)
