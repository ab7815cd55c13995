"""ROW_NUMBER, RANK and DENSE_RANK of rows that are sorted by partition, then by order."""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@numba.njit(cache=True, nogil=True)
def _number(partitions: Int64Array, starts_peers: BoolArray, function: int, ranks: Int64Array) -> None:
    row, rank, dense = 0, 0, 0
    for i in range(len(partitions)):
        if i == 0 or partitions[i] != partitions[i - 1]:
            row, rank, dense = 1, 1, 1
        else:
            row += 1
            if starts_peers[i]:
                rank = row
                dense += 1
        ranks[i] = row if function == 0 else (rank if function == 1 else dense)


def ranks_in_order(function: str, partitions: Int64Array, codes: Sequence[Int64Array]) -> Int64Array:
    """Of sorted rows; ``codes`` are the columns of the order, which peers have equal."""
    changed = np.zeros(len(partitions), np.bool_)
    for column in codes:
        changed[1:] |= column[1:] != column[:-1]
    ranks: Int64Array = np.empty(len(partitions), np.int64)
    _number(partitions, changed, ("ROW_NUMBER", "RANK", "DENSE_RANK").index(function), ranks)
    return ranks
