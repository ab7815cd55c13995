"""From event numbers to a record batch with the columns that are wanted, nested or as leaves."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.connectors.nexmark.fields import KindRows
from millstream.connectors.nexmark.model import EventKind, Events, NexmarkModel
from millstream.core.table.projection import zero_column_batch

Mask = npt.NDArray[np.bool_]


class NexmarkGenerator:
    """Makes the columns of ``schema``: ``event_type``, the structs ``person``, ``auction``, ``bid``, or a leaf of one
    named by its path (``bid.price``). Fields that no column needs are not made. Leaves and structs are null in the
    rows of other kinds.
    """

    def __init__(self, model: NexmarkModel, schema: pa.Schema) -> None:
        self.model = model
        self.schema = schema

    def batch(self, events: Events) -> pa.RecordBatch:
        """The rows of ``events``, in that order."""
        rows = _MixedRows(self.model, events)
        if not len(self.schema):
            return zero_column_batch(len(events))
        return pa.RecordBatch.from_arrays([rows.column(field) for field in self.schema], schema=self.schema)


class _MixedRows:
    """Events of all kinds."""

    def __init__(self, model: NexmarkModel, events: Events) -> None:
        self._model = model
        self._events = events
        self._kinds = model.kinds(events)
        self._of_kind: dict[EventKind, _Spread] = {}

    def column(self, field: pa.Field) -> pa.Array:
        if field.name == "event_type":
            return pa.array(self._kinds)
        column, _, leaf = field.name.partition(".")
        spread = self._spread(EventKind[column.upper()])
        if leaf:
            return spread.leaf(leaf)
        children = [spread.leaf(child.name) for child in field.type]
        return pa.Array.from_buffers(field.type, len(self._events), [spread.validity], children=children)

    def _spread(self, kind: EventKind) -> _Spread:
        found = self._of_kind.get(kind)
        if found is None:
            mask = self._kinds == kind
            found = self._of_kind[kind] = _Spread(mask, KindRows(self._model, kind, self._events[mask]))
        return found


class _Spread:
    """The fields of one kind over the rows of all kinds: null where ``mask`` is false."""

    def __init__(self, mask: Mask, rows: KindRows) -> None:
        self._mask = mask
        self._rows = rows
        self._whole = bool(mask.all())
        self.validity = None if self._whole else pa.py_buffer(np.packbits(mask, bitorder="little"))
        self._ends: npt.NDArray[Any] | None = None

    def leaf(self, name: str) -> pa.Array:
        dense = self._rows.field(name)
        if self._whole:
            return dense
        count = len(self._mask)
        if pa.types.is_string(dense.type):
            offsets = np.frombuffer(dense.buffers()[1], np.int32, len(dense) + 1)[self._rows_before()]
            return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), dense.buffers()[2], self.validity)
        full = np.zeros(count, np.int64)
        full[self._mask] = np.frombuffer(dense.buffers()[1], np.int64, len(dense))
        return pa.Array.from_buffers(dense.type, count, [self.validity, pa.py_buffer(full)])

    def _rows_before(self) -> npt.NDArray[Any]:
        """How many rows of the kind stand before each row, and in all: null rows are empty texts, so the bytes of
        the dense column serve as they are."""
        if self._ends is None:
            self._ends = np.concatenate(([0], np.cumsum(self._mask)))
        return self._ends
