"""Durations, in the forms a Python user and a PyFlink user write them.

Wherever the API takes a duration it accepts a ``Duration``, a ``Time``, a ``datetime.timedelta``, a text such as
``"10s"``, ``"1 min"`` or ``"1h30m"``, or a plain int of milliseconds; ``parse_duration_ms`` turns each into
milliseconds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from millstream.core.errors import ConfigError

_UNITS_MS: Final = {
    **dict.fromkeys(("ms", "milli", "millis", "millisecond", "milliseconds"), 1),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1000),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60_000),
    **dict.fromkeys(("h", "hour", "hours"), 3_600_000),
    **dict.fromkeys(("d", "day", "days"), 86_400_000),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400_000),
}
_PART: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)")


@dataclass(frozen=True, order=True)
class Duration:
    """A length of time of whole milliseconds. Names of PyFlink."""

    milliseconds: int

    @staticmethod
    def of_days(days: int) -> Duration:
        return Duration(days * 86_400_000)

    @staticmethod
    def of_hours(hours: int) -> Duration:
        return Duration(hours * 3_600_000)

    @staticmethod
    def of_minutes(minutes: int) -> Duration:
        return Duration(minutes * 60_000)

    @staticmethod
    def of_seconds(seconds: int) -> Duration:
        return Duration(seconds * 1000)

    @staticmethod
    def of_millis(millis: int) -> Duration:
        return Duration(millis)

    def to_millis(self) -> int:
        return self.milliseconds

    def __str__(self) -> str:
        return format_duration_ms(self.milliseconds)


@dataclass(frozen=True, order=True)
class Time:
    """PyFlink's older spelling of a duration: ``Time.seconds(5)``."""

    _milliseconds: int

    @staticmethod
    def of(milliseconds: int) -> Time:
        return Time(milliseconds)

    @staticmethod
    def milliseconds(milliseconds: int) -> Time:
        return Time(milliseconds)

    @staticmethod
    def seconds(seconds: int) -> Time:
        return Time(seconds * 1000)

    @staticmethod
    def minutes(minutes: int) -> Time:
        return Time(minutes * 60_000)

    @staticmethod
    def hours(hours: int) -> Time:
        return Time(hours * 3_600_000)

    @staticmethod
    def days(days: int) -> Time:
        return Time(days * 86_400_000)

    def to_milliseconds(self) -> int:
        return self._milliseconds

    def __str__(self) -> str:
        return format_duration_ms(self._milliseconds)


DurationLike = Duration | Time | timedelta | str | int


def parse_duration_ms(value: DurationLike) -> int:
    """Milliseconds of ``value``; fractions of a millisecond are rounded. Raises ``ConfigError`` on anything else."""
    match value:
        case bool():
            raise _misfit(value)
        case int():
            return value
        case Duration():
            return value.milliseconds
        case Time():
            return value.to_milliseconds()
        case timedelta():
            return round(value / timedelta(milliseconds=1))
        case str():
            return _parse_text(value)
    raise _misfit(value)


def format_duration_ms(milliseconds: int) -> str:
    """The shortest exact text: ``90000`` is ``1m30s``."""
    if milliseconds == 0:
        return "0s"
    parts, rest = "-" if milliseconds < 0 else "", abs(milliseconds)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts += f"{count}{unit}"
    return parts


def _parse_text(text: str) -> int:
    stripped = text.strip()
    if stripped.lstrip("-").isdigit():
        return int(stripped)
    body = stripped.removeprefix("-")
    total, position = 0.0, 0
    while position < len(body):
        part = _PART.match(body, position)
        unit = None if part is None else _UNITS_MS.get(part[2].lower())
        if part is None or unit is None:
            raise _misfit(text)
        total += float(part[1]) * unit
        position = part.end()
    if not body:
        raise _misfit(text)
    return round(-total if stripped.startswith("-") else total)


def _misfit(value: object) -> ConfigError:
    return ConfigError(
        f'{value!r} is not a duration. Write "10s", "5 min", timedelta(seconds=10), Duration.of_seconds(10), '
        f"or a whole number of milliseconds."
    )
