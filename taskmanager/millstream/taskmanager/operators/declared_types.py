"""The types that a program declares for its keyed states, saved with them and compared when they are restored.

State needs no declared types: values describe themselves. But where a program says what a state holds, and a later
version says something else, the values of old would only be found out by a function that stumbles over them. Fields of
record classes are compared where they are read (``core/serde/evolution.py``); here a record is known by its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from millstream.core.api.state import StateDescriptor
from millstream.core.api.types import TypeInformation
from millstream.core.errors import IncompatibleStateError
from millstream.core.serde import decode_value, encode_value

STATE_TYPES: Final = "types"

_INTEGERS: Final = ("BYTE", "SHORT", "INT", "LONG", "BIG_INT")
_FLOATS: Final = ("FLOAT", "DOUBLE")
_ANY: Final = ("ANY", "PICKLED_BYTE_ARRAY")
_OTHER_NAMES: Final = {"CHAR": "STRING", "INSTANT": "SQL_TIMESTAMP"}
_WORD: Final = re.compile(r"[<>,]|[^<>, ]+")


class DeclaredTypes:
    """Of the keyed states of one operator, by name."""

    def __init__(self) -> None:
        self._saved: dict[str, str] = {}
        self._declared: dict[str, str] = {}

    def pieces(self) -> dict[str, list[bytes]]:
        """For the snapshot: what is declared, and what was saved and nobody has asked for yet."""
        known = {**self._saved, **self._declared}
        return {STATE_TYPES: [encode_value(known)]} if known else {}

    def restore(self, pieces: Iterable[bytes]) -> None:
        """Those of former subtasks."""
        for piece in pieces:
            self._saved.update(decode_value(piece))

    def declare(self, descriptor: StateDescriptor) -> None:
        """Raises ``IncompatibleStateError`` when what was saved is not what the descriptor says."""
        now, before = type_text(descriptor.type_info), self._saved.get(descriptor.name, "")
        if before and now and not fits(before, now):
            raise IncompatibleStateError(
                f"the state {descriptor.name!r} cannot be restored: it was declared as {before} when it was saved and "
                f"is {now} now. Declare the former type, or give the state another name."
            )
        if now:
            self._declared[descriptor.name] = now


def type_text(info: Any) -> str:
    """A type in words; empty when it says nothing."""
    if isinstance(info, tuple):
        parts = [type_text(part) or "ANY" for part in info]
        return "" if set(parts) == {"ANY"} else f"MAP<{', '.join(parts)}>"
    if not isinstance(info, TypeInformation):
        return ""
    is_record = bool(info.names) and info.name != "ROW"
    if is_record or not info.parameters:
        return info.name
    return f"{info.name}<{', '.join(map(type_text, info.parameters))}>"


def fits(before: str, now: str) -> bool:
    """Whether values of the one type are values of the other."""
    if before == now or before in _ANY or now in _ANY:
        return True
    old, new = _WORD.findall(before), _WORD.findall(now)
    return len(old) == len(new) and all(map(_word_fits, old, new))


def _word_fits(before: str, now: str) -> bool:
    before, now = _OTHER_NAMES.get(before, before), _OTHER_NAMES.get(now, now)
    if before == now or before in _ANY or now in _ANY:
        return True
    if now in _FLOATS:
        return before in _FLOATS or before in _INTEGERS
    return before in _INTEGERS and now in _INTEGERS and _INTEGERS.index(before) < _INTEGERS.index(now)
