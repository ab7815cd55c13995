"""Events between the readers of a source and its coordinator in the JobManager.

Splits that are handed out bear a number that grows for each reader: what may have been lost with a JobManager is sent
again by the next one, and a reader drops what it has had. Other events may be lost: ``ASK_AGAIN`` makes up for them.
"""

from __future__ import annotations

import struct
from typing import Final

REQUEST_SPLIT: Final = "request_split"
"""From a reader; the others are for readers."""
ADD_SPLITS: Final = "add_splits"
"""``numbered`` pickled splits."""
NO_MORE_SPLITS: Final = "no_more_splits"
ASK_LATER: Final = "ask_later"
"""Pickled milliseconds."""
ASK_AGAIN: Final = "ask_again"
"""If an answer is being waited for: it may have been lost."""

_NUMBER: Final = struct.Struct("<Q")


def numbered(number: int, payload: bytes) -> bytes:
    """``number`` counts from 1."""
    return _NUMBER.pack(number) + payload


def split_number(payload: bytes) -> tuple[int, bytes]:
    """The inverse."""
    return _NUMBER.unpack_from(payload)[0], payload[_NUMBER.size :]
