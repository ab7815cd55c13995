"""map, filter and flat_map: one list comprehension a batch.

Consecutive ones are separate operators that hand lists to each other: a comprehension over a list is the fastest loop
Python has, it keeps record counts and error attribution exact, and the intermediate lists are short-lived.
"""

from __future__ import annotations

from itertools import compress
from typing import Any

import numpy as np

from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.errors import RecordTypeError
from millstream.core.graph.specs import ChainedOperator, FilterSpec, FlatMapSpec, MapSpec
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output
from millstream.taskmanager.operators.rows import as_rows
from millstream.taskmanager.operators.runtime_context import FunctionLife, OperatorRuntimeContext
from millstream.taskmanager.operators.user_code import call_each


class StatelessOperator(Operator):
    """Opens and closes the function; subclasses apply it."""

    def __init__(self, chained: ChainedOperator, function: Any, method: str) -> None:
        self.chained = chained
        self.function = getattr(function, method, function)
        self._life = FunctionLife(chained, [function])

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self._life.open(OperatorRuntimeContext(context))

    def close(self) -> None:
        self._life.close()


class MapOperator(StatelessOperator):
    """One out for each in."""

    def __init__(self, chained: ChainedOperator, spec: MapSpec) -> None:
        super().__init__(chained, spec.function, "map")

    def process(self, batch: Batch, input_index: int) -> None:
        rows = as_rows(batch)
        self.output.emit(ObjectBatch(call_each(self.function, rows.values, self.chained), rows.timestamps))


class FilterOperator(StatelessOperator):
    """Keeps the rows for which the function is true."""

    def __init__(self, chained: ChainedOperator, spec: FilterSpec) -> None:
        super().__init__(chained, spec.function, "filter")

    def process(self, batch: Batch, input_index: int) -> None:
        rows = as_rows(batch)
        kept = call_each(self.function, rows.values, self.chained)
        timestamps = rows.timestamps
        if timestamps is not None:
            timestamps = timestamps[np.fromiter(map(bool, kept), np.bool_, len(kept))]
        keys = None if rows.keys is None else list(compress(rows.keys, kept))
        self.output.emit(ObjectBatch(list(compress(rows.values, kept)), timestamps, keys))


class FlatMapOperator(StatelessOperator):
    """Any number out for each in."""

    def __init__(self, chained: ChainedOperator, spec: FlatMapSpec) -> None:
        super().__init__(chained, spec.function, "flat_map")

    def process(self, batch: Batch, input_index: int) -> None:
        rows = as_rows(batch)
        parts = call_each(self._expand, rows.values, self.chained, self.function)
        timestamps = rows.timestamps
        if timestamps is not None:
            timestamps = np.repeat(timestamps, list(map(len, parts)))
        self.output.emit(ObjectBatch([value for part in parts for value in part], timestamps))

    def _expand(self, value: Any) -> list[Any] | tuple[Any, ...]:
        returned = self.function(value)
        if type(returned) is list or type(returned) is tuple:
            return returned
        if returned is None:
            return ()
        if not hasattr(returned, "__iter__"):
            raise RecordTypeError(
                f"the function of operator {self.chained.name!r} (defined at {self.chained.defined_at or 'unknown'}) "
                f"returned {returned!r:.200} of type {type(returned).__name__} for {value!r:.200}; flat_map must return "
                f"an iterable or None"
            )
        return list(returned)
