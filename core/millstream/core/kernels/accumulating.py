"""Accumulators in arrays by slot: counts, sums of 64 and 128 bits, extremes and moments.

In all kernels ``slots``, ``values``, ``valid`` and ``signs`` have one element a row. ``valid`` is empty where every row
counts; ``signs`` is empty where every row is added, else 1 to add it and -1 to take it back.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Int64Array = npt.NDArray[np.int64]
Uint64Array = npt.NDArray[np.uint64]
Int8Array = npt.NDArray[np.int8]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]

ALL_ADDED: Final[Int8Array] = np.empty(0, np.int8)


@numba.njit(cache=True, nogil=True)
def count_rows(slots: Int64Array, valid: BoolArray, signs: Int8Array, counts: Int64Array) -> None:
    """Add to ``counts``."""
    some, signed = len(valid) > 0, len(signs) > 0
    if not some and not signed:
        for i in range(len(slots)):
            counts[slots[i]] += 1
        return
    for i in range(len(slots)):
        if not some or valid[i]:
            counts[slots[i]] += signs[i] if signed else 1


@numba.njit(cache=True, nogil=True)
def add_values(
    slots: Int64Array, values: Array, valid: BoolArray, signs: Int8Array, sums: Array, counts: Int64Array
) -> None:
    """Sums and counts of 64-bit numbers; integers wrap around."""
    some, signed = len(valid) > 0, len(signs) > 0
    for i in range(len(slots)):
        if some and not valid[i]:
            continue
        slot = slots[i]
        if signed and signs[i] < 0:
            sums[slot] -= values[i]
            counts[slot] -= 1
        else:
            sums[slot] += values[i]
            counts[slot] += 1


@numba.njit(cache=True, nogil=True)
def add_wide(
    slots: Int64Array,
    lows: Uint64Array,
    highs: Int64Array,
    valid: BoolArray,
    signs: Int8Array,
    sum_lows: Int64Array,
    sum_highs: Int64Array,
    counts: Int64Array,
) -> None:
    """The same of 128-bit integers in two words (decimals); sums wrap around."""
    some, signed = len(valid) > 0, len(signs) > 0
    for i in range(len(slots)):
        if some and not valid[i]:
            continue
        slot = slots[i]
        low = np.uint64(sum_lows[slot])
        if signed and signs[i] < 0:
            after = low - lows[i]
            borrow = 1 if lows[i] > low else 0
            sum_highs[slot] -= highs[i] + borrow
            counts[slot] -= 1
        else:
            after = low + lows[i]
            carry = 1 if after < low else 0
            sum_highs[slot] += highs[i] + carry
            counts[slot] += 1
        sum_lows[slot] = np.int64(after)


@numba.njit(cache=True, nogil=True, inline="always")
def _below(one: Any, other: Any) -> Any:
    """In the order of SQL: NaN is greater than everything."""
    return one < other or (other != other and one == one)


@numba.njit(cache=True, nogil=True)
def keep_least(slots: Int64Array, values: Array, valid: BoolArray, least: Array, known: BoolArray) -> None:
    """``known`` says by slot whether ``least`` is one. NaN is greater than everything."""
    some = len(valid) > 0
    for i in range(len(slots)):
        if some and not valid[i]:
            continue
        slot = slots[i]
        value = values[i]
        if not known[slot]:
            least[slot] = value
            known[slot] = True
        elif _below(value, least[slot]):
            least[slot] = value


@numba.njit(cache=True, nogil=True)
def keep_greatest(slots: Int64Array, values: Array, valid: BoolArray, greatest: Array, known: BoolArray) -> None:
    """The same of the greatest."""
    some = len(valid) > 0
    for i in range(len(slots)):
        if some and not valid[i]:
            continue
        slot = slots[i]
        value = values[i]
        if not known[slot]:
            greatest[slot] = value
            known[slot] = True
        elif _below(greatest[slot], value):
            greatest[slot] = value


@numba.njit(cache=True, nogil=True)
def add_moments(
    slots: Int64Array,
    values: FloatArray,
    valid: BoolArray,
    signs: Int8Array,
    counts: Int64Array,
    means: FloatArray,
    squares: FloatArray,
) -> None:
    """Welford's update of count, mean and sum of squared distances from it; a row is taken back by its inverse."""
    some, signed = len(valid) > 0, len(signs) > 0
    for i in range(len(slots)):
        if some and not valid[i]:
            continue
        slot = slots[i]
        value = values[i]
        if signed and signs[i] < 0:
            counts[slot] -= 1
            if counts[slot] <= 0:
                means[slot] = 0.0
                squares[slot] = 0.0
                continue
            before = means[slot]
            means[slot] = before - (value - before) / counts[slot]
            squares[slot] -= (value - before) * (value - means[slot])
            if counts[slot] == 1:
                squares[slot] = 0.0
        else:
            counts[slot] += 1
            before = means[slot]
            means[slot] = before + (value - before) / counts[slot]
            squares[slot] += (value - before) * (value - means[slot])


@numba.njit(cache=True, nogil=True)
def merge_moments(
    slots: Int64Array,
    other_counts: Int64Array,
    other_means: FloatArray,
    other_squares: FloatArray,
    counts: Int64Array,
    means: FloatArray,
    squares: FloatArray,
) -> None:
    """Chan's formula: the moments of two samples together, from the moments of each."""
    for i in range(len(slots)):
        more = other_counts[i]
        if more <= 0:
            continue
        slot = slots[i]
        known = counts[slot]
        total = known + more
        distance = other_means[i] - means[slot]
        means[slot] += distance * more / total
        squares[slot] += other_squares[i] + distance * distance * known * more / total
        counts[slot] = total


@numba.njit(cache=True, nogil=True)
def count_transitions(slots: Int64Array, amounts: Int64Array, counts: Int64Array, effects: Int8Array) -> None:
    """Add to ``counts``, and fill ``effects`` with 1 where a value is there for the first time, -1 where it is gone."""
    for i in range(len(slots)):
        slot = slots[i]
        before = counts[slot]
        after = before + amounts[i]
        counts[slot] = after
        if before <= 0 < after:
            effects[i] = 1
        elif after <= 0 < before:
            effects[i] = -1
        else:
            effects[i] = 0


@numba.njit(cache=True, nogil=True)
def running_counts(slots: Int64Array, valid: BoolArray, counts: Int64Array, out: Int64Array) -> None:
    """``count_rows``, with the count after each row."""
    some = len(valid) > 0
    for i in range(len(slots)):
        slot = slots[i]
        if not some or valid[i]:
            counts[slot] += 1
        out[i] = counts[slot]


@numba.njit(cache=True, nogil=True)
def running_sums(
    slots: Int64Array,
    values: Array,
    valid: BoolArray,
    sums: Array,
    counts: Int64Array,
    out_sums: Array,
    out_counts: Int64Array,
) -> None:
    """``add_values``, with sum and count after each row."""
    some = len(valid) > 0
    for i in range(len(slots)):
        slot = slots[i]
        if not some or valid[i]:
            sums[slot] += values[i]
            counts[slot] += 1
        out_sums[i] = sums[slot]
        out_counts[i] = counts[slot]


@numba.njit(cache=True, nogil=True)
def running_extremes(
    slots: Int64Array,
    values: Array,
    valid: BoolArray,
    greatest: bool,
    extremes: Array,
    known: BoolArray,
    out: Array,
    out_known: BoolArray,
) -> None:
    """``keep_greatest`` or ``keep_least``, with the extreme after each row."""
    some = len(valid) > 0
    for i in range(len(slots)):
        slot = slots[i]
        value = values[i]
        if not some or valid[i]:
            best = extremes[slot]
            if not known[slot]:
                extremes[slot] = value
                known[slot] = True
            elif greatest:
                if _below(best, value):
                    extremes[slot] = value
            elif _below(value, best):
                extremes[slot] = value
        out[i] = extremes[slot]
        out_known[i] = known[slot]
