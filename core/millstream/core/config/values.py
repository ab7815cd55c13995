"""Kinds of values a setting can have: reading them from text or TOML, and writing them back.

A kind turns what a file, the environment or the command line holds into a Python value (``parse``, ``ValueError`` with
a sentence otherwise), that value into text a user could have written (``text``), and into something JSON can hold
(``flat``: durations become milliseconds, sizes bytes, paths strings).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

NOT_SET = "(none)"
"""How ``default.toml`` and users write that an optional setting has no value."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MILLISECONDS = {
    "ms": 1, "milli": 1, "millis": 1, "millisecond": 1, "milliseconds": 1,
    "s": 1000, "sec": 1000, "secs": 1000, "second": 1000, "seconds": 1000,
    "m": 60_000, "min": 60_000, "mins": 60_000, "minute": 60_000, "minutes": 60_000,
    "h": 3_600_000, "hour": 3_600_000, "hours": 3_600_000,
    "d": 86_400_000, "day": 86_400_000, "days": 86_400_000,
}  # fmt: skip
BYTES = {
    "": 1, "b": 1, "byte": 1, "bytes": 1,
    "k": 2**10, "kb": 2**10, "kib": 2**10, "m": 2**20, "mb": 2**20, "mib": 2**20,
    "g": 2**30, "gb": 2**30, "gib": 2**30, "t": 2**40, "tb": 2**40, "tib": 2**40,
}  # fmt: skip
_AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)
_ISO_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.IGNORECASE)


class Kind(Protocol[T_co]):
    """How the values of one option read and write."""

    @property
    def name(self) -> str:
        """For the reference page: "duration", "size", ..."""
        ...

    def parse(self, raw: object) -> T_co:
        """The value ``raw`` stands for; ``ValueError`` says what is expected instead."""
        ...

    def text(self, value: Any) -> str:
        """``value`` as a user would write it; ``parse`` reads it back."""
        ...

    def flat(self, value: Any) -> Any:
        """``value`` as JSON can hold it."""
        ...


class Text:
    name = "text"

    def parse(self, raw: object) -> str:
        if isinstance(raw, str):
            return raw
        raise ValueError("expected text")

    def text(self, value: str) -> str:
        return value

    def flat(self, value: str) -> str:
        return value


@dataclass(frozen=True)
class Choice(Text):
    """One of a few words; upper or lower case."""

    words: tuple[str, ...]

    @property
    def name(self) -> str:  # type: ignore[override]
        return " or ".join(f"`{word}`" for word in self.words)

    def parse(self, raw: object) -> str:
        for word in self.words:
            if isinstance(raw, str) and raw.lower() == word.lower():
                return word
        raise ValueError(f"expected one of {', '.join(self.words)}")


@dataclass(frozen=True)
class Integer:
    """A whole number within limits (both included)."""

    minimum: int = 0
    maximum: int = 2**31 - 1
    name: str = "integer"

    def parse(self, raw: object) -> int:
        try:
            value = int(raw) if isinstance(raw, str) else raw
        except ValueError:
            raise ValueError("expected a whole number") from None
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("expected a whole number")
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"expected a number from {self.minimum} to {self.maximum}")
        return value

    def text(self, value: int) -> str:
        return str(value)

    def flat(self, value: int) -> int:
        return value


class Boolean:
    name = "true or false"

    def parse(self, raw: object) -> bool:
        if isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and raw.lower() in ("true", "false"):
            return raw.lower() == "true"
        raise ValueError("expected true or false")

    def text(self, value: bool) -> str:
        return "true" if value else "false"

    def flat(self, value: bool) -> bool:
        return value


class DurationKind:
    name = "duration"

    def parse(self, raw: object) -> timedelta:
        if isinstance(raw, timedelta):
            return self._not_negative(raw)
        if isinstance(raw, int) and not isinstance(raw, bool):
            return self._not_negative(timedelta(milliseconds=raw))
        if isinstance(raw, str):
            amount = _AMOUNT.fullmatch(raw)
            if amount and (amount[2].lower() or "ms") in MILLISECONDS:
                return timedelta(milliseconds=float(amount[1]) * MILLISECONDS[amount[2].lower() or "ms"])
            iso = _ISO_DURATION.fullmatch(raw.strip())
            if iso and any(iso.groups()):
                days, hours, minutes, seconds = (float(part or 0) for part in iso.groups())
                return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        raise ValueError('expected a duration such as "10 s", "200 ms" or "5 min"')

    def _not_negative(self, value: timedelta) -> timedelta:
        if value < timedelta(0):
            raise ValueError("expected a duration that is not negative")
        return value

    def text(self, value: timedelta) -> str:
        milliseconds = self.flat(value)
        for unit in ("d", "h", "min", "s"):
            if milliseconds and milliseconds % MILLISECONDS[unit] == 0:
                return f"{milliseconds // MILLISECONDS[unit]} {unit}"
        return f"{milliseconds} ms"

    def flat(self, value: timedelta) -> int:
        return round(value / timedelta(milliseconds=1))


@dataclass(frozen=True)
class Size:
    """A number of bytes; kb, mb and gb are powers of 1024 as in Flink."""

    minimum_bytes: int = 0
    name: str = "size"

    def parse(self, raw: object) -> int:
        value: int | None = None
        if isinstance(raw, int) and not isinstance(raw, bool):
            value = raw
        elif isinstance(raw, str):
            amount = _AMOUNT.fullmatch(raw)
            if amount and amount[2].lower() in BYTES:
                value = round(float(amount[1]) * BYTES[amount[2].lower()])
        if value is None:
            raise ValueError('expected a size such as "128 kb" or "64 mb"')
        if value < self.minimum_bytes:
            raise ValueError(f"expected at least {self.text(self.minimum_bytes)}")
        return value

    def text(self, value: int) -> str:
        for unit in ("gb", "mb", "kb"):
            if value and value % BYTES[unit] == 0:
                return f"{value // BYTES[unit]} {unit}"
        return f"{value} bytes"

    def flat(self, value: int) -> int:
        return value


class PathKind:
    name = "path"

    def parse(self, raw: object) -> Path:
        if isinstance(raw, Path):
            return raw
        if isinstance(raw, str) and raw:
            return Path(raw).expanduser()
        raise ValueError("expected a path")

    def text(self, value: Path) -> str:
        return str(value)

    def flat(self, value: Path) -> str:
        return str(value)


class LocationKind:
    """A directory, or a URL that fsspec knows, such as ``s3://bucket/path``."""

    name = "location"

    def parse(self, raw: object) -> str:
        if isinstance(raw, str) and "://" in raw:
            return raw
        if isinstance(raw, str | Path) and str(raw):
            return str(Path(raw).expanduser())
        raise ValueError("expected a path or a URL")

    def text(self, value: str) -> str:
        return value

    def flat(self, value: str) -> str:
        return value


class TextMap:
    """Pairs of text: a TOML table, or ``key:value,key:value`` where only text is possible."""

    name = "map"

    def parse(self, raw: object) -> dict[str, str]:
        if isinstance(raw, dict):
            return {str(key): str(value) for key, value in raw.items()}
        if isinstance(raw, str):
            pairs = [pair.partition(":") for pair in raw.split(",") if pair.strip()]
            if all(colon for _, colon, _ in pairs):
                return {key.strip(): value.strip() for key, _, value in pairs}
        raise ValueError('expected pairs such as "key:value,other:value"')

    def text(self, value: dict[str, str]) -> str:
        return ",".join(f"{key}:{text}" for key, text in value.items())

    def flat(self, value: dict[str, str]) -> dict[str, str]:
        return dict(value)


@dataclass(frozen=True)
class Optional(Generic[T]):
    """A value or none, written ``(none)``."""

    kind: Kind[T]

    @property
    def name(self) -> str:
        return self.kind.name

    def parse(self, raw: object) -> T | None:
        return None if raw is None or raw == NOT_SET else self.kind.parse(raw)

    def text(self, value: T | None) -> str:
        return NOT_SET if value is None else self.kind.text(value)

    def flat(self, value: T | None) -> Any:
        return None if value is None else self.kind.flat(value)
