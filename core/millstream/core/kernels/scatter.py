"""Rows by target: a counting sort, for exchanges whose targets are few."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True)
def order_by_target(targets: npt.NDArray[Any], edges: Int64Array, order: Int64Array) -> None:
    """Fill ``order`` so that ``order[edges[t]:edges[t + 1]]`` are the rows of target ``t``, ascending.

    ``targets`` are integers from 0 to ``len(edges) - 2``; ``edges`` is zero before.
    """
    for i in range(len(targets)):
        edges[targets[i] + 1] += 1
    for t in range(1, len(edges)):
        edges[t] += edges[t - 1]
    cursor = edges.copy()
    for i in range(len(targets)):
        target = targets[i]
        order[cursor[target]] = i
        cursor[target] += 1
