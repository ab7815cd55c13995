"""Running aggregates of groups: for each row, the aggregate of its group up to and including that row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Running = Callable[[npt.NDArray[np.int64], Array, Array, int, Array], None]
"""``(slots, values, totals, known, out)``: all of one length but ``totals``, which is indexed by slot. Slots from
``known`` on are new and appear in ascending order; their first value is their first total."""


@numba.njit(cache=True, nogil=True)
def running_sum(slots: npt.NDArray[np.int64], values: Array, totals: Array, known: int, out: Array) -> None:
    """Integers must not overflow: the caller bounds them."""
    for i in range(len(slots)):
        slot = slots[i]
        total = values[i]
        if slot < known:
            total += totals[slot]
        else:
            known += 1
        totals[slot] = total
        out[i] = total


@numba.njit(cache=True, nogil=True)
def running_min(slots: npt.NDArray[np.int64], values: Array, totals: Array, known: int, out: Array) -> None:
    """The first of equal values stays."""
    for i in range(len(slots)):
        slot = slots[i]
        total = values[i]
        if slot >= known:
            known += 1
        elif not total < totals[slot]:
            total = totals[slot]
        totals[slot] = total
        out[i] = total


@numba.njit(cache=True, nogil=True)
def running_max(slots: npt.NDArray[np.int64], values: Array, totals: Array, known: int, out: Array) -> None:
    """The first of equal values stays."""
    for i in range(len(slots)):
        slot = slots[i]
        total = values[i]
        if slot >= known:
            known += 1
        elif not total > totals[slot]:
            total = totals[slot]
        totals[slot] = total
        out[i] = total


RUNNING: Final[dict[str, Running]] = {"sum": running_sum, "min": running_min, "max": running_max}
"""By the name of the aggregation."""
