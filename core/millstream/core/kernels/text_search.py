"""Searching the bytes of texts in Arrow's layout: ``data`` with ``offsets``, one more than there are texts."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


@numba.njit(cache=True, nogil=True)
def find_part(
    data: Bytes, offsets: Offsets, needle: Bytes, index: int, out: Bytes, new_offsets: Offsets, found: Flags
) -> int:
    """Copy part ``index`` of each text, split at ``needle``, to ``out``; an empty needle splits nothing.

    ``new_offsets`` and ``found`` are filled; a text with too few parts has none. Returns the bytes copied.
    """
    size = 0
    length = len(needle)
    new_offsets[0] = 0
    for i in range(len(found)):
        end = offsets[i + 1]
        start = offsets[i]
        part = 0
        place = start
        stop = end
        while part <= index:
            stop = end
            if length > 0:
                while place + length <= end:
                    same = True
                    for k in range(length):
                        if data[place + k] != needle[k]:
                            same = False
                            break
                    if same:
                        stop = place
                        break
                    place += 1
            if part == index:
                break
            if stop == end:
                part = -1
                break
            place = stop + length
            start = place
            part += 1
        found[i] = part == index
        if part == index:
            for k in range(start, stop):
                out[size] = data[k]
                size += 1
        new_offsets[i + 1] = size
    return size
