"""SPLIT_INDEX over a column: the bytes of the texts are searched once, no list of parts is made."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def split_index(texts: pa.Array, separator: str, index: int) -> pa.Array:
    """The part at ``index`` (from 0) of each text; NULL where the text has fewer parts."""
    rows = len(texts)
    if rows == 0:
        return texts
    from millstream.core.kernels.text_search import find_part  # with numba, which planning must not load

    needle = np.frombuffer(separator.encode(), np.uint8)
    _, offsets_buffer, data_buffer = texts.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int32)[texts.offset : texts.offset + rows + 1]
    data = (
        np.frombuffer(data_buffer, np.uint8) if data_buffer is not None and data_buffer.size else np.zeros(1, np.uint8)
    )
    new_offsets = np.empty(rows + 1, np.int32)
    found = np.empty(rows, np.bool_)
    out = np.empty(max(1, int(offsets[-1] - offsets[0])), np.uint8)
    size = find_part(data, offsets, needle, index, out, new_offsets, found)
    valid = pa.array(found)
    if texts.null_count:
        valid = pc.and_(valid, pc.is_valid(texts))
    buffers = [valid.buffers()[1], pa.py_buffer(new_offsets), pa.py_buffer(out[:size])]
    return pa.Array.from_buffers(pa.string(), rows, buffers)
