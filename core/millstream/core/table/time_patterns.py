"""Patterns of times as Java's ``DateTimeFormatter`` writes them: ``yyyy-MM-dd HH:mm:ss.SSS``.

Patterns of numbers of fixed width run as kernels over whole columns; names of months, unpadded numbers and zones go
through Python, once a distinct time. The kernels are imported where they run: whoever plans a query needs no numba.
"""

from __future__ import annotations

import calendar
import datetime
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.errors import JobGraphError
from millstream.core.kernels import time_fields

TICKS: Final = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
_FIXED: Final = {
    ("y", 4): time_fields.YEAR,
    ("u", 4): time_fields.YEAR,
    ("y", 2): time_fields.YEAR_OF_CENTURY,
    ("u", 2): time_fields.YEAR_OF_CENTURY,
    ("M", 2): time_fields.MONTH,
    ("L", 2): time_fields.MONTH,
    ("d", 2): time_fields.DAY,
    ("H", 2): time_fields.HOUR,
    ("h", 2): time_fields.HOUR_OF_12,
    ("m", 2): time_fields.MINUTE,
    ("s", 2): time_fields.SECOND,
    ("D", 3): time_fields.DAY_OF_YEAR,
}
_LETTERS: Final = frozenset("yuMLdHhKkmsSnEeaDQqzVZXx")
_MONTHS: Final = {name: number for number, name in enumerate(calendar.month_name) if name}
_SHORT_MONTHS: Final = {name: number for number, name in enumerate(calendar.month_abbr) if name}
_EPOCH_ORDINAL: Final = datetime.date(1970, 1, 1).toordinal()


def of_day(times: Any) -> Any:
    """TIME as a TIMESTAMP of 1970-01-01."""
    return pc.cast(pc.cast(pc.cast(times, pa.int32()), pa.int64()), pa.timestamp("ms"))


@dataclass(frozen=True)
class Part:
    """A run of one pattern letter, or (letter empty) a literal text."""

    letter: str
    count: int
    text: str = ""


@dataclass(frozen=True)
class TimePattern:
    """A pattern, taken apart."""

    source: str
    parts: tuple[Part, ...]

    @functools.cached_property
    def grain_seconds(self) -> int:
        """Seconds within which the text of a time stays the same; 0 for less than one."""
        letters = {part.letter for part in self.parts}
        if letters & set("SnA"):
            return 0
        for letter, size in (("s", 1), ("m", 60), ("HhKk", 3600), ("azZXx", 1)):
            if letters & set(letter):
                return size
        return 86400

    @functools.cached_property
    def fixed(self) -> npt.NDArray[np.int64] | None:
        """For the kernels; None for a pattern that is not all numbers of fixed width and ASCII."""
        rows: list[tuple[int, int]] = []
        for part in self.parts:
            if not part.letter:
                rows += [(time_fields.LITERAL, byte) for byte in part.text.encode()]
            elif part.letter == "S" and part.count <= 9:
                rows.append((time_fields.FRACTION, part.count))
            elif (part.letter, part.count) in _FIXED:
                rows.append((_FIXED[part.letter, part.count], part.count))
            else:
                return None
        return np.array(rows, np.int64).reshape(-1, 2)


@functools.lru_cache(maxsize=1024)
def time_pattern(source: str) -> TimePattern:
    """The parts of a pattern. Raises ``JobGraphError`` for a letter that means nothing and for an open quote."""
    parts: list[Part] = []
    place = 0
    while place < len(source):
        letter = source[place]
        if letter == "'":
            text, place = _quoted(source, place)
            parts.append(Part("", 0, text))
        elif letter.isascii() and letter.isalpha():
            end = place
            while end < len(source) and source[end] == letter:
                end += 1
            if letter not in _LETTERS:
                raise JobGraphError(
                    f"the pattern {source!r} has the letter {letter!r}, which stands for nothing; text goes in '...'"
                )
            parts.append(Part(letter, end - place))
            place = end
        else:
            parts.append(Part("", 0, letter))
            place += 1
    return TimePattern(source, tuple(parts))


def _quoted(source: str, place: int) -> tuple[str, int]:
    """The text from the quote at ``place``, and the position after it; two quotes stand for one."""
    if source[place : place + 2] == "''":
        return "'", place + 2
    text = ""
    place += 1
    while True:
        end = source.find("'", place)
        if end < 0:
            raise JobGraphError(f"the pattern {source!r} has a quote that does not end")
        text += source[place:end]
        if source[end : end + 2] != "''":
            return text, end + 1
        text += "'"
        place = end + 2


def format_column(times: pa.Array, pattern: TimePattern, zone: datetime.tzinfo | None = None) -> pa.Array:
    """Texts of timestamps without a zone (wall-clock times); ``zone`` is what ``z`` and ``Z`` print."""
    second = TICKS[times.type.unit]
    fixed = pattern.fixed
    ticks = pc.cast(times, pa.int64())
    grain = max(1, pattern.grain_seconds * second)
    if fixed is not None:
        from millstream.core.kernels.time_patterns import format_times

        width = time_fields.widths_of(fixed)
        plain = pc.fill_null(ticks, 0) if ticks.null_count else ticks
        out = np.empty(len(ticks) * width, np.uint8)
        if format_times(plain.to_numpy(zero_copy_only=False), second, grain, fixed, width, out):
            offsets = np.arange(0, len(out) + 1, max(width, 1), dtype=np.int32)[: len(ticks) + 1]
            if width == 0:
                offsets = np.zeros(len(ticks) + 1, np.int32)
            validity = pc.is_valid(ticks).buffers()[1] if ticks.null_count else None
            buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(out)]
            return pa.Array.from_buffers(pa.string(), len(ticks), buffers)
    if grain > 1:
        numbers = pc.fill_null(ticks, 0).to_numpy(zero_copy_only=False) // grain * grain
        ticks = pc.if_else(pc.is_valid(ticks), pa.array(numbers), pa.scalar(None, pa.int64()))
    encoded = ticks.dictionary_encode(null_encoding="encode")
    texts = [
        None if tick is None else format_tick(tick, second, pattern, zone) for tick in encoded.dictionary.to_pylist()
    ]
    return pa.array(texts, pa.string()).take(encoded.indices)


def format_tick(tick: int, second: int, pattern: TimePattern, zone: datetime.tzinfo | None = None) -> str:
    """The text of one time, given in ticks since 1970 of which a second has ``second``."""
    days, rest = divmod(tick, second * 86400)
    seconds, fraction = divmod(rest, second)
    date = datetime.date.fromordinal(days + _EPOCH_ORDINAL)
    nanos = fraction * (1_000_000_000 // second)
    return "".join(_part_text(part, date, seconds, nanos, zone) if part.letter else part.text for part in pattern.parts)


def _part_text(part: Part, date: datetime.date, seconds: int, nanos: int, zone: datetime.tzinfo | None) -> str:
    letter, count = part.letter, part.count
    hour = seconds // 3600
    if letter in "yu" and count == 2:
        return f"{date.year % 100:02d}"
    if letter in "ML" and count >= 3:
        name = calendar.month_abbr[date.month] if count == 3 else calendar.month_name[date.month]
        return name if count < 5 else name[0]
    if letter == "E":
        return calendar.day_name[date.weekday()] if count == 4 else calendar.day_abbr[date.weekday()]
    if letter == "a":
        return "AM" if hour < 12 else "PM"
    if letter == "S":
        return f"{nanos:09d}"[:count].ljust(count, "0")
    if letter in "Qq":
        quarter = (date.month + 2) // 3
        return f"Q{quarter}" if count == 3 else f"{quarter:0{count}d}"
    if letter in "zVZXx":
        return _zone_text(part, date, seconds, zone)
    numbers = {
        "y": date.year,
        "u": date.year,
        "M": date.month,
        "L": date.month,
        "d": date.day,
        "D": date.timetuple().tm_yday,
        "H": hour,
        "k": hour or 24,
        "K": hour % 12,
        "h": (hour + 11) % 12 + 1,
        "m": seconds // 60 % 60,
        "s": seconds % 60,
        "n": nanos,
        "e": date.isoweekday() % 7 + 1,
    }
    return f"{numbers[letter]:0{count}d}"


def _zone_text(part: Part, date: datetime.date, seconds: int, zone: datetime.tzinfo | None) -> str:
    zone = zone or datetime.UTC
    moment = datetime.datetime.combine(date, datetime.time(), zone) + datetime.timedelta(seconds=seconds)
    if part.letter == "V":
        return str(zone)
    if part.letter == "z":
        return moment.tzname() or str(zone)
    offset = int((moment.utcoffset() or datetime.timedelta()).total_seconds()) // 60
    if part.letter == "X" and offset == 0:
        return "Z"
    sign, size = ("-" if offset < 0 else "+"), abs(offset)
    if part.letter in "Xx" and part.count == 1:
        return f"{sign}{size // 60:02d}" + (f"{size % 60:02d}" if size % 60 else "")
    colon = ":" if part.letter in "Xx" and part.count in (3, 5) else ""
    return f"{sign}{size // 60:02d}{colon}{size % 60:02d}"


def parse_column(texts: pa.Array, pattern: TimePattern, unit: str) -> pa.Array:
    """Timestamps (without a zone) of texts; NULL where a text does not follow the pattern."""
    second = TICKS[unit]
    fixed = pattern.fixed
    if fixed is not None:
        from millstream.core.kernels.time_patterns import parse_times

        texts = texts if texts.offset == 0 else pa.concat_arrays([texts])
        _, offsets, data = texts.buffers()
        starts = np.frombuffer(offsets, np.int32)[: len(texts) + 1] if len(texts) else np.zeros(1, np.int32)
        content = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
        ticks = np.zeros(len(texts), np.int64)
        fine = np.zeros(len(texts), np.bool_)
        parse_times(content, starts, fixed, time_fields.widths_of(fixed), second, ticks, fine)
        known = pc.and_(pa.array(fine), pc.is_valid(texts)) if texts.null_count else pa.array(fine)
        return pc.if_else(known, pa.array(ticks), pa.scalar(None, pa.int64())).cast(pa.timestamp(unit))
    encoded = texts.dictionary_encode(null_encoding="encode")
    answers = [None if text is None else parse_text(text, pattern, second) for text in encoded.dictionary.to_pylist()]
    return pa.array(answers, pa.int64()).cast(pa.timestamp(unit)).take(encoded.indices)


def parse_text(text: str, pattern: TimePattern, second: int) -> int | None:
    """Ticks since 1970 of one text; None where it does not follow the pattern or names no day."""
    read = _read_fields(text, pattern, _read_part)
    return None if read is None or read[1] != len(text) else _ticks_of(read[0], second)


Reading = tuple[Any, int]
"""A value, and the place behind it."""


def _read_fields(
    text: str, pattern: TimePattern, read_part: Callable[[str, int, Part, Part | None], Reading | None]
) -> tuple[dict[str, Any], int] | None:
    """By letter what ``read_part`` makes of each part, given the one that follows it, and the place behind them all."""
    fields: dict[str, Any] = {}
    place = 0
    for index, part in enumerate(pattern.parts):
        if not part.letter:
            if not text.startswith(part.text, place):
                return None
            place += len(part.text)
            continue
        following = pattern.parts[index + 1] if index + 1 < len(pattern.parts) else None
        read = read_part(text, place, part, following)
        if read is None:
            return None
        fields[part.letter], place = read
    return fields, place


def _end_of_digits(text: str, place: int, limit: int) -> int:
    """Behind at most ``limit`` digits from ``place`` on."""
    end = place
    while end < len(text) and end - place < limit and text[end].isdigit():
        end += 1
    return end


def _read_part(text: str, place: int, part: Part, following: Part | None) -> Reading | None:
    if part.letter == "a":
        half = text[place : place + 2].upper()
        return (half, place + 2) if half in ("AM", "PM") else None
    names = _names_of(part)
    if names is not None:
        for name in sorted(names, key=len, reverse=True):
            if text.startswith(name, place):
                return names[name], place + len(name)
        return None
    adjacent = following is not None and following.letter in frozenset("yuMdHhmsS")
    limit = part.count if adjacent or part.count > 1 or part.letter == "S" else 19
    if part.letter in "yu" and part.count == 4 and not adjacent:
        limit = 9
    end = _end_of_digits(text, place, limit)
    if end - place < part.count:
        return None
    digits = text[place:end]
    if part.letter == "S":
        return int(digits.ljust(9, "0")), end
    if part.letter in "yu" and part.count == 2:
        return 2000 + int(digits), end
    return int(digits), end


def parse_leniently(text: str, pattern: TimePattern, second: int) -> int | None:
    """Ticks since 1970 as Java's ``SimpleDateFormat`` reads them: numbers have any number of digits where none follows
    at once, what stands behind is not looked at, and the 32nd of January is the 1st of February."""
    read = _read_fields(text, pattern, _read_number)
    if read is None:
        return None
    fields, _ = read
    months = fields.get("y", fields.get("u", 1970)) * 12 + fields.get("M", 1) - 1
    try:
        days = datetime.date(months // 12, months % 12 + 1, 1).toordinal() - _EPOCH_ORDINAL + fields.get("d", 1) - 1
    except (ValueError, OverflowError):
        return None
    clock = (fields.get("H", 0) * 60 + fields.get("m", 0)) * 60 + fields.get("s", 0)
    return int((days * 86400 + clock) * second + fields.get("S", 0) * second // 1000)


def _read_number(text: str, place: int, part: Part, following: Part | None) -> Reading | None:
    limit = part.count if following is not None and following.letter else len(text)
    end = _end_of_digits(text, place, limit)
    if part.letter not in "yuMdHmsS" or end == place:
        return None
    number = int(text[place:end])
    return 2000 + number if part.letter in "yu" and part.count == end - place == 2 else number, end


def _names_of(part: Part) -> dict[str, int] | None:
    if part.letter in "ML" and part.count >= 3:
        return _SHORT_MONTHS if part.count == 3 else _MONTHS
    if part.letter == "E":
        names = calendar.day_name if part.count == 4 else calendar.day_abbr
        return {name: number for number, name in enumerate(names)}
    return None


def _ticks_of(fields: dict[str, Any], second: int) -> int | None:
    year = fields.get("y", fields.get("u", 1970))
    try:
        if "D" in fields:
            days = datetime.date(year, 1, 1).toordinal() + fields["D"] - 1
        else:
            days = datetime.date(year, fields.get("M", fields.get("L", 1)), fields.get("d", 1)).toordinal()
        hour = fields.get("H", fields.get("k", 0) % 24)
        if "h" in fields or "K" in fields:
            hour = fields.get("h", fields.get("K", 0)) % 12 + (12 if fields.get("a") == "PM" else 0)
        clock = datetime.time(hour, fields.get("m", 0), fields.get("s", 0))
    except (ValueError, OverflowError):
        return None
    seconds = int(days - _EPOCH_ORDINAL) * 86400 + clock.hour * 3600 + clock.minute * 60 + clock.second
    nanos = int(fields.get("S", fields.get("n", 0)))
    return seconds * second + nanos // (1_000_000_000 // second)
