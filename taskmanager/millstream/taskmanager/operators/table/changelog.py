"""Old and new rows of changed keys as one changelog: -U beside +U, +I for new keys, -D for those that are gone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.kernels.arrow_views import fixed_dtype, fixed_of, valid_of
from millstream.taskmanager.operators.table.aggregates.results import fixed_array
from millstream.taskmanager.operators.table.row_kinds import DELETE, INSERT, UPDATE_AFTER, UPDATE_BEFORE, Kinds
from millstream.taskmanager.state.columnar.row_encoding import encode_rows, rows_equal

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]


class Changes:
    """What became of keys: ``had`` says which had a row before, ``has`` which have one now, ``same`` whose is equal.

    ``update_before``: whether -U rows are wanted."""

    def __init__(self, had: BoolArray, has: BoolArray, same: BoolArray, update_before: bool) -> None:
        updated = had & has & ~same
        gone = had & ~has
        old = (updated | gone) if update_before else gone
        new = (has & ~had) | updated
        self.old: Int64Array = np.flatnonzero(old)
        """The keys whose old row is emitted."""
        self.new: Int64Array = np.flatnonzero(new)
        """The keys whose new row is emitted."""
        ends = np.cumsum(old.astype(np.int64) + new)
        self._old_places = (ends - 1 - new)[old]
        self._new_places = (ends - 1)[new]
        self.rows = int(ends[-1]) if len(ends) else 0
        self.kinds: Kinds = np.empty(self.rows, np.int8)
        """Of the rows emitted."""
        self.kinds[self._old_places] = np.where(updated, UPDATE_BEFORE, DELETE)[old]
        self.kinds[self._new_places] = np.where(updated, UPDATE_AFTER, INSERT)[new]

    def combined(self, old: pa.Array, new: pa.Array) -> pa.Array:
        """One column of the rows emitted, from its values of the keys ``self.old`` and ``self.new``."""
        if not len(old):
            return new
        if not len(new):
            return old
        dtype = fixed_dtype(new.type)
        if dtype is not None:
            values = np.empty(self.rows, dtype)
            values[self._old_places] = fixed_of(old, dtype)
            values[self._new_places] = fixed_of(new, dtype)
            if not old.null_count and not new.null_count:
                return fixed_array(values, None, new.type)
            valid = np.ones(self.rows, np.bool_)
            for places, column in ((self._old_places, old), (self._new_places, new)):
                if column.null_count:
                    valid[places] = valid_of(column)
            return fixed_array(values, valid, new.type)
        order: Int64Array = np.empty(self.rows, np.int64)
        order[self._old_places] = np.arange(len(old))
        order[self._new_places] = np.arange(len(old), len(old) + len(new))
        return pa.concat_arrays([old, new]).take(pa.array(order))


def equal_rows(old: Sequence[pa.Array], new: Sequence[pa.Array]) -> BoolArray:
    """Whether row ``i`` of one equals row ``i`` of the other; NULL equals NULL, NaN equals NaN."""
    same: BoolArray = np.ones(len(old[0]) if old else 0, np.bool_)
    for before, after in zip(old, new, strict=True):
        same &= _equal(before, after)
    return same


def _equal(old: pa.Array, new: pa.Array) -> BoolArray:
    dtype = fixed_dtype(new.type)
    if dtype is None or dtype.kind == "f" or old.null_count or new.null_count:
        return rows_equal(encode_rows([old], len(old)), encode_rows([new], len(new)))
    equal: BoolArray = fixed_of(old, dtype) == fixed_of(new, dtype)
    return equal
