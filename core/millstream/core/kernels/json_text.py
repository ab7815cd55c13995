"""Strings in JSON notation to UTF-8: escapes decoded, bytes validated."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from millstream.core.kernels.byte_scan import BACKSLASH, BLOCK, Bytes, copy_block, first_unusual, pointer
from millstream.core.kernels.number_text import LATER, NULL, Cells, States

BROKEN: Final = 3
"""State of a cell whose text is no valid string."""

_INVALID: Final = -1
_REPLACEMENT: Final = 0xFFFD
"""Stands for half a surrogate pair, which has no UTF-8."""


@numba.njit(cache=True, nogil=True)
def _hex4(buffer: Bytes, index: int, end: int) -> int:
    if index + 4 > end:
        return _INVALID
    value = 0
    for i in range(index, index + 4):
        byte = int(buffer[i])
        if 48 <= byte <= 57:
            digit = byte - 48
        elif 97 <= (byte | 32) <= 102:
            digit = (byte | 32) - 87
        else:
            return _INVALID
        value = value * 16 + digit
    return value


@numba.njit(cache=True, nogil=True)
def _put_utf8(code: int, out: Bytes, place: int) -> int:
    if code < 0x80:
        out[place] = code
        return place + 1
    if code < 0x800:
        out[place] = 0xC0 | (code >> 6)
        out[place + 1] = 0x80 | (code & 0x3F)
        return place + 2
    if code < 0x10000:
        out[place] = 0xE0 | (code >> 12)
        out[place + 1] = 0x80 | ((code >> 6) & 0x3F)
        out[place + 2] = 0x80 | (code & 0x3F)
        return place + 3
    out[place] = 0xF0 | (code >> 18)
    out[place + 1] = 0x80 | ((code >> 12) & 0x3F)
    out[place + 2] = 0x80 | ((code >> 6) & 0x3F)
    out[place + 3] = 0x80 | (code & 0x3F)
    return place + 4


@numba.njit(cache=True, nogil=True)
def _utf8_length(buffer: Bytes, index: int, end: int) -> int:
    """Bytes of the valid multi-byte character at ``index``; 0 when it is invalid.

    Which bytes may follow which is table 3-7 of the Unicode standard.
    """
    lead = buffer[index]
    low, high = 0x80, 0xBF
    if 0xC2 <= lead <= 0xDF:
        length = 2
    elif 0xE0 <= lead <= 0xEF:
        length = 3
        if lead == 0xE0:
            low = 0xA0
        elif lead == 0xED:
            high = 0x9F
    elif 0xF0 <= lead <= 0xF4:
        length = 4
        if lead == 0xF0:
            low = 0x90
        elif lead == 0xF4:
            high = 0x8F
    else:
        return 0
    if index + length > end or buffer[index + 1] < low or buffer[index + 1] > high:
        return 0
    for i in range(index + 2, index + length):
        if buffer[i] < 0x80 or buffer[i] > 0xBF:
            return 0
    return length


@numba.njit(cache=True, nogil=True)
def _escaped_code(buffer: Bytes, index: int, end: int) -> tuple[int, int]:
    """``(code point, place after it)`` of the escape whose backslash is at ``index``; the code is negative when it is
    no escape."""
    if index + 1 >= end:
        return _INVALID, index
    kind = buffer[index + 1]
    if kind != 117:
        code = _INVALID
        if kind == 34 or kind == 92 or kind == 47:
            code = int(kind)
        elif kind == 110:
            code = 10
        elif kind == 116:
            code = 9
        elif kind == 114:
            code = 13
        elif kind == 98:
            code = 8
        elif kind == 102:
            code = 12
        return code, index + 2
    code = _hex4(buffer, index + 2, end)
    index += 6
    if 0xD800 <= code <= 0xDBFF and index + 1 < end and buffer[index] == BACKSLASH and buffer[index + 1] == 117:
        low = _hex4(buffer, index + 2, end)
        if 0xDC00 <= low <= 0xDFFF:
            return 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00), index + 6
    if 0xD800 <= code <= 0xDFFF:
        code = _REPLACEMENT
    return code, index


@numba.njit(cache=True, nogil=True)
def unescape(buffer: Bytes, index: int, end: int, raw: bool, out: Bytes, place: int) -> int:
    """Write the string in ``[index, end)`` (without quotes) to ``out[place:]``; returns the place after it, or -1.

    No longer than the text it came from. A backslash and control characters mean themselves when ``raw``.
    """
    while index < end:
        byte = buffer[index]
        if byte == BACKSLASH and not raw:
            code, index = _escaped_code(buffer, index, end)
            if code < 0:
                return _INVALID
            place = _put_utf8(code, out, place)
        elif byte < 0x80:
            if byte < 0x20 and not raw:
                return _INVALID
            out[place] = byte
            place += 1
            index += 1
        else:
            length = _utf8_length(buffer, index, end)
            if length == 0:
                return _INVALID
            for i in range(length):
                out[place + i] = buffer[index + i]
            place += length
            index += length
    return place


@numba.njit(cache=True, nogil=True)
def gather_strings(buffer: Bytes, spans: Cells, states: States, offsets: npt.NDArray[np.int32], out: Bytes) -> int:
    """Copy the spans of a column one after the other to ``out``: Arrow's layout of strings.

    ``offsets`` is one longer than ``spans``; ``out`` holds the sum of the lengths and padding. Strings that are not
    valid get the state ``BROKEN`` and no bytes; returns how many there are. Spans in the state ``LATER`` are copied as
    they are: the text of a value that is no string.
    """
    text, target_text = pointer(buffer), pointer(out)
    place, broken = 0, 0
    offsets[0] = 0
    for row in range(len(spans)):
        if states[row] != NULL:
            span = spans[row]
            start = span >> 32
            stop = start + ((span & 0xFFFFFFFF) >> 1)
            plain = (span & 1) == 0
            index, target = start, place
            while plain and index < stop:
                copy_block(text, index, target_text, target)
                plain = first_unusual(text, index) >= min(BLOCK, stop - index)
                index += BLOCK
                target += BLOCK
            if plain:
                place += stop - start
            else:
                after = unescape(text, start, stop, states[row] == LATER, target_text, place)
                if after < 0:
                    states[row] = BROKEN
                    broken += 1
                else:
                    place = after
        offsets[row + 1] = place
    return broken
