"""Arrow arrays from the cells of decoding kernels: 64-bit values and a state a cell, where 0 is NULL."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Cells = npt.NDArray[np.int64]
States = npt.NDArray[np.uint8]


def array_of(kind: pa.DataType, cells: Cells, states: States) -> pa.Array:
    """A column of fixed width: copies ``cells`` to the width of ``kind``. Doubles are bits, decimals unscaled."""
    rows = len(cells)
    validity = _validity(states)
    if pa.types.is_boolean(kind):
        return pa.Array.from_buffers(kind, rows, [validity, _bits(cells * (states != 0))])
    if pa.types.is_decimal(kind):
        words = np.empty((rows, 2), np.int64)
        words[:, 0] = cells
        words[:, 1] = cells >> 63
        return pa.Array.from_buffers(kind, rows, [validity, pa.py_buffer(words)])
    values: npt.NDArray[Any]
    if pa.types.is_floating(kind):
        if kind == pa.float32():
            with np.errstate(all="ignore"):  # cells of NULL hold anything; too large a double becomes infinite
                values = cells.view(np.float64).astype(np.float32)
        else:
            values = cells.copy()
    else:
        values = cells.astype(f"int{kind.bit_width}")
    return pa.Array.from_buffers(kind, rows, [validity, pa.py_buffer(values)])


def string_array(offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8], states: States) -> pa.Array:
    """A column of strings over Arrow's own layout."""
    return pa.Array.from_buffers(
        pa.string(), len(states), [_validity(states), pa.py_buffer(offsets), pa.py_buffer(data[: offsets[-1]])]
    )


def struct_of(kind: pa.DataType, columns: list[pa.Array], states: States) -> pa.Array:
    """ROW values from the columns of their fields."""
    return pa.Array.from_buffers(kind, len(states), [_validity(states)], children=columns)


def _validity(states: States) -> pa.Buffer | None:
    return None if states.all() else _bits(states)


def _bits(flags: npt.NDArray[Any]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags != 0, bitorder="little"))
