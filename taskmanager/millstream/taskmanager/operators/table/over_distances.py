"""RANGE frames with a bound: how far rows lie apart in the order column."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import floor
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.kernels.arrow_views import fixed_dtype, fixed_of, valid_of, words_of_decimals
from millstream.core.table.specs import SortKey
from millstream.taskmanager.operators.table.aggregates.accumulator import BoolArray, Int64Array

_DAY_MS: Final = 86_400_000
_UNITS_PER_S: Final = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
_WORD_DIGITS_MAX: Final = 18
"""Decimals of so many digits fit into 64 bits."""


class Distances:
    """Values of the order column by row, ascending within a partition (those of a descending order are negated).

    Integers of at most 64 bits, times and decimals of at most 18 digits are exact, everything else is a double.
    """

    def __init__(self, column: pa.Array, key: SortKey) -> None:
        self._kind = column.type
        self.valid: BoolArray = valid_of(column)
        """Empty where no value is NULL."""
        dtype = fixed_dtype(self._kind)
        values: npt.NDArray[Any]
        if dtype is not None and dtype.kind == "i":
            values = fixed_of(column, dtype).astype(np.int64)
        elif self._is_word():
            values = words_of_decimals(column)[0]
        else:
            values = pc.fill_null(column.cast(pa.float64()), 0.0).to_numpy()
            values = np.where(np.isnan(values), np.inf, values)  # NaN is the greatest, and its own only neighbour
        if not key.ascending:
            values = ~values if values.dtype == np.int64 else -values
        if len(self.valid):
            values = np.where(self.valid, values, 0)
        self.values: npt.NDArray[Any] = values

    def before(self, rows: Int64Array, bound: int | Decimal) -> npt.NDArray[Any]:
        """The least values that lie within ``bound`` before those of ``rows``."""
        return self._moved(rows, -self._units(bound))

    def after(self, rows: Int64Array, bound: int | Decimal) -> npt.NDArray[Any]:
        """The greatest values that lie within ``bound`` after those of ``rows``."""
        return self._moved(rows, self._units(bound))

    def _moved(self, rows: Int64Array, step: Any) -> npt.NDArray[Any]:
        """``values + step``, within the limits of their type."""
        values = self.values[rows]
        if values.dtype != np.int64:
            return np.asarray(values + float(step))
        limits = np.iinfo(np.int64)
        if step >= 0:
            return np.where(values > limits.max - step, limits.max, values + min(step, limits.max))
        return np.where(values < limits.min - step, limits.min, values + max(step, limits.min))

    def _units(self, bound: int | Decimal) -> Any:
        """The bound in units of ``values``: where they are whole, so is how far they lie apart."""
        kind = self._kind
        if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
            return floor(Fraction(bound) * _UNITS_PER_S[kind.unit] / 1000)
        if pa.types.is_date32(kind):
            return floor(Fraction(bound) / _DAY_MS)
        if self._is_word():
            return floor(Fraction(bound) * 10**kind.scale)
        return floor(bound) if self.values.dtype == np.int64 else bound

    def _is_word(self) -> bool:
        return bool(pa.types.is_decimal128(self._kind)) and self._kind.precision <= _WORD_DIGITS_MAX


def first_at_least(
    values: npt.NDArray[Any], low: Int64Array, high: Int64Array, targets: npt.NDArray[Any], *, above: bool = False
) -> Int64Array:
    """By target, the first position from ``low`` to ``high`` whose value is at least the target (``above``: greater);
    ``high`` where there is none. ``values`` ascend from ``low`` to ``high``."""
    low, high = low.copy(), high.copy()
    while (open_ := low < high).any():
        middle = (low + high) >> 1
        found = values[np.minimum(middle, len(values) - 1)]
        before = open_ & (found <= targets if above else found < targets)
        low = np.where(before, middle + 1, low)
        high = np.where(open_ & ~before, middle, high)
    return low
