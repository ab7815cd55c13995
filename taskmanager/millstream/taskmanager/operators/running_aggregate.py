"""sum, min and max of a column of Arrow batches: state in arrays, one kernel call a batch.

It takes records that are columns of numbers with an integer or text key. Whoever uses it keeps the general way at hand
for the rest: nulls, other types, and integer sums that may leave 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.kernels.hash_index import Int64Array, Int64Index
from millstream.core.kernels.running import RUNNING
from millstream.taskmanager.state.chunks import RowChunk

_SUM_BOUND: Final = float(2**62)
_ROOM_FIRST: Final = 1024
_PYTHON_TYPES: Final = {pa.int64(): int, pa.float64(): float, pa.string(): str}
_NUMBERS: Final = {pa.int64(): np.int64, pa.float64(): np.float64}


class RunningAggregate:
    """The running ``kind`` of the column ``field`` for each value of the column ``key``.

    Other columns keep the value of the key's first record.
    """

    def __init__(self, kind: str, key: str, field: str) -> None:
        self._kind = kind
        self._run = RUNNING[kind]
        self._key = key
        self._field = field
        self._schema: pa.Schema | None = None
        self._index: _Index = _IntegerKeys()
        self._totals: npt.NDArray[Any] = np.empty(0, np.int64)
        self._firsts: dict[str, npt.NDArray[Any]] = {}
        self._bound = 0.0
        """No total is further from 0 than this."""
        self._changed: npt.NDArray[np.bool_] = np.empty(0, np.bool_)
        """By slot: since the last snapshot."""
        self._taken: dict[int, Int64Array] = {}
        """By checkpoint that is not confirmed: the slots that had changed."""

    def __len__(self) -> int:
        return self._index.size

    @staticmethod
    def warm_up() -> None:
        """Import and compile now what would otherwise delay the first batch."""
        for dtype in (np.int64, np.float64):
            for kind in RUNNING:
                records = pa.RecordBatch.from_pydict({"k": np.zeros(1, np.int64), "v": np.zeros(1, dtype)})
                RunningAggregate(kind, "k", "v").add(records)

    def add(self, records: pa.RecordBatch) -> pa.RecordBatch | None:
        """The records with the running aggregate in their field; None, and nothing changed, if they do not fit."""
        if not self._fits(records):
            return None
        values = records.column(self._field).to_numpy()
        if self._kind == "sum" and values.dtype == np.int64:
            bound = self._bound + float(np.abs(values.astype(np.float64)).sum())
            if bound >= _SUM_BOUND:
                return None
            self._bound = bound
        known = self._index.size
        slots, new_rows = self._index.slots_of(records.column(self._key))
        self._reserve(self._index.size)
        out = np.empty(len(values), values.dtype)
        self._run(slots, values, self._totals, known, out)
        self._changed[slots] = True
        columns = []
        for name in records.schema.names:
            if name == self._field:
                columns.append(pa.array(out))
            elif name == self._key:
                columns.append(records.column(name))
            else:
                firsts = self._firsts[name]
                if len(new_rows):
                    firsts[known : self._index.size] = records.column(name).to_numpy()[new_rows]
                columns.append(pa.array(firsts[slots]))
        return pa.RecordBatch.from_arrays(columns, schema=records.schema)

    def rows(self) -> Iterator[tuple[Any, dict[str, Any]]]:
        """``(key, its last record)``, as the general way keeps them."""
        taken = self.copy(np.arange(self._index.size))
        if taken is not None:
            yield from taken.rows()

    def copy(self, slots: Int64Array) -> TakenRows | None:
        """The rows of some slots as they are now; None before the first record."""
        if self._schema is None:
            return None
        keys = self._index.keys(slots)
        columns = [
            keys if name == self._key else (self._totals if name == self._field else self._firsts[name])[slots]
            for name in self._schema.names
        ]
        return TakenRows(self._schema.names, keys, columns)

    def take(self, checkpoint_id: int, full: bool) -> TakenRows | None:
        """For a snapshot: all rows, or those that changed since the last confirmed one."""
        changed = np.flatnonzero(self._changed[: self._index.size])
        self._changed[:] = False
        self._taken[checkpoint_id] = changed
        if full:
            return self.copy(np.arange(self._index.size))
        return self.copy(np.unique(np.concatenate(list(self._taken.values()))))

    def confirm(self, checkpoint_id: int) -> None:
        """That checkpoint is complete."""
        self._taken = {taken: slots for taken, slots in self._taken.items() if taken > checkpoint_id}

    def load(self, rows: dict[Any, Any], schema: pa.Schema) -> bool:
        """Continue from ``rows()`` of an earlier one; False, and nothing changed, if they do not fit ``schema``."""
        values = list(rows.values())
        types = {name: _PYTHON_TYPES.get(schema.field(name).type) for name in schema.names}
        for row in values:
            if type(row) is not dict or {name: type(value) for name, value in row.items()} != types:
                return False
        try:
            records = pa.RecordBatch.from_pylist(values, schema)
        except (pa.ArrowInvalid, OverflowError):
            return False  # an integer of more than 64 bits
        other = RunningAggregate(self._kind, self._key, self._field)
        if other.add(records) is None or len(other) != len(rows):
            return False
        other._changed[:] = False
        self.__dict__.update(other.__dict__)
        return True

    def _fits(self, records: pa.RecordBatch) -> bool:
        if self._schema is None:
            if not self._accepts(records.schema):
                return False
        elif not records.schema.equals(self._schema):
            return False
        if any(column.null_count for column in records.columns):
            return False
        if self._schema is None:
            self._schema = records.schema
            self._index = _IntegerKeys() if records.schema.field(self._key).type == pa.int64() else _TextKeys()
            for name in records.schema.names:
                dtype = _NUMBERS.get(records.schema.field(name).type)
                if name == self._field:
                    self._totals = np.empty(_ROOM_FIRST, dtype)
                    self._changed = np.zeros(_ROOM_FIRST, np.bool_)
                elif name != self._key:
                    self._firsts[name] = np.empty(_ROOM_FIRST, dtype)
        return True

    def _accepts(self, schema: pa.Schema) -> bool:
        if self._key == self._field or self._key not in schema.names or self._field not in schema.names:
            return False
        if schema.field(self._key).type not in (pa.int64(), pa.string()):
            return False
        return all(schema.field(name).type in _NUMBERS for name in schema.names if name != self._key)

    def _reserve(self, slots: int) -> None:
        room = len(self._totals)
        if slots <= room:
            return
        while room < slots:
            room *= 2
        self._totals = _grown(self._totals, room)
        self._changed = _grown(self._changed, room)
        self._changed[slots:] = False
        self._firsts = {name: _grown(column, room) for name, column in self._firsts.items()}


class TakenRows:
    """Rows at one moment, in columns. Implements ``CapturedPart``."""

    spaced = False

    def __init__(self, names: list[str], keys: Keys, columns: list[Keys]) -> None:
        self.table_name = ""
        self._names = names
        self._keys = keys
        self._columns = columns
        self._position = 0

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[Any, dict[str, Any]]]:
        """``(key, record)`` of the rows ``start`` to ``stop``."""
        columns = [_listed(column[start:stop]) for column in self._columns]
        for key, values in zip(_listed(self._keys[start:stop]), zip(*columns, strict=True), strict=True):
            yield key, dict(zip(self._names, values, strict=True))

    def copy(self, keys: Sequence[Any]) -> None:
        """Rows were copied when they were taken."""

    def take(self, count: int) -> RowChunk | None:
        rows = list(self.rows(self._position, self._position + count))
        self._position += count
        if not rows:
            return None
        return RowChunk(self.table_name, "value", False, False, [key for key, _ in rows], [row for _, row in rows], [])


Keys = npt.NDArray[Any] | list[Any]


def _listed(column: Keys) -> list[Any]:
    return column if isinstance(column, list) else column.tolist()


class _Index(Protocol):
    @property
    def size(self) -> int: ...

    def slots_of(self, column: pa.Array) -> tuple[Int64Array, Int64Array]: ...

    def keys(self, slots: Int64Array) -> Keys: ...


class _IntegerKeys:
    def __init__(self) -> None:
        self._index = Int64Index()

    @property
    def size(self) -> int:
        return self._index.size

    def slots_of(self, column: pa.Array) -> tuple[Int64Array, Int64Array]:
        return self._index.slots_of(column.to_numpy())

    def keys(self, slots: Int64Array) -> Keys:
        return self._index.keys()[slots]


class _TextKeys:
    """Looks up each distinct text of a batch once."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._names: list[str] = []

    @property
    def size(self) -> int:
        return len(self._slots)

    def slots_of(self, column: pa.Array) -> tuple[Int64Array, Int64Array]:
        encoded = column.dictionary_encode()  # distinct values in order of appearance
        codes = encoded.indices.to_numpy()
        slots, before = self._slots, len(self._slots)
        texts = encoded.dictionary.to_pylist()
        found = [slots.setdefault(text, len(slots)) for text in texts]
        self._names += [text for text, slot in zip(texts, found, strict=True) if slot >= before]
        of_code: Int64Array = np.array(found, np.int64)
        first_of_code: Int64Array = np.empty(len(of_code), np.int64)
        first_of_code[codes[::-1]] = np.arange(len(codes) - 1, -1, -1)
        return of_code[codes], first_of_code[of_code >= before]

    def keys(self, slots: Int64Array) -> Keys:
        names = self._names
        return [names[slot] for slot in slots.tolist()]


def _grown(array: npt.NDArray[Any], room: int) -> npt.NDArray[Any]:
    larger = np.empty(room, array.dtype)
    larger[: len(array)] = array
    return larger
