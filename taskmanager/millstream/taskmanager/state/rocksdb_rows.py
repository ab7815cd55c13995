"""Rows of keyed state as keys and values of RocksDB.

A key is ``u16 key group | u8 length of the state's name | name | u8 spaced | encoded key``, big-endian: rows of a key
group are neighbours, so a range of groups can be read or deleted at once. Equal Python keys (``1``, ``1.0``, ``True``)
have equal bytes. A value is ``u8 kind and whether there is a time to live | encoded row``.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from millstream.core.errors import ConfigError
from millstream.core.keys import KeyGroupCache, key_groups
from millstream.core.serde import decode_value, encode_value

_GROUP: Final = struct.Struct(">H")


KINDS: Final = ("value", "list", "map", "reducing", "aggregating")
_NAME_BYTES_MAX: Final = 255


class RowCodec:
    """The database keys and values of the rows of one state, those with or those without namespace."""

    def __init__(self, name: str, kind: str, with_ttl: bool, spaced: bool, cache: KeyGroupCache) -> None:
        encoded = name.encode()
        if len(encoded) > _NAME_BYTES_MAX:
            raise ConfigError(f"the state {name!r:.100} has too long a name: at most {_NAME_BYTES_MAX} bytes, please.")
        self._head = bytes([len(encoded)]) + encoded + bytes([spaced])
        self._tag = bytes([KINDS.index(kind) << 1 | with_ttl])
        self._spaced = spaced
        self._cache = cache

    def keys(self, keys: list[Any]) -> list[bytes]:
        """One database key each."""
        if not keys:
            return []
        plain = [key for _, key in keys] if self._spaced else keys
        groups = key_groups(plain, self._cache.max_parallelism, self._cache)
        heads = [_GROUP.pack(group) + self._head for group in groups.tolist()]
        return [head + encode_value(_canonical(key)) for head, key in zip(heads, keys, strict=True)]

    def value(self, stored: Any) -> bytes:
        return self._tag + encode_value(stored)


def split_key(data: bytes) -> tuple[str, bool, bytes]:
    """``(name, spaced, encoded key)``."""
    end = 3 + data[2]
    return data[3:end].decode(), bool(data[end]), data[end + 1 :]


def split_value(data: bytes) -> tuple[str, bool, Any]:
    """``(kind, with time to live, stored)``."""
    return KINDS[data[0] >> 1], bool(data[0] & 1), decode_value(data[1:])


def decode_key(data: bytes, spaced: bool) -> Any:
    """The key, or (namespace, key)."""
    key = decode_value(data)
    return tuple(key) if spaced else key


CLASSES_KEY: Final = b"\xff\xff\xffclasses"
"""Behind all rows: the fields of the record classes among them."""


def group_prefix(group: int) -> bytes:
    """What all keys of a key group begin with; groups are ordered as their prefixes."""
    return _GROUP.pack(group)


def _canonical(key: Any) -> Any:
    kind = type(key)
    if kind is int or kind is str or kind is bytes:
        return key
    if kind is bool:
        return int(key)
    if kind is float and key.is_integer():
        return int(key)
    if kind is tuple:
        return tuple(map(_canonical, key))
    return key
