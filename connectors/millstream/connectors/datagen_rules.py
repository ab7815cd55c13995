"""How a field of ``datagen`` is made, and the columns that come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.connectors.counter_hash import draw, fill_draws, stream_key
from millstream.connectors.rounds import Numbers

UNSCALED_MAX: Final = 10**18 - 1
"""Decimals have at most 18 digits."""
_TICKS_PER_MS: Final = {"ms": 1, "us": 1000, "ns": 1_000_000}
_WORD = np.uint64(0xD1342543DE82EF95)
_HEX: Final = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True)
class FieldRule:
    """One field: a sequence from ``start`` on, or random.

    ``minimum`` and ``maximum`` (both included; of decimals unscaled) bound numbers. ``length`` is that of texts,
    bytes (with ``var_len`` the longest), arrays and maps. ``max_past_ms`` bounds how old times are. ``null_rate``: the
    share of rows that are null. ``children``: the fields of a ROW, the element of an ARRAY, key and value of a MAP.
    """

    type: pa.DataType
    start: int | None = None
    minimum: Any = None
    maximum: Any = None
    length: int = 0
    var_len: bool = False
    max_past_ms: int = 0
    null_rate: float = 0.0
    children: tuple[FieldRule, ...] = ()

    @property
    def row_bytes(self) -> int:
        """About how many bytes a value takes, at most."""
        inner = sum(child.row_bytes for child in self.children)
        return 8 + (inner * self.length if pa.types.is_nested(self.type) and self.length else inner + self.length)


def generate(rule: FieldRule, key: np.uint64, numbers: Numbers, now_ms: npt.NDArray[np.int64]) -> pa.Array:
    """The field in the rows ``numbers``. ``key``: of the field's streams. ``now_ms``: the current time of each row."""
    kind = rule.type
    valid = None
    if rule.null_rate > 0:
        mask = _units(_stream(key, 1), numbers) >= rule.null_rate
        valid = pa.py_buffer(np.packbits(mask, bitorder="little"))
    if rule.start is not None:
        return _with_nulls(_sequence(rule, numbers), valid)
    if pa.types.is_struct(kind):
        children = [generate(child, _stream(key, 10 + i), numbers, now_ms) for i, child in enumerate(rule.children)]
        return pa.Array.from_buffers(kind, len(numbers), [valid], children=children)
    if pa.types.is_map(kind):
        return _map(rule, key, numbers, now_ms, valid)
    if pa.types.is_list(kind):
        inner = (numbers[:, None] * rule.length + np.arange(rule.length)).ravel()
        element = generate(rule.children[0], _stream(key, 10), inner, np.repeat(now_ms, rule.length))
        offsets = np.arange(len(numbers) + 1, dtype=np.int32) * np.int32(rule.length)
        return pa.Array.from_buffers(kind, len(numbers), [valid, pa.py_buffer(offsets)], children=[element])
    return _with_nulls(_random(rule, _stream(key, 0), numbers, now_ms), valid)


def _map(
    rule: FieldRule, key: np.uint64, numbers: Numbers, now_ms: npt.NDArray[np.int64], valid: pa.Buffer | None
) -> pa.Array:
    """Of entries with the same key in a row the first stays, so that maps may have fewer than ``length`` entries."""
    inner = (numbers[:, None] * rule.length + np.arange(rule.length)).ravel()
    inner_ms = np.repeat(now_ms, rule.length)
    keys, values = (generate(child, _stream(key, 10 + i), inner, inner_ms) for i, child in enumerate(rule.children))
    codes = keys.dictionary_encode().indices.to_numpy().astype(np.int64)
    rows = np.repeat(np.arange(len(numbers)), rule.length)
    _, first = np.unique(rows * (len(codes) + 1) + codes, return_index=True)
    first.sort()
    ends = np.cumsum(np.bincount(rows[first], minlength=len(numbers)))
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    entries = pa.StructArray.from_arrays(
        [keys.take(pa.array(first)), values.take(pa.array(first))], fields=[rule.type.key_field, rule.type.item_field]
    )
    return pa.Array.from_buffers(rule.type, len(numbers), [valid, pa.py_buffer(offsets)], children=[entries])


def _with_nulls(dense: pa.Array, valid: pa.Buffer | None) -> pa.Array:
    if valid is None:
        return dense
    return pa.Array.from_buffers(dense.type, len(dense), [valid, *dense.buffers()[1:]])


def _sequence(rule: FieldRule, numbers: Numbers) -> pa.Array:
    assert rule.start is not None
    values = rule.start + numbers
    if pa.types.is_decimal(rule.type):
        return _decimals(values * 10**rule.type.scale, rule.type)
    return pa.array(values).cast(rule.type)


def _random(rule: FieldRule, key: np.uint64, numbers: Numbers, now_ms: npt.NDArray[np.int64]) -> pa.Array:
    kind = rule.type
    if pa.types.is_boolean(kind):
        return pa.array(_draws(key, numbers) >> np.uint64(63) == 1)
    if pa.types.is_integer(kind):
        return pa.array(_integers(rule, key, numbers).astype(kind.to_pandas_dtype()))
    if pa.types.is_decimal(kind):
        return _decimals(_integers(rule, key, numbers), kind)
    if pa.types.is_floating(kind):
        unit = _units(key, numbers)
        return pa.array((rule.minimum * (1 - unit) + rule.maximum * unit).astype(kind.to_pandas_dtype()))
    if pa.types.is_date(kind):
        return pa.array((now_ms // 86_400_000).astype(np.int32)).view(kind)
    if pa.types.is_time(kind):
        return pa.array((now_ms % 86_400_000).astype(np.int32)).view(kind)
    if pa.types.is_timestamp(kind):
        past_ms = (_draws(key, numbers) % np.uint64(rule.max_past_ms + 1)).astype(np.int64)
        return pa.array((now_ms - past_ms) * _TICKS_PER_MS[kind.unit]).view(kind)
    return _texts(rule, key, numbers)


def _texts(rule: FieldRule, key: np.uint64, numbers: Numbers) -> pa.Array:
    """Hexadecimal digits, or bytes."""
    lengths: npt.NDArray[Any] = np.full(len(numbers), rule.length, np.int64)
    if rule.var_len and rule.length > 0:
        lengths = 1 + (_draws(_stream(key, 2), numbers) % np.uint64(rule.length)).astype(np.int64)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    data = np.empty(offsets[-1], np.uint8)
    _fill_bytes(numbers, key, offsets, data)
    if pa.types.is_string(rule.type):
        data = _HEX[data & 15]
    return pa.Array.from_buffers(rule.type, len(numbers), [None, pa.py_buffer(offsets), pa.py_buffer(data)])


@numba.njit(cache=True, nogil=True)
def _fill_bytes(numbers: Numbers, key: np.uint64, offsets: npt.NDArray[np.int32], data: npt.NDArray[np.uint8]) -> None:
    """Random bytes from each offset to the next."""
    for i in range(len(numbers)):
        place = offsets[i]
        stop = offsets[i + 1]
        word = key
        while place < stop:
            bits = draw(word, numbers[i])
            for _ in range(min(8, stop - place)):
                data[place] = np.uint8(bits & np.uint64(255))
                bits >>= np.uint64(8)
                place += 1
            word += _WORD


def _integers(rule: FieldRule, key: np.uint64, numbers: Numbers) -> npt.NDArray[np.int64]:
    """From ``minimum`` to ``maximum``, both included."""
    draws = _draws(key, numbers)
    choices = rule.maximum - rule.minimum + 1
    if choices < 2**64:
        draws %= np.uint64(choices)
    return (draws + np.uint64(rule.minimum % 2**64)).view(np.int64)


def _decimals(unscaled: npt.NDArray[np.int64], kind: pa.DataType) -> pa.Array:
    words = np.empty((len(unscaled), 2), np.int64)
    words[:, 0] = unscaled
    words[:, 1] = unscaled >> 63
    return pa.Array.from_buffers(kind, len(unscaled), [None, pa.py_buffer(words)])


def _stream(key: np.uint64, stream: int) -> np.uint64:
    return stream_key(int(key), stream)


def _draws(key: np.uint64, numbers: Numbers) -> npt.NDArray[np.uint64]:
    out = np.empty(len(numbers), np.uint64)
    fill_draws(key, numbers, out)
    return out


def _units(key: np.uint64, numbers: Numbers) -> npt.NDArray[np.float64]:
    """From 0 (included) to 1 (excluded)."""
    units: npt.NDArray[np.float64] = (_draws(key, numbers) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return units
