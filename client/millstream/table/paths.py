"""Names of tables and functions as a program writes them: ``"t"``, ``"db.t"``, ``"`a.b`.t"``."""

from __future__ import annotations

import re
from typing import Final

from millstream.datastream.call_site import refuse

_PART: Final = re.compile(r"`((?:[^`]|``)+)`|([^.`]+)")


def path_of(text: str, method: str) -> tuple[str, ...]:
    """The parts of a name, one to three. Raises ``JobGraphError`` for what is no name."""
    parts: list[str] = []
    place = 0
    while isinstance(text, str) and (found := _PART.match(text, place)) is not None:
        parts.append(found.group(1).replace("``", "`") if found.group(1) else found.group(2).strip())
        place = found.end()
        if place == len(text):
            break
        if text[place] != ".":
            raise _no_name(text, method)
        place += 1
    if not 1 <= len(parts) <= 3 or place != len(text):
        raise _no_name(text, method)
    return tuple(parts)


def _no_name(text: object, method: str) -> Exception:
    return refuse(f"{method} takes a name such as 'orders' or 'database.orders', not {text!r:.60}.")
