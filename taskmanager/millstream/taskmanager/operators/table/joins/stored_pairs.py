"""The join of rows that are all in state by now: of a window that is over, or of a whole bounded input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.table.functions.function import EvaluationContext
from millstream.core.table.specs import JoinKind
from millstream.taskmanager.operators.table.joins.join_side import JoinSide
from millstream.taskmanager.operators.table.joins.pairs import PairCondition, nulls, with_gaps

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]

_LEFT_ROWS_MAX: Final = 1 << 14
"""Left rows whose pairs are made at once."""


class StoredPairs:
    """``emit`` takes columns of the join; ``evaluation`` what a condition over so many pairs may know."""

    def __init__(
        self,
        kind: JoinKind,
        left: JoinSide,
        right: JoinSide,
        condition: PairCondition | None,
        evaluation: Callable[[int], EvaluationContext],
        emit: Callable[[list[pa.Array]], None],
    ) -> None:
        self._kind = kind
        self._left, self._right = left, right
        self._condition = condition
        self._evaluation = evaluation
        self._emit = emit

    def emit(self, left: Int64Array, right: Int64Array) -> None:
        """The join of the left and right rows at these slots; a partner of a left row is among ``right``."""
        matched: BoolArray = np.zeros(int(right.max()) + 1 if len(right) else 0, np.bool_)
        for start in range(0, len(left), _LEFT_ROWS_MAX):
            slots = left[start : start + _LEFT_ROWS_MAX]
            positions, partners = self._pairs(slots)
            matched[partners] = True
            self._emit_left(slots, positions, partners)
        if self._kind.keeps_right:
            alone = right[~matched[right]]
            if len(alone):
                self._emit([*nulls(self._left.spec.type, len(alone)), *self._right.rows(alone)])

    def _pairs(self, left: Int64Array) -> tuple[Int64Array, Int64Array]:
        keys = self._left.table.keys_of(left)
        positions, partners = self._right.table.rows_of(self._right.table.find(keys, len(left)))
        mask = self._left.keys_can_match(keys)
        if mask is not None:
            known = mask[positions]
            positions, partners = positions[known], partners[known]
        if self._condition is None or not len(positions):
            return positions, partners
        rows = left[positions]
        holds = self._condition.holds(
            lambda indexes: self._left.some_columns(rows, indexes),
            lambda indexes: self._right.some_columns(partners, indexes),
            self._evaluation(len(positions)),
        )
        return positions[holds], partners[holds]

    def _emit_left(self, left: Int64Array, positions: Int64Array, partners: Int64Array) -> None:
        kind = self._kind
        matched = np.bincount(positions, minlength=len(left)) > 0
        if kind in (JoinKind.SEMI, JoinKind.ANTI):
            chosen = left[matched if kind is JoinKind.SEMI else ~matched]
            if len(chosen):
                self._emit(self._left.rows(chosen))
            return
        theirs = self._right.rows(partners)
        if kind.keeps_left and not matched.all():
            alone = np.flatnonzero(~matched)
            order = np.argsort(np.concatenate([positions, alone]), kind="stable")
            places = np.concatenate([np.arange(len(positions)), np.full(len(alone), -1, np.int64)])[order]
            positions = np.concatenate([positions, alone])[order]
            theirs = with_gaps(theirs, places)
        if len(positions):
            self._emit([*self._left.rows(left[positions]), *theirs])
