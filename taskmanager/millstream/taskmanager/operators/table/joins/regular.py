"""The regular join: both sides are kept, and every change of one side is answered with the changes of the pairs.

A batch of one side meets the state of the other, which the batch does not change, so all of its rows are matched at
once. Sides whose rows come out without a match too (and the left side of SEMI and ANTI) remember how many matches each
row has: when that leaves or reaches 0, the row without a partner is taken back or comes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.row_type import RowType
from millstream.core.table.specs import JoinKind, JoinSpec
from millstream.taskmanager.operators.table.joins.join_side import JoinSide
from millstream.taskmanager.operators.table.joins.pairs import (
    PairCondition,
    columns_of,
    nulls,
    taken,
    with_gaps,
)
from millstream.taskmanager.operators.table.joins.stored_pairs import StoredPairs
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator
from millstream.taskmanager.operators.table.row_kinds import DELETE, INSERT, Kinds, filled, signs_of
from millstream.taskmanager.operators.table.table_operator import arrow_batch

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]

_LEFT, _RIGHT = 0, 1


class JoinOperator(KeyedTableOperator[JoinSpec]):
    """Implements ``JoinSpec``."""

    def __init__(self, chained: ChainedOperator, spec: JoinSpec) -> None:
        super().__init__(chained, spec, spec.output, max(spec.left.ttl_ms, spec.right.ttl_ms))
        kind = spec.join
        self._semi = kind is JoinKind.SEMI
        self._anti = kind is JoinKind.ANTI
        self._outer = (kind.keeps_left, kind.keeps_right)
        # Batch mode over inputs that take rows back: what is final is only known when both have ended.
        self._at_end = spec.final_only and (spec.left.retracts or spec.right.retracts)
        self._condition = (
            None
            if spec.condition is None
            else PairCondition(spec.condition, spec.left.type, spec.right.type, chained.name)
        )

    def declare(self) -> None:
        spec, kind = self.spec, self.spec.join
        left_counted = kind.keeps_left or self._semi or self._anti
        left = JoinSide(spec.left, "left", self.backend, spec.null_safe, counted=left_counted)
        right = JoinSide(spec.right, "right", self.backend, spec.null_safe, counted=kind.keeps_right)
        self._sides = (left, right)
        self._tables += [left.table, right.table]

    def process(self, batch: Batch, input_index: int) -> None:
        arrow = arrow_batch(batch)
        records, kinds = arrow.records, arrow.row_kinds
        side = self._sides[input_index]
        if self._at_end:
            counts = np.zeros(records.num_rows, np.int64) if side.counted else None
            self._keep(records, signs_of(arrow), counts, input_index)
            return
        mask = side.can_match(records)
        if mask is not None:
            alone = pa.array(~mask)
            self._without_keys(records.filter(alone), None if kinds is None else kinds[~mask], input_index)
            records, kinds = records.filter(pa.array(mask)), None if kinds is None else kinds[mask]
        if records.num_rows:
            signs = signs_of(ArrowBatch(records, None, kinds))
            self._join(records, kinds, signs, input_index)

    def finish(self) -> None:
        """Batch mode: what has no match by now will have none."""
        if self._at_end:
            pairs = StoredPairs(
                self.spec.join,
                *self._sides,
                self._condition,
                self.evaluation,
                self.emit_columns,
            )
            pairs.emit(*(side.table.live_slots() for side in self._sides))
        elif self.spec.final_only:
            for index, side in enumerate(self._sides):
                if side.counted and not self._semi:
                    slots = side.table.live_slots()
                    alone = slots[side.matches()[slots] == 0]
                    self._emit_alone(side.rows(alone), filled(len(alone), INSERT), index)
        super().finish()

    # -- one batch ------------------------------------------------------------------------------------------------

    def _join(
        self, records: pa.RecordBatch, kinds: Kinds | None, signs: npt.NDArray[np.int8] | None, index: int
    ) -> None:
        side, other = self._sides[index], self._sides[1 - index]
        positions, slots = other.table.rows_of(other.table.find(side.keys(records), records.num_rows))
        if self._condition is not None and len(positions):
            positions, slots = self._satisfying(records, positions, slots, index)
        counts = np.bincount(positions, minlength=records.num_rows) if side.counted else None
        if index == _LEFT and (self._semi or self._anti):
            self._emit_semi(records, kinds, counts)
        else:
            if other.counted:
                self._emit_counted(records, signs, positions, slots, index)
            else:
                self._emit_pairs(records, kinds, positions, slots, counts, index)
        self._keep(records, signs, counts, index)

    def _satisfying(
        self, records: pa.RecordBatch, positions: Int64Array, slots: Int64Array, index: int
    ) -> tuple[Int64Array, Int64Array]:
        assert self._condition is not None
        mine = columns_of(records, positions)
        other = self._sides[1 - index]

        def theirs(indexes: Sequence[int]) -> list[pa.Array]:
            return other.some_columns(slots, indexes)

        left, right = (mine, theirs) if index == _LEFT else (theirs, mine)
        holds = self._condition.holds(left, right, self.evaluation(len(positions)))
        return positions[holds], slots[holds]

    def _keep(
        self, records: pa.RecordBatch, signs: npt.NDArray[np.int8] | None, counts: Int64Array | None, index: int
    ) -> None:
        """The batch becomes part of the state of its side."""
        side = self._sides[index]
        if signs is None:
            side.append(records, *([] if counts is None else [pa.array(counts)]))
            return
        added = signs > 0
        if added.any():
            chosen = pa.array(added)
            side.append(records.filter(chosen), *([] if counts is None else [pa.array(counts[added])]))
        side.remove(records.filter(pa.array(~added)))

    # -- what comes out -------------------------------------------------------------------------------------------

    def _emit_pairs(
        self,
        records: pa.RecordBatch,
        kinds: Kinds | None,
        positions: Int64Array,
        slots: Int64Array,
        counts: Int64Array | None,
        index: int,
    ) -> None:
        """Rows of an input whose partners need not know of it; unmatched ones too where the side is kept."""
        other = self._sides[1 - index]
        theirs = other.rows(slots)
        if self._outer[index] and counts is not None and not self.spec.final_only and (counts == 0).any():
            alone = np.flatnonzero(counts == 0)
            order = np.argsort(np.concatenate([positions, alone]), kind="stable")
            places = np.concatenate([np.arange(len(positions)), np.full(len(alone), -1, np.int64)])[order]
            positions = np.concatenate([positions, alone])[order]
            theirs = with_gaps(theirs, places)
        if len(positions):
            self._emit_both(taken(records, positions), theirs, None if kinds is None else kinds[positions], index)

    def _emit_counted(
        self,
        records: pa.RecordBatch,
        signs: npt.NDArray[np.int8] | None,
        positions: Int64Array,
        slots: Int64Array,
        index: int,
    ) -> None:
        """Rows of an input whose partners count their matches: the partners without a match go or come as well."""
        side, other = self._sides[index], self._sides[1 - index]
        steps = np.ones(len(positions), np.int64) if signs is None else signs[positions].astype(np.int64)
        touched, inverse = np.unique(slots, return_inverse=True)
        other.table.touch(touched)
        matches = other.matches()
        before = matches[touched]
        after = before + np.bincount(inverse, weights=steps, minlength=len(touched)).astype(np.int64)
        matches[touched] = np.maximum(after, 0)
        found, lost = touched[(before == 0) & (after > 0)], touched[(before > 0) & (after <= 0)]
        if self._semi or self._anti:
            come, go = (found, lost) if self._semi else (lost, found)
            if not (self._anti and self.spec.final_only):
                self._emit_rows(other.rows(go), filled(len(go), DELETE))
                self._emit_rows(other.rows(come), filled(len(come), INSERT))
            return
        final = self.spec.final_only
        if not final:
            self._emit_alone(other.rows(found), filled(len(found), DELETE), 1 - index)
        counts = np.bincount(positions, minlength=records.num_rows) if side.counted else None
        kinds: Kinds | None = None if signs is None else np.where(signs < 0, DELETE, INSERT).astype(np.int8)
        self._emit_pairs(records, kinds, positions, slots, counts, index)
        if not final:
            self._emit_alone(other.rows(lost), filled(len(lost), INSERT), 1 - index)

    def _emit_semi(self, records: pa.RecordBatch, kinds: Kinds | None, counts: Int64Array | None) -> None:
        """Left rows that have a match (ANTI: that have none)."""
        assert counts is not None
        if self._anti and self.spec.final_only:
            return
        chosen = np.flatnonzero(counts == 0 if self._anti else counts > 0)
        if len(chosen):
            self._emit_rows(taken(records, chosen), None if kinds is None else kinds[chosen])

    def _without_keys(self, records: pa.RecordBatch, kinds: Kinds | None, index: int) -> None:
        """Rows with NULL in a key: they never match, so nothing will change what comes of them now."""
        if self._outer[index]:
            self._emit_alone(list(records.columns), kinds, index)
        elif self._anti and index == _LEFT:
            self._emit_rows(list(records.columns), kinds)

    def _emit_alone(self, columns: list[pa.Array], kinds: Kinds | None, index: int) -> None:
        """Rows of one side with NULLs beside."""
        if not columns or not len(columns[0]):
            return
        if self._anti:
            self._emit_rows(columns, kinds)
            return
        other: RowType = self._sides[1 - index].spec.type
        self._emit_both(columns, nulls(other, len(columns[0])), kinds, index)

    def _emit_both(self, mine: list[pa.Array], theirs: list[pa.Array], kinds: Kinds | None, index: int) -> None:
        self.emit_columns([*mine, *theirs] if index == _LEFT else [*theirs, *mine], kinds)

    def _emit_rows(self, columns: list[pa.Array], kinds: Kinds | None) -> None:
        if columns and len(columns[0]):
            self.emit_columns(columns, kinds)
