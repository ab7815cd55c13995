"""Numbers in JSON notation to integers, doubles and decimals.

Each reader takes the text in ``[index, end)`` of ``buffer``, writes into one cell and returns the place after the
number, or a negative reason. All arrays come as ``pointer``. What cannot be computed exactly here is left to Python:
the cell gets the span of the text (``pack_span``) and the state ``LATER``.
"""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
import numpy.typing as npt

from millstream.core.kernels.byte_scan import Bytes

Cells = npt.NDArray[np.int64]
"""Values of one column: integers, bits of doubles, or spans."""
States = npt.NDArray[np.uint8]
"""Of each cell: ``NULL``, ``VALUE`` or ``LATER``."""

NULL: Final = 0
VALUE: Final = 1
LATER: Final = 2
"""The cell holds a span of text whose value is still to be computed."""

INVALID: Final = 4
"""The value does not fit its column, and is to become NULL."""

NOT_A_NUMBER: Final = -2
OUT_OF_RANGE: Final = -3

_DIGITS_EXACT: Final = 19
"""So many digits fit 64 bits without a sign."""
_MANTISSA_MAX: Final = 1 << 53
_POWERS_EXACT: Final = 22
_EXPONENT_MAX: Final = 100_000
_TENS = np.array([float(10**n) for n in range(_POWERS_EXACT + 1)], np.float64)
_TENS_INT = np.array([10**n for n in range(19)], np.int64)


@numba.njit(cache=True, nogil=True)
def pack_span(start: int, stop: int, escaped: bool) -> int:
    """A stretch of the buffer in one integer: start (31 bits), length (31 bits), whether it has escapes."""
    return (start << 32) | ((stop - start) << 1) | (1 if escaped else 0)


@numba.njit(cache=True, nogil=True)
def _scan_number(buffer: Bytes, index: int, end: int) -> tuple[int, np.uint64, int, int, bool, bool]:
    """``(place after it, digits as an integer, number of digits, power of ten, negative, integer)``.

    More than 19 significant digits are counted but not summed. The place is negative when it is no number.
    """
    zero, negative = np.uint64(0), False
    if index < end and buffer[index] == 45:
        negative = True
        index += 1
    first = index
    mantissa, digits = np.uint64(0), 0
    while index < end and 48 <= buffer[index] <= 57:
        if digits or buffer[index] != 48:
            digits += 1
            if digits <= _DIGITS_EXACT:
                mantissa = mantissa * np.uint64(10) + np.uint64(buffer[index] - 48)
        index += 1
    if index == first or (buffer[first] == 48 and index > first + 1):
        return NOT_A_NUMBER, zero, 0, 0, False, False
    integer, power = True, 0
    if index < end and buffer[index] == 46:
        integer = False
        index += 1
        first = index
        while index < end and 48 <= buffer[index] <= 57:
            if digits or buffer[index] != 48:
                digits += 1
                if digits <= _DIGITS_EXACT:
                    mantissa = mantissa * np.uint64(10) + np.uint64(buffer[index] - 48)
            power -= 1
            index += 1
        if index == first:
            return NOT_A_NUMBER, zero, 0, 0, False, False
    if index < end and (buffer[index] | 32) == 101:
        integer = False
        index += 1
        down = False
        if index < end and (buffer[index] == 43 or buffer[index] == 45):
            down = buffer[index] == 45
            index += 1
        first = index
        exponent = 0
        while index < end and 48 <= buffer[index] <= 57:
            exponent = min(exponent * 10 + int(buffer[index]) - 48, _EXPONENT_MAX)
            index += 1
        if index == first:
            return NOT_A_NUMBER, zero, 0, 0, False, False
        power += -exponent if down else exponent
    return index, mantissa, digits, power, negative, integer


@numba.njit(cache=True, nogil=True)
def _exact_double(mantissa: np.uint64, digits: int, power: int) -> float:
    """Correctly rounded, as both factors are exact; NaN when they are not."""
    if mantissa == 0 and digits == 0:
        return 0.0
    if digits > _DIGITS_EXACT or mantissa > np.uint64(_MANTISSA_MAX) or abs(power) > _POWERS_EXACT:
        return np.nan
    if power < 0:
        return float(mantissa) / float(_TENS[-power])
    return float(mantissa) * float(_TENS[power])


@numba.njit(cache=True, nogil=True)
def read_integer(buffer: Bytes, index: int, end: int, low: int, high: int, cells: Cells, cell: int) -> int:
    """An integer in ``[low, high]``; one with a fraction or an exponent is cut towards zero."""
    start = index
    negative = index < end and buffer[index] == 45
    if negative:
        index += 1
    first = index
    value = np.uint64(0)
    while index < end and 48 <= buffer[index] <= 57:
        value = value * np.uint64(10) + np.uint64(buffer[index] - 48)
        index += 1
    digits = index - first
    if digits == 0 or (digits > 1 and buffer[first] == 48):
        return NOT_A_NUMBER
    if index < end and (buffer[index] == 46 or (buffer[index] | 32) == 101):
        return _read_cut_integer(buffer, start, end, low, high, cells, cell)
    if digits > _DIGITS_EXACT or value > np.uint64(1 << 63) or (value == np.uint64(1 << 63) and not negative):
        return OUT_OF_RANGE
    number = np.int64(value)
    if negative:
        number = -number
    if number < low or number > high:
        return OUT_OF_RANGE
    cells[cell] = number
    return index


@numba.njit(cache=True, nogil=True)
def _read_cut_integer(buffer: Bytes, index: int, end: int, low: int, high: int, cells: Cells, cell: int) -> int:
    index, mantissa, digits, power, negative, _ = _scan_number(buffer, index, end)
    if index < 0:
        return index
    if digits > _DIGITS_EXACT:
        return OUT_OF_RANGE
    while power < 0 and mantissa > 0:
        mantissa //= np.uint64(10)
        power += 1
    while power > 0 and mantissa > 0:
        if mantissa > np.uint64((1 << 63) // 10):
            return OUT_OF_RANGE
        mantissa *= np.uint64(10)
        power -= 1
    if mantissa > np.uint64(1 << 63) or (mantissa == np.uint64(1 << 63) and not negative):
        return OUT_OF_RANGE
    number = np.int64(mantissa)
    if negative:
        number = -number
    if number < low or number > high:
        return OUT_OF_RANGE
    cells[cell] = number
    return index


@numba.njit(cache=True, nogil=True)
def read_double(
    buffer: Bytes, index: int, end: int, doubles: npt.NDArray[np.float64], cells: Cells, states: States, cell: int
) -> int:
    """``doubles`` are the ``cells`` seen as doubles."""
    start = index
    index, mantissa, digits, power, negative, _ = _scan_number(buffer, index, end)
    if index < 0:
        return index
    number = _exact_double(mantissa, digits, power)
    if np.isnan(number):
        cells[cell] = pack_span(start, index, False)
        states[cell] = LATER
    else:
        doubles[cell] = -number if negative else number
        states[cell] = VALUE
    return index


@numba.njit(cache=True, nogil=True)
def read_decimal(
    buffer: Bytes, index: int, end: int, scale: int, precision: int, cells: Cells, states: States, cell: int
) -> int:
    """The unscaled value, rounded half up; too many digits for the precision make NULL, as in SQL."""
    start = index
    index, mantissa, digits, power, negative, _ = _scan_number(buffer, index, end)
    if index < 0:
        return index
    shift = power + scale
    states[cell] = VALUE
    if mantissa == 0 and digits == 0:
        cells[cell] = 0
        return index
    if digits > 18 or abs(shift) > 18 or (shift > 0 and digits + shift > 18):
        cells[cell] = pack_span(start, index, False)
        states[cell] = LATER
        return index
    unscaled = np.int64(mantissa)
    if shift > 0:
        unscaled *= _TENS_INT[shift]
    elif shift < 0:
        divisor = _TENS_INT[-shift]
        rest = unscaled % divisor
        unscaled //= divisor
        if rest >= divisor - rest:
            unscaled += 1
    if precision <= 18 and unscaled >= _TENS_INT[precision]:
        states[cell] = NULL
        return index
    cells[cell] = -unscaled if negative else unscaled
    return index
