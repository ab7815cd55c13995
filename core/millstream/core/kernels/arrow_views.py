"""Arrow arrays as the plain arrays that kernels take, without a copy where Arrow's layout allows it.

``valid`` has one element a row, or none where no value is null: the form all kernels know.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.kernels.slot_index import BoolArray, Int64Array

Bytes = npt.NDArray[np.uint8]

NOTHING_NULL: Final[BoolArray] = np.empty(0, np.bool_)
_NO_BYTES: Final[Bytes] = np.empty(0, np.uint8)

_FIXED: Final[dict[Any, Any]] = {
    pa.int8(): np.int8,
    pa.int16(): np.int16,
    pa.int32(): np.int32,
    pa.int64(): np.int64,
    pa.uint8(): np.uint8,
    pa.uint16(): np.uint16,
    pa.uint32(): np.uint32,
    pa.uint64(): np.uint64,
    pa.float16(): np.float16,
    pa.float32(): np.float32,
    pa.float64(): np.float64,
    pa.bool_(): np.bool_,
    pa.date32(): np.int32,
    pa.date64(): np.int64,
    pa.time32("s"): np.int32,
    pa.time32("ms"): np.int32,
    pa.time64("us"): np.int64,
    pa.time64("ns"): np.int64,
}


def fixed_dtype(kind: pa.DataType) -> np.dtype[Any] | None:
    """What numpy calls the values of an Arrow type of at most 64 bits; times are integers. None for other types."""
    found = _FIXED.get(kind)
    if found is None and (pa.types.is_timestamp(kind) or pa.types.is_duration(kind)):
        found = np.int64
    return None if found is None else np.dtype(found)


def is_text(kind: pa.DataType) -> bool:
    """Whether ``text_of`` takes the type: strings and bytes of any length."""
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def flat(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One array with its values in place: chunks put together, dictionaries and views resolved."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    kind = array.type
    if pa.types.is_dictionary(kind):
        return array.dictionary_decode()
    if pa.types.is_string_view(kind):
        return array.cast(pa.string())
    if pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return array.cast(pa.binary())
    return array


def valid_of(array: pa.Array) -> BoolArray:
    """``valid`` of an array."""
    if array.null_count == 0:
        return NOTHING_NULL
    mask: BoolArray = pc.is_valid(array).to_numpy(zero_copy_only=False)
    return mask


def fixed_of(array: pa.Array, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The values of a type that has a ``fixed_dtype``; what stands where a value is null is arbitrary."""
    if dtype == np.bool_:
        if array.null_count:
            array = pc.fill_null(array, False)
        mask: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
        return mask
    data = array.buffers()[1]
    if data is None:
        return np.zeros(len(array), dtype)
    return np.frombuffer(data, dtype, len(array), array.offset * dtype.itemsize)


def integers_of(array: pa.Array, dtype: np.dtype[Any]) -> Int64Array:
    """The same as 64-bit integers that are equal where the values are: all NaNs are one, and -0.0 is 0.0."""
    values = fixed_of(array, dtype)
    if dtype.kind == "f":
        wide = values.astype(np.float64) + 0.0
        wide[np.isnan(wide)] = np.nan
        bits: Int64Array = wide.view(np.int64)
        return bits
    if dtype == np.int64:
        return values
    if dtype == np.uint64:
        return values.view(np.int64)
    return values.astype(np.int64)


def words_of_decimals(array: pa.Array) -> list[Int64Array]:
    """Decimals of any width as their 64-bit words, the least significant first."""
    width = array.type.byte_width // 8
    data = array.buffers()[1]
    if data is None:
        return [np.zeros(len(array), np.int64)] * width
    values = np.frombuffer(data, np.int64, len(array) * width, array.offset * width * 8)
    return [np.ascontiguousarray(values[word::width]) for word in range(width)]


def text_of(array: pa.Array) -> tuple[Int64Array, Bytes]:
    """``(offsets, data)`` of strings or bytes: value ``i`` is ``data[offsets[i]:offsets[i + 1]]``."""
    large = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    dtype = np.dtype(np.int64 if large else np.int32)
    _, offsets, data = array.buffers()
    if offsets is None or not offsets.size:
        return np.zeros(len(array) + 1, np.int64), _NO_BYTES
    starts = np.frombuffer(offsets, dtype, len(array) + 1, array.offset * dtype.itemsize)
    content = _NO_BYTES if data is None else np.frombuffer(data, np.uint8)
    return starts.astype(np.int64, copy=False), content
