"""ORDER BY over columns: rows as integers that compare as the rows do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.kernels.arrow_views import fixed_dtype, fixed_of
from millstream.core.table.specs import SortKey

Int64Array = npt.NDArray[np.int64]


def ranks_of(values: pa.Array) -> Int64Array:
    """1, 2, 3, ... in order of the values, equal ones in order of their places; no NULLs among them."""
    order = pc.array_sort_indices(values).to_numpy()
    ranks: Int64Array = np.empty(len(values), np.int64)
    ranks[order] = np.arange(1, len(values) + 1)
    return ranks


def codes_of(column: pa.Array, key: SortKey) -> Int64Array:
    """Integers that order the values of a column as ``key`` asks, equal ones being equal; NULLs in their place.

    Comparable with each other, not with those of another column.
    """
    dtype = fixed_dtype(column.type)
    valid = column.is_valid().to_numpy(zero_copy_only=False) if column.null_count else None
    codes: Int64Array
    if dtype is not None and dtype.kind in "iub" and dtype != np.uint64:
        codes = fixed_of(column, dtype).astype(np.int64)
    elif dtype is not None and dtype.kind == "f":
        codes = _float_codes(fixed_of(column, dtype).astype(np.float64))
    else:
        encoded = column.dictionary_encode()
        places: Int64Array = np.empty(len(encoded.dictionary) + 1, np.int64)
        places[pc.array_sort_indices(encoded.dictionary).to_numpy()] = np.arange(len(encoded.dictionary))
        indices = encoded.indices.fill_null(0) if encoded.null_count else encoded.indices
        codes = places[indices.to_numpy()] if len(encoded.dictionary) else np.zeros(len(column), np.int64)
    if not key.ascending:
        codes = ~codes
    if valid is not None:
        limits = np.iinfo(np.int64)
        codes = np.where(valid, codes, limits.min if key.nulls_first else limits.max)
    return codes


def sort_positions(columns: Sequence[pa.Array], order: Sequence[SortKey], tie: Int64Array | None = None) -> Int64Array:
    """The positions of the rows in order; ``columns[i]`` is that of ``order[i]``. Equal rows by ``tie``, then stay."""
    keys = [codes_of(column, key) for column, key in zip(columns, order, strict=True)]
    if tie is not None:
        keys.append(tie)
    if not keys:
        return np.arange(len(columns[0]) if columns else 0)
    return np.lexsort(keys[::-1])


def _float_codes(values: npt.NDArray[np.float64]) -> Int64Array:
    """The bits of a number, turned so that integers compare as the numbers: -0.0 is 0.0, NaN is the greatest."""
    values = values + 0.0
    values[np.isnan(values)] = np.nan
    bits = values.view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(0x7FFFFFFFFFFFFFFF), bits)
