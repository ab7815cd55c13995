"""What an aggregate function is to an operator: columns of state, and kernels that add, merge and read them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.kernels.accumulating import ALL_ADDED
from millstream.core.kernels.arrow_views import NOTHING_NULL, valid_of
from millstream.core.kernels.groups import Groups
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.taskmanager.state.columnar.table import ColumnTable

Int64Array = npt.NDArray[np.int64]
Int8Array = npt.NDArray[np.int8]
BoolArray = npt.NDArray[np.bool_]


class LazyColumns(Sequence[pa.Array]):
    """``count`` columns; each is made when somebody asks for it, and once."""

    def __init__(self, count: int, make: Callable[[int], pa.Array]) -> None:
        self._count = count
        self._make = make
        self._made: dict[int, pa.Array] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[position] for position in range(*index.indices(len(self)))]
        if index >= self._count:
            raise IndexError(index)
        made = self._made.get(index)
        if made is None:
            made = self._made[index] = self._make(index)
        return made


class ChosenColumns(LazyColumns):
    """Some rows of columns."""

    def __init__(self, columns: Sequence[pa.Array], indices: pa.Array) -> None:
        super().__init__(len(columns), lambda index: columns[index].take(indices))


class AggregateRows:
    """Rows for accumulators: all arrays but ``groups.slots`` have one element a row.

    ``keys`` are the columns of the group, ``columns`` those of the operator's input; ``signs`` is 1 or -1 by row, empty
    where all rows are added.
    """

    def __init__(
        self,
        slots: Int64Array,
        groups: Groups,
        keys: Sequence[pa.Array],
        columns: Sequence[pa.Array],
        signs: Int8Array = ALL_ADDED,
    ) -> None:
        self.slots = slots
        self.groups = groups
        self.keys = keys
        self.columns = columns
        self.signs = signs

    def select(self, positions: Int64Array, signs: Int8Array | None = None) -> AggregateRows:
        """The rows at ``positions``; ``signs`` are theirs, instead of those they have."""
        indices = pa.array(positions)
        if signs is None:
            signs = self.signs[positions] if len(self.signs) else ALL_ADDED
        return AggregateRows(
            self.slots[positions],
            Groups(self.groups.of_rows[positions], self.groups.slots),
            ChosenColumns(self.keys, indices),
            ChosenColumns(self.columns, indices),
            signs,
        )


@dataclass(frozen=True)
class Stores:
    """Makes the further tables of an accumulator: ``table(name, key fields, value fields)``, where the key begins with
    the fields of the group."""

    group: ColumnTable
    table: Callable[[str, list[pa.Field], list[pa.Field]], ColumnTable]


class Accumulator(ABC):
    """One call. ``position`` tells its fields from those of other calls of the same operator."""

    columns_only: ClassVar[bool] = True
    """Whether all it knows of a group is in columns of the group's row, so that the row may leave memory."""

    def __init__(self, call: AggregateCall, position: int) -> None:
        self.call = call
        self.position = position
        self.kind: Final[pa.DataType] = call.type.arrow()

    def fields(self) -> list[pa.Field]:
        """Its columns in the table of groups."""
        return []

    def logs(self) -> list[str]:
        """Those of its further tables that are logs: nobody looks their rows up by key."""
        return []

    @abstractmethod
    def bind(self, stores: Stores) -> None:
        """Find its columns, once, after state was restored."""

    def start(self, slots: Int64Array) -> None:
        """New groups."""

    @abstractmethod
    def add(self, rows: AggregateRows, valid: BoolArray) -> None:
        """Add rows, or take them back; ``valid`` says which pass the filter, empty where all do."""

    def running(self, rows: AggregateRows, valid: BoolArray) -> pa.Array | None:
        """Add rows one by one: the result of its group after each of them. None, and nothing added, if it cannot."""
        return None

    @property
    def runs(self) -> bool:
        """Whether ``running`` gives a result."""
        return type(self).running is not Accumulator.running

    @abstractmethod
    def merge(self, slots: Int64Array, keys: Sequence[pa.Array], other: Any, other_slots: Int64Array) -> None:
        """Add to ``slots`` (which may repeat, and have ``keys``) what an accumulator of the same call has at
        ``other_slots``."""

    @abstractmethod
    def result(self, slots: Int64Array) -> pa.Array:
        """The values at ``slots``, of the type of the call."""

    def remove(self, slots: Int64Array) -> None:
        """Groups that are no more."""

    def name(self, part: str) -> str:
        """Of a field."""
        return f"a{self.position}_{part}"


def argument(rows: AggregateRows, call: AggregateCall, index: int = 0) -> pa.Array:
    """A column the call reads, in one piece."""
    column = rows.columns[call.arguments[index]]
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def both(first: BoolArray, second: BoolArray) -> BoolArray:
    """Where both hold; an empty mask holds everywhere."""
    if not len(first):
        return second
    return first & second if len(second) else first


def non_null(rows: AggregateRows, call: AggregateCall, valid: BoolArray) -> BoolArray:
    """``valid``, and no argument of the call is NULL."""
    for index in range(len(call.arguments)):
        valid = both(valid, valid_of(argument(rows, call, index)))
    return valid


def filter_of(rows: AggregateRows, call: AggregateCall) -> BoolArray:
    """Which rows pass FILTER; empty where all do."""
    if call.filter is None:
        return NOTHING_NULL
    mask = rows.columns[call.filter]
    if mask.null_count:
        mask = mask.fill_null(False)
    passes: BoolArray = mask.to_numpy(zero_copy_only=False)
    return NOTHING_NULL if passes.all() else passes
