"""The stable hash of keys, and key groups.

A key decides where a record goes and where its state lives, so its hash must be the same in every process, for ever,
and equal for equal keys: Python's ``hash`` is neither. This is **key hash version 1**, part of the savepoint format:

``mix(x)``
    the finaliser of SplitMix64 on 64 bits (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    2014); the hash is its high 32 bits.
``int``, ``bool``, ``float`` with an integral value within 64 bits
    ``mix`` of the two's complement value.
``str``, ``bytes``, larger ints and other floats, dates, Decimal, UUID, Enum
    ``mix(crc32(bytes) + (length << 32) ^ tag)``, of UTF-8, the raw bytes, or the text that ``_CANONICAL`` names.
``IntEnum``, ``StrEnum``
    as the value they equal.
``None``
    ``mix(tag)``.
``tuple`` (NamedTuple alike), frozen dataclass
    from ``tag`` on, ``h = mix(h * 31 + hash of the next field)``.

A key group is ``hash % max_parallelism``; subtask ``i`` of ``p`` owns the groups ``g`` with
``g * p // max_parallelism == i``.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import math
import uuid
import zlib
from array import array
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from millstream.core.errors import RecordTypeError

if TYPE_CHECKING:
    import pyarrow as pa

KEY_HASH_VERSION: Final = 1
DEFAULT_MAX_PARALLELISM: Final = 128

_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF
TAG_STR: Final = 0x5354_0000_0000_0000
TAG_BYTES: Final = 0x4259_0000_0000_0000
TAG_NONE: Final = 0x4E4F_4E45_0000_0000
TAG_TUPLE: Final = 0x5455_504C_0000_0000
TAG_OTHER: Final = 0x4F54_0000_0000_0000

_CACHE_ENTRIES_MAX: Final = 1 << 18

GroupArray = npt.NDArray[np.int32]


def stable_hash(key: Any) -> int:
    """32 bits, unsigned. Raises ``RecordTypeError`` for a type without a stable hash."""
    return hash64(key) >> 32


def key_group(key: Any, max_parallelism: int) -> int:
    """The key group of ``key``, in ``[0, max_parallelism)``."""
    return stable_hash(key) % max_parallelism


class KeyGroupCache(dict[Any, int]):
    """Remembers the groups of keys seen; bounded by being emptied when it is full."""

    def __init__(self, max_parallelism: int) -> None:
        super().__init__()
        self.max_parallelism = max_parallelism

    def __missing__(self, key: Any) -> int:
        if len(self) >= _CACHE_ENTRIES_MAX:
            self.clear()
        group = stable_hash(key) % self.max_parallelism
        self[key] = group
        return group


def key_groups(keys: list[Any], max_parallelism: int, cache: KeyGroupCache | None = None) -> GroupArray:
    """The groups of ``keys`` (shape ``(len(keys),)``): vectorised for ints, through ``cache`` for the rest."""
    kinds = set(map(type, keys))
    if kinds == {int}:
        try:
            return int_key_groups(np.frombuffer(array("q", keys), np.int64), max_parallelism)
        except OverflowError:
            pass
    lookup = KeyGroupCache(max_parallelism) if cache is None else cache
    try:
        return np.fromiter(map(lookup.__getitem__, keys), np.int32, len(keys))
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        bad = next(key for key in keys if getattr(type(key), "__hash__", None) is None or _unhashable(key))
        raise _no_hash(bad) from None


def int_key_groups(keys: npt.NDArray[np.int64], max_parallelism: int) -> GroupArray:
    """The groups of 64-bit integer keys."""
    x = keys.view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return ((x >> np.uint64(32)) % np.uint64(max_parallelism)).astype(np.int32)


def arrow_key_groups(columns: Sequence[pa.Array], max_parallelism: int) -> GroupArray:
    """The groups of rows whose key is the value of the one column, or the tuple of several: as of the Python values."""
    import pyarrow as pa

    if len(columns) == 1:
        column = columns[0]
        if pa.types.is_integer(column.type) and column.null_count == 0 and column.type != pa.uint64():
            return int_key_groups(column.cast(pa.int64()).to_numpy(zero_copy_only=False), max_parallelism)
    from millstream.core.kernels.column_hash import row_hashes

    return _groups_of_hashes(row_hashes(columns), max_parallelism)


def table_key_groups(columns: Sequence[pa.Array], max_parallelism: int, rows: int | None = None) -> GroupArray:
    """The groups of SQL rows by their key columns; exchanges and state of SQL operators agree on it.

    It differs from ``arrow_key_groups`` in times and nested values. Dates, times, timestamps and durations are hashed
    as the integers that Arrow stores, without a Python object a row, so both sides of an exchange must have one Arrow
    type. Lists, maps and structs have the hash of their encoded bytes. Decimals hash like the equal integer or float.
    No columns at all are the key of a global aggregate, ``()``; then ``rows`` says how many rows there are.
    """
    if not columns:
        return np.full(rows or 0, key_group((), max_parallelism), np.int32)
    from millstream.core.kernels.column_hash import row_hashes

    return _groups_of_hashes(row_hashes(columns, table_values=True), max_parallelism)


def _groups_of_hashes(hashes: npt.NDArray[np.uint64], max_parallelism: int) -> GroupArray:
    return ((hashes >> np.uint64(32)) % np.uint64(max_parallelism)).astype(np.int32)


def subtask_of_key_group(group: int, max_parallelism: int, parallelism: int) -> int:
    """Which of ``parallelism`` subtasks owns ``group``."""
    return group * parallelism // max_parallelism


def subtasks_of_key_groups(groups: GroupArray, max_parallelism: int, parallelism: int) -> GroupArray:
    """``subtask_of_key_group`` of each."""
    return (groups.astype(np.int64) * parallelism // max_parallelism).astype(np.int32)


def key_group_range(subtask: int, max_parallelism: int, parallelism: int) -> range:
    """The groups that ``subtask`` owns; contiguous, and empty only when parallelism exceeds max_parallelism."""
    first = -(-subtask * max_parallelism // parallelism)
    end = -(-(subtask + 1) * max_parallelism // parallelism)
    return range(first, end)


def _mix(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)


def _hash_bytes(data: bytes, tag: int) -> int:
    return _mix((zlib.crc32(data) + (len(data) << 32) ^ tag) & _MASK)


def hash64(key: Any) -> int:
    """The 64 bits whose high half is the stable hash. Raises ``RecordTypeError``."""
    kind = type(key)
    if kind is str:
        return _hash_bytes(key.encode("utf-8", "surrogatepass"), TAG_STR)
    if kind is int or kind is bool:
        return _hash_int(int(key))
    if key is None:
        return _mix(TAG_NONE)
    if kind is bytes:
        return _hash_bytes(key, TAG_BYTES)
    if kind is float:
        if math.isfinite(key) and key == math.floor(key):
            return _hash_int(int(key))
        return _hash_bytes(repr(key).encode(), TAG_OTHER)
    if isinstance(key, enum.Enum) and not isinstance(key, int | str):
        return _hash_bytes(f"{type(key).__qualname__}.{key.name}".encode(), TAG_OTHER)
    if isinstance(key, tuple):
        return _hash_fields(key)
    for base, canonical in _CANONICAL.items():
        if isinstance(key, base):
            return _hash_bytes(canonical(key).encode(), TAG_OTHER)
    if isinstance(key, decimal.Decimal):
        return _hash_decimal(key)
    if isinstance(key, np.generic):
        return hash64(key.item())
    if dataclasses.is_dataclass(key) and _is_frozen(type(key)):
        return _hash_fields(tuple(getattr(key, field.name) for field in dataclasses.fields(key)))
    if isinstance(key, int):
        return _hash_int(int(key))
    if isinstance(key, str):
        return _hash_bytes(str.__str__(key).encode("utf-8", "surrogatepass"), TAG_STR)
    raise _no_hash(key)


def _hash_int(value: int) -> int:
    if -(1 << 63) <= value < (1 << 63):
        return _mix(value & _MASK)
    return _hash_bytes(str(value).encode(), TAG_OTHER)


def _hash_decimal(value: decimal.Decimal) -> int:
    """Like the equal int or float, for equal keys hash alike."""
    if value.is_finite() and value == value.to_integral_value():
        return _hash_int(int(value))
    as_float = float(value)
    return hash64(as_float) if value == decimal.Decimal(as_float) else _hash_bytes(str(value).encode(), TAG_OTHER)


def _hash_fields(fields: tuple[Any, ...]) -> int:
    h = TAG_TUPLE + len(fields)
    for field in fields:
        h = _mix((h * 31 + hash64(field)) & _MASK)
    return h


_CANONICAL: Final[dict[type, Callable[[Any], str]]] = {
    datetime.datetime: lambda value: (
        value.isoformat() if value.tzinfo is None else value.astimezone(datetime.UTC).isoformat()
    ),
    datetime.date: lambda value: value.isoformat(),
    datetime.time: lambda value: value.isoformat(),
    datetime.timedelta: lambda value: f"{value // datetime.timedelta(microseconds=1)}us",
    uuid.UUID: lambda value: value.hex,
}


def _is_frozen(kind: Any) -> bool:
    return bool(kind.__dataclass_params__.frozen)


def _unhashable(key: Any) -> bool:
    try:
        hash(key)
    except TypeError:
        return True
    return False


def _no_hash(key: Any) -> RecordTypeError:
    return RecordTypeError(
        f"{key!r:.200} of type {type(key).__qualname__} cannot be a key: it has no stable hash. Let the key selector "
        f"return an int, str, bytes, date, UUID, Enum, a tuple of these, or a frozen dataclass."
    )
