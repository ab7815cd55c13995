"""Between times and texts of fixed width: the common patterns, such as ``yyyy-MM-dd HH:mm:ss.SSS``.

A pattern is an array (parts, 2) of a field (``time_fields``) and its argument: the byte of a literal, the digits of a
number.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

from millstream.core.kernels.time_fields import (
    DAY,
    DAY_OF_YEAR,
    FRACTION,
    HOUR,
    HOUR_OF_12,
    LITERAL,
    MINUTE,
    MONTH,
    SECOND,
    YEAR,
    YEAR_OF_CENTURY,
)

Int64Array = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

_ZERO: Final = 48
_POWERS: Final = np.array([10**power for power in range(19)], np.int64)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a day since 1970, by H. Hinnant's ``civil_from_days``."""
    shifted = days + 719468
    era = shifted // 146097
    of_era = shifted - era * 146097
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    day_of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    return year_of_era + era * 400 + (1 if month <= 2 else 0), month, day


@numba.njit(cache=True, nogil=True, error_model="numpy")
def days_of(year: int, month: int, day: int) -> int:
    """Days since 1970, by H. Hinnant's ``days_from_civil``."""
    shifted = year - (1 if month <= 2 else 0)
    era = shifted // 400
    of_era = shifted - era * 400
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return int(era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + day_of_year - 719468)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def format_times(ticks: Int64Array, second: int, grain: int, pattern: Int64Array, width: int, out: Bytes) -> bool:
    """Write the text of each time to ``out`` (rows * width). ``second``: ticks in a second.

    ``grain``: ticks within which the text stays the same; a row in that of the row before copies its text. False when
    a year has not four digits; ``out`` is then of no use.
    """
    per_day = second * 86400
    last_days = np.int64(-(2**62))
    grain_start, grain_end = np.int64(0), np.int64(0)
    year, month, day = 0, 0, 0
    for i in range(len(ticks)):
        if grain_start <= ticks[i] < grain_end:
            for k in range(i * width, (i + 1) * width):
                out[k] = out[k - width]
            continue
        grain_start = ticks[i] // grain * grain
        grain_end = grain_start + grain
        days = ticks[i] // per_day
        rest = ticks[i] - days * per_day
        if days != last_days:
            year, month, day = civil(days)
            last_days = days
            if year < 0 or year > 9999:
                return False
        seconds = rest // second
        place = i * width
        for part in range(len(pattern)):
            field, argument = pattern[part, 0], pattern[part, 1]
            if field == LITERAL:
                out[place] = argument
                place += 1
                continue
            if field == YEAR:
                number = year
            elif field == MONTH:
                number = month
            elif field == DAY:
                number = day
            elif field == HOUR:
                number = seconds // 3600
            elif field == MINUTE:
                number = seconds // 60 % 60
            elif field == SECOND:
                number = seconds % 60
            elif field == FRACTION:
                number = (rest - seconds * second) * (1_000_000_000 // second) // _POWERS[9 - argument]
            elif field == HOUR_OF_12:
                number = (seconds // 3600 + 11) % 12 + 1
            elif field == DAY_OF_YEAR:
                number = days - days_of(year, 1, 1) + 1
            else:
                number = year % 100
            for digit in range(argument - 1, -1, -1):
                out[place + digit] = _ZERO + number % 10
                number //= 10
            place += argument
    return True


@numba.njit(cache=True, nogil=True, error_model="numpy")
def parse_times(
    data: Bytes, offsets: Any, pattern: Int64Array, width: int, second: int, ticks: Int64Array, fine: Flags
) -> None:
    """Fill ``ticks`` with the times of texts (Arrow's ``data`` and ``offsets``), ``fine`` with whether a text has one.

    Digits of a fraction beyond what ``second`` counts are cut.
    """
    for i in range(len(ticks)):
        place = offsets[i]
        fine[i] = False
        if offsets[i + 1] - place != width:
            continue
        year, month, day, hour, minute, seconds, nanos = 1970, 1, 1, 0, 0, 0, 0
        good = True
        for part in range(len(pattern)):
            field, argument = pattern[part, 0], pattern[part, 1]
            if field == LITERAL:
                good = good and bool(data[place] == argument)
                place += 1
                continue
            number = 0
            for _ in range(argument):
                digit = int(data[place]) - _ZERO
                good = good and 0 <= digit <= 9
                number = number * 10 + digit
                place += 1
            if field == YEAR:
                year = number
            elif field == MONTH:
                month = number
            elif field == DAY:
                day = number
            elif field == HOUR:
                hour = number
            elif field == MINUTE:
                minute = number
            elif field == SECOND:
                seconds = number
            elif field == FRACTION:
                nanos = number * _POWERS[9 - argument]
            elif field == YEAR_OF_CENTURY:
                year = 2000 + number
            else:
                good = False
        if not good or month < 1 or month > 12 or day < 1 or hour > 23 or minute > 59 or seconds > 59:
            continue
        if day > 28 and day > days_of(year + month // 12, month % 12 + 1, 1) - days_of(year, month, 1):
            continue
        total = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + seconds
        ticks[i] = total * second + nanos // (1_000_000_000 // second)
        fine[i] = True
