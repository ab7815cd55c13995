"""Dates, times and timestamps in text to integers.

Each reader takes exactly the text in ``[index, end)``, writes into one cell, and tells whether the text is valid.
"""

from __future__ import annotations

from typing import Final

import numba

from millstream.core.kernels.byte_scan import Bytes
from millstream.core.kernels.number_text import Cells
from millstream.core.kernels.time_patterns import days_of

_SECONDS_A_DAY: Final = 86_400
_NANOS_SECONDS_MAX: Final = 9_223_372_036
"""Further from 1970 than so many seconds, nanoseconds leave 64 bits."""
_INVALID: Final = -(1 << 62)


@numba.njit(cache=True, nogil=True)
def _number(buffer: Bytes, index: int, digits: int) -> int:
    """Exactly ``digits`` digits; ``_INVALID`` when there is something else."""
    value = 0
    for i in range(index, index + digits):
        digit = int(buffer[i]) - 48
        if digit < 0 or digit > 9:
            return _INVALID
        value = value * 10 + digit
    return value


@numba.njit(cache=True, nogil=True)
def _days(buffer: Bytes, index: int) -> int:
    """Days since 1970-01-01 of ten characters ``yyyy-mm-dd``, in the proleptic Gregorian calendar."""
    year, month, day = _number(buffer, index, 4), _number(buffer, index + 5, 2), _number(buffer, index + 8, 2)
    if year < 0 or month < 1 or month > 12 or day < 1 or buffer[index + 4] != 45 or buffer[index + 7] != 45:
        return _INVALID
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if month == 2:
        longest = 29 if leap else 28
    else:
        longest = 30 if month == 4 or month == 6 or month == 9 or month == 11 else 31
    if day > longest:
        return _INVALID
    return days_of(year, month, day)


@numba.njit(cache=True, nogil=True)
def _time(buffer: Bytes, index: int, end: int, digits: int) -> tuple[int, int]:
    """``(seconds of the day, fraction)`` of ``hh:mm:ss`` with up to nine further digits, of which ``digits`` count.

    The seconds are ``_INVALID`` for any other text.
    """
    if end - index < 8 or buffer[index + 2] != 58 or buffer[index + 5] != 58:
        return _INVALID, 0
    hour, minute, second = _number(buffer, index, 2), _number(buffer, index + 3, 2), _number(buffer, index + 6, 2)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59 or second < 0 or second > 59:
        return _INVALID, 0
    index += 8
    fraction = 0
    if index < end:
        places = end - index - 1
        if buffer[index] != 46 or places < 1 or places > 9 or _number(buffer, index + 1, places) < 0:
            return _INVALID, 0
        for i in range(digits):
            fraction = fraction * 10 + (int(buffer[index + 1 + i]) - 48 if i < places else 0)
    return hour * 3600 + minute * 60 + second, fraction


@numba.njit(cache=True, nogil=True)
def read_date(buffer: Bytes, index: int, end: int, cells: Cells, cell: int) -> bool:
    """``yyyy-mm-dd`` as days since 1970-01-01."""
    if end - index != 10:
        return False
    days = _days(buffer, index)
    if days == _INVALID:
        return False
    cells[cell] = days
    return True


@numba.njit(cache=True, nogil=True)
def read_time(buffer: Bytes, index: int, end: int, cells: Cells, cell: int) -> bool:
    """``hh:mm:ss[.fraction]`` as milliseconds of the day."""
    seconds, fraction = _time(buffer, index, end, 3)
    if seconds == _INVALID:
        return False
    cells[cell] = seconds * 1000 + fraction
    return True


@numba.njit(cache=True, nogil=True)
def read_timestamp(
    buffer: Bytes, index: int, end: int, digits: int, separator: int, zoned: bool, cells: Cells, cell: int
) -> bool:
    """``yyyy-mm-dd<separator>hh:mm:ss[.fraction][Z]`` as units of ``10**-digits`` seconds since 1970-01-01 00:00:00.

    ``zoned`` texts must end with ``Z``, others must not. Further digits of the fraction are cut off.
    """
    if zoned:
        end -= 1
        if end < index or buffer[end] != 90:
            return False
    if end - index < 19 or buffer[index + 10] != separator:
        return False
    days = _days(buffer, index)
    seconds, fraction = _time(buffer, index + 11, end, digits)
    if days == _INVALID or seconds == _INVALID:
        return False
    seconds += days * _SECONDS_A_DAY
    unit = 1_000 if digits == 3 else (1_000_000 if digits == 6 else 1_000_000_000)
    if digits == 9 and abs(seconds) >= _NANOS_SECONDS_MAX:
        return False
    cells[cell] = seconds * unit + fraction
    return True
