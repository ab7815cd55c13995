"""REGEXP_EXTRACT over a column by RE2: repeated texts once, with the wanted group as the only one it records."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

_SPECIAL: Final = re.compile(r"\\[1-9]|\(\?[=!<>#P]|[*+?}]\+|\\[ZGRXhHvVQEkK]|&&")
"""What RE2 lacks, or reads otherwise than Java does."""
_ENCODED_ROWS_MIN: Final = 256
"""From here on repeated texts are searched once: to find them costs a tenth of a search."""
_OPTIONAL: Final = ("?", "*", "{")


def extract_group(texts: pa.Array, pattern: str, group: int) -> pa.Array | None:
    """What ``group`` of the first match holds, NULL without one; None for a pattern that RE2 does not run."""
    if _SPECIAL.search(pattern):
        return None
    wanted = with_one_group(pattern, group)
    if wanted is None:
        return None
    try:
        if len(texts) >= _ENCODED_ROWS_MIN:
            encoded = texts.dictionary_encode(null_encoding="encode")
            return pc.struct_field(pc.extract_regex(encoded.dictionary, wanted), 0).take(encoded.indices)
        return pc.struct_field(pc.extract_regex(texts, wanted), 0)
    except pa.ArrowInvalid:
        return None


@dataclass
class _Groups:
    """Where a pattern opens and closes its groups."""

    captures: list[int] = field(default_factory=list)
    """Positions of the opening brackets of the groups that record, in their order."""
    ends: dict[int, int] = field(default_factory=dict)
    depths: dict[int, int] = field(default_factory=dict)
    choice: bool = False
    """Whether the whole pattern is a choice, ``a|b``."""


def with_one_group(pattern: str, group: int) -> str | None:
    """``pattern`` with ``group`` (0: all of it) as its only capture, named.

    None where there is no such group, or where a match may leave it out: Java gives NULL then, RE2 an empty text.
    """
    groups = _groups_of(pattern)
    if not 0 <= group <= len(groups.captures):
        return None
    wanted = groups.captures[group - 1] if group else -1
    if group:
        following = pattern[groups.ends.get(wanted, len(pattern)) + 1 :][:1]
        if groups.depths[wanted] > 0 or groups.choice or following in _OPTIONAL:
            return None
    pieces: list[str] = []
    done = 0
    for opening in groups.captures:
        pieces += [pattern[done:opening], "(?P<wanted>" if opening == wanted else "(?:"]
        done = opening + 1
    text = "".join(pieces) + pattern[done:]
    return text if group else f"(?P<wanted>{text})"


def _groups_of(pattern: str) -> _Groups:
    groups = _Groups()
    opened: list[int] = []
    place = 0
    while place < len(pattern):
        letter = pattern[place]
        if letter == "\\":
            place += 1
        elif letter == "[":
            place = _end_of_class(pattern, place)
        elif letter == "(":
            if pattern[place + 1 : place + 2] != "?":
                groups.captures.append(place)
                groups.depths[place] = len(opened)
            opened.append(place)
        elif letter == ")" and opened:
            groups.ends[opened.pop()] = place
        elif letter == "|" and not opened:
            groups.choice = True
        place += 1
    return groups


def _end_of_class(pattern: str, place: int) -> int:
    """The position of the bracket that closes the class opened at ``place``; a first ``]`` is a member."""
    place += 1
    if pattern[place : place + 1] == "^":
        place += 1
    if pattern[place : place + 1] == "]":
        place += 1
    while place < len(pattern) and pattern[place] != "]":
        place += 2 if pattern[place] == "\\" else 1
    return place
