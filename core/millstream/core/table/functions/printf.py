"""PRINTF: formats as Java's ``Formatter`` reads them, by Python's ``%``."""

from __future__ import annotations

import re
from typing import Any, Final

_DIRECTIVE: Final = re.compile(r"%(?:(\d+)\$)?([-#+ 0,(]*)(\d+)?(?:\.(\d+))?([a-zA-Z%])")
_NULL: Final = "null"


def printf(template: str | None, *values: Any) -> str | None:
    """The text, or None for a NULL template and for one that does not fit its arguments."""
    if template is None:
        return None
    following = iter(range(len(values)))

    def directive(match: re.Match[str]) -> str:
        position, flags, width, precision, letter = match.groups()
        if letter == "%":
            return "%".rjust(int(width or 0))
        if letter == "n":
            return "\n"
        place = int(position) - 1 if position else next(following)
        return _formatted(values[place], flags, width, precision, letter)

    try:
        return _DIRECTIVE.sub(directive, template)
    except (StopIteration, RuntimeError, IndexError, TypeError, ValueError):
        return None


def _formatted(value: Any, flags: str, width: str | None, precision: str | None, letter: str) -> str:
    size = int(width or 0)
    if value is None or letter in "sSbB":
        text = _NULL if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        if letter in "bB":
            text = "false" if value is None or value is False else "true"
        text = text if precision is None else text[: int(precision)]
        text = text.upper() if letter in "SB" else text
        return text.ljust(size) if "-" in flags else text.rjust(size)
    kept = "".join(flag for flag in flags if flag in "-+ 0#")
    if "," in flags and letter in "df":
        digits = f"{value:,.{precision or 6}f}" if letter == "f" else f"{value:,d}"
        return digits.ljust(size) if "-" in flags else digits.rjust(size)
    if letter in "xXo" and isinstance(value, int) and value < 0:
        value %= 2**64
    return str(f"%{kept}{width or ''}{'.' + precision if precision else ''}{letter}" % value)
