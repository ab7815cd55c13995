"""Row kinds of a batch as numbers that kernels calculate with."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from millstream.core.elements.batch import ArrowBatch, RowKind

Kinds = npt.NDArray[np.int8]

INSERT: Final = int(RowKind.INSERT)
UPDATE_BEFORE: Final = int(RowKind.UPDATE_BEFORE)
UPDATE_AFTER: Final = int(RowKind.UPDATE_AFTER)
DELETE: Final = int(RowKind.DELETE)

PARTED: Final = np.array([INSERT, DELETE, INSERT, DELETE], np.int8)
"""By kind: what it is where an update's two rows go their own ways."""

_SIGNS: Final = np.array([1, -1, 1, -1], np.int8)


def signs_of(batch: ArrowBatch) -> npt.NDArray[np.int8] | None:
    """By row: 1 for what is added (+I, +U), -1 for what is taken back (-U, -D); None where all rows are added."""
    kinds = batch.row_kinds
    if kinds is None:
        return None
    signs: npt.NDArray[np.int8] = _SIGNS[kinds]
    return signs if (signs < 0).any() else None


def kinds_or_none(kinds: Kinds | None) -> Kinds | None:
    """None where all rows are inserts, as batches say it."""
    return None if kinds is None or not kinds.any() else kinds


def filled(rows: int, kind: int) -> Kinds:
    """``rows`` times the same kind."""
    return np.full(rows, kind, np.int8)


def chosen(kinds: Kinds | None, positions: npt.NDArray[Any]) -> Kinds | None:
    """The kinds at ``positions`` (indices, or a mask as long as ``kinds``)."""
    return None if kinds is None else kinds_or_none(kinds[positions])
