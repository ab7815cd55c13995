"""Rows as bytes: a head of fixed width, then what has no fixed width.

Heads are a matrix with one line a row, which numpy fills and reads column by column. These kernels put each line and
the texts of its row behind each other, and take them apart again.

The rows are ``data[offsets[i]:offsets[i + 1]]``; a text column is ``(starts, lengths, data)``, a length of -1 is NULL.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
Int32Array = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]


@numba.njit(cache=True, nogil=True)
def put_heads(heads: Bytes, offsets: Int64Array, cursor: Int64Array, data: Bytes) -> None:
    """Write line ``i`` of ``heads`` where row ``i`` begins; ``cursor`` is where its first text goes."""
    width = heads.shape[1]
    for i in range(heads.shape[0]):
        at = offsets[i]
        for p in range(width):
            data[at + p] = heads[i, p]
        cursor[i] = at + width


@numba.njit(cache=True, nogil=True)
def put_texts(starts: Int64Array, lengths: Int32Array, texts: Bytes, cursor: Int64Array, data: Bytes) -> None:
    """Write the text of each row at its cursor, which moves behind it."""
    for i in range(len(lengths)):
        at, start = cursor[i], starts[i]
        for p in range(lengths[i]):
            data[at + p] = texts[start + p]
        cursor[i] = at + max(lengths[i], 0)


@numba.njit(cache=True, nogil=True)
def take_heads(offsets: Int64Array, data: Bytes, heads: Bytes, cursor: Int64Array) -> None:
    """The inverse of ``put_heads``."""
    width = heads.shape[1]
    for i in range(heads.shape[0]):
        at = offsets[i]
        for p in range(width):
            heads[i, p] = data[at + p]
        cursor[i] = at + width


@numba.njit(cache=True, nogil=True)
def take_texts(lengths: Int32Array, cursor: Int64Array, data: Bytes, texts: Bytes) -> None:
    """The inverse of ``put_texts``: the texts behind each other."""
    end = 0
    for i in range(len(lengths)):
        at = cursor[i]
        length = max(lengths[i], 0)
        for p in range(length):
            texts[end + p] = data[at + p]
        cursor[i] = at + length
        end += length
