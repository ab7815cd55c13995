"""Loops over the two 64-bit words of decimals."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


def multiply_by_constant(values: Int64Array, factor: int, words: Int64Array) -> bool:
    """Fill ``words`` (rows, 2) with ``values * factor`` as little-endian 128-bit integers.

    False, with nothing to use in ``words``, when a product does not fit 64 bits. ``factor`` is not zero.
    """
    limit = (2**63 - 1) // abs(factor)
    if limit == 0:
        return False
    return bool(_multiply(values, factor, limit, words))


@numba.njit(cache=True, nogil=True)
def _multiply(values: Int64Array, factor: int, limit: int, words: Int64Array) -> bool:
    fits = True
    for i in range(len(values)):
        value = values[i]
        fits &= (value <= limit) & (value >= -limit)
        product = value * factor
        words[i, 0] = product
        words[i, 1] = product >> 63
    return fits
