"""The short way for the values that states hold most: numbers, text and the like, and tuples of them.

The bytes are those of ``values``. What is left out are its call-backs, which take most of the time for a small value.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import msgpack

_ATOMS: Final = frozenset({int, float, str, bytes, bool, type(None)})
_PACKER: Final = msgpack.Packer(strict_types=True, use_bin_type=True, unicode_errors="surrogatepass")
"""Calls nothing back, so that no other thread and no other call can come between."""
_FIXED_HEADS: Final = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}
_EXT_8: Final = 0xC7
_EXT_16: Final = struct.Struct(">BHB")
_EXT_32: Final = struct.Struct(">BIB")


def encode_atoms(value: Any, tuple_code: int) -> bytes | None:
    """The bytes of ``value``; None for what has to go the long way. ``tuple_code`` is the extension of tuples."""
    kind = type(value)
    try:
        if kind in _ATOMS:
            data: bytes = _PACKER.pack(value)
            return data
        if kind is tuple and _ATOMS.issuperset(map(type, value)):
            content: bytes = _PACKER.pack(list(value))
            return _head(len(content), tuple_code) + content
    except (OverflowError, ValueError):  # an integer of more than 64 bits
        _PACKER.reset()
    return None


def _head(size: int, code: int) -> bytes:
    """What msgpack puts before an extension of this size."""
    fixed = _FIXED_HEADS.get(size)
    if fixed is not None:
        return bytes((fixed, code))
    if size < 1 << 8:
        return bytes((_EXT_8, size, code))
    return _EXT_16.pack(0xC8, size, code) if size < 1 << 16 else _EXT_32.pack(0xC9, size, code)


def tuple_content(data: bytes | memoryview, tuple_code: int) -> bytes | memoryview | None:
    """The bytes of the list that a short encoded tuple consists of; None when ``data`` is anything else."""
    if len(data) > 3 and data[0] == _EXT_8 and data[2] == tuple_code and len(data) == 3 + data[1]:
        return data[3:]
    return None
