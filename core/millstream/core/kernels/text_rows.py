"""Columns of text to rows of text: the lines of NDJSON and CSV files, one pass over the bytes."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from millstream.core.kernels.byte_scan import BACKSLASH, BLOCK, QUOTE, Bytes, copy_block, first_escape, pointer

PLAIN, JSON_STRING, CSV_CELL = range(3)
"""How a value is written: as it is; between quotes with JSON's escapes; between quotes only if it must be."""

_EXPANSION_MAX: Final = 6
"""Bytes a byte can become: ``\\u001f``."""


@numba.njit(cache=True, nogil=True)
def _hex_digit(value: int) -> int:
    return 48 + value if value < 10 else 87 + value


@numba.njit(cache=True, nogil=True)
def _put_json_string(text: Bytes, index: int, end: int, out: Bytes, place: int) -> int:
    out[place] = QUOTE
    place += 1
    while index < end:
        copy_block(text, index, out, place)
        step = min(first_escape(text, index), end - index)
        index += step
        place += step
        if step == BLOCK or index >= end:
            continue
        byte = text[index]
        out[place] = BACKSLASH
        if byte in (QUOTE, BACKSLASH):
            out[place + 1] = byte
            place += 2
        elif byte == 10 or byte == 9 or byte == 13:
            out[place + 1] = 110 if byte == 10 else (116 if byte == 9 else 114)
            place += 2
        else:
            out[place + 1], out[place + 2], out[place + 3] = 117, 48, 48
            out[place + 4], out[place + 5] = _hex_digit(byte >> 4), _hex_digit(byte & 15)
            place += 6
        index += 1
    out[place] = QUOTE
    return place + 1


@numba.njit(cache=True, nogil=True)
def _put_csv_cell(
    text: Bytes, index: int, end: int, delimiter: int, quote: int, escape: int, out: Bytes, place: int
) -> int:
    """``quote`` and ``escape`` are -1 where there is none. An escape character goes before what has a meaning."""
    needed = False
    for i in range(index, end):
        byte = int(text[i])
        if byte in (delimiter, quote, escape, 10, 13):
            needed = True
            break
    quoted = needed and quote >= 0
    if quoted:
        out[place] = quote
        place += 1
    for i in range(index, end):
        byte = int(text[i])
        if needed and escape >= 0 and (byte in (escape, quote) or (not quoted and byte == delimiter)):
            out[place] = escape
            place += 1
        elif quoted and byte == quote:
            out[place] = quote
            place += 1
        out[place] = byte
        place += 1
    if quoted:
        out[place] = quote
        place += 1
    return place


@numba.njit(cache=True, nogil=True)
def _put(text: Bytes, start: int, end: int, out: Bytes, place: int) -> int:
    for index in range(start, end, BLOCK):
        copy_block(text, index, out, place + index - start)
    return place + end - start


@numba.njit(cache=True, nogil=True)
def join_rows(
    text: Bytes,
    offsets: npt.NDArray[np.int64],
    states: npt.NDArray[np.uint8],
    styles: npt.NDArray[np.int64],
    marks: npt.NDArray[np.int64],
    csv: npt.NDArray[np.int64],
    skip_nulls: bool,
    ends: npt.NDArray[np.int64],
    out: Bytes,
) -> int:
    """Write all rows to ``out``; returns how many bytes. ``ends[row]`` receives where the row ends.

    ``text``: all values of all columns, and the fixed parts. ``offsets``: for each column in turn, one more than there
    are rows, places in ``text``; ``states``: 0 for NULL. ``marks``: places in ``text`` of the begin of a row, its
    end, what NULL is, and the name of each column, each up to the next. ``csv``: delimiter (also of JSON), quote and
    escape. ``out`` has room for ``room_for`` bytes. ``text`` and ``out`` are padded.
    """
    columns, rows = len(styles), len(ends)
    source, target, starts, flags = pointer(text), pointer(out), pointer(offsets), pointer(states)
    delimiter, quote, escape = csv[0], csv[1], csv[2]
    place = 0
    for row in range(rows):
        place = _put(source, marks[0], marks[1], target, place)
        first = True
        for column in range(columns):
            present = flags[column * rows + row] != 0
            if skip_nulls and not present:
                continue
            if not first:
                target[place] = delimiter
                place += 1
            first = False
            place = _put(source, marks[3 + column], marks[4 + column], target, place)
            at = column * (rows + 1) + row
            if not present:
                place = _put(source, marks[2], marks[3], target, place)
            elif styles[column] == JSON_STRING:
                place = _put_json_string(source, starts[at], starts[at + 1], target, place)
            elif styles[column] == CSV_CELL:
                place = _put_csv_cell(source, starts[at], starts[at + 1], delimiter, quote, escape, target, place)
            else:
                place = _put(source, starts[at], starts[at + 1], target, place)
        place = _put(source, marks[1], marks[2], target, place)
        ends[row] = place
    return place


def room_for(text_bytes: int, fixed_bytes: int, null_bytes: int, columns: int, rows: int) -> int:
    """Bytes that the rows take at most. ``fixed_bytes``: of all that ``marks`` places; ``null_bytes``: of a NULL."""
    return text_bytes * _EXPANSION_MAX + rows * (fixed_bytes + (3 + null_bytes) * columns)
