"""map, filter and flat_map: one list comprehension a batch.

Consecutive ones are separate operators that hand lists to each other: a comprehension over a list is the fastest loop
Python has, it keeps record counts and error attribution exact, and the intermediate lists are short-lived.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from itertools import compress
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.graph.specs import ChainedOperator, FilterSpec, FlatMapSpec, MapSpec
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output
from millstream.taskmanager.operators.rows import as_rows
from millstream.taskmanager.operators.runtime_context import FunctionLife, OperatorRuntimeContext
from millstream.taskmanager.operators.user_code import WrongReturn, call_each, current, wrap_user_error

EXPANDED_ROWS_MAX: Final = 65_536
"""A flat_map that makes much of its records emits several batches; one record's results stay together."""

_ONLY_BOOLEANS: Final = frozenset({bool})


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
    """Keeps the rows for which the function is true, in Python's sense of true."""

    def __init__(self, chained: ChainedOperator, spec: FilterSpec) -> None:
        super().__init__(chained, spec.function, "filter")

    def process(self, batch: Batch, input_index: int) -> None:
        rows = as_rows(batch)
        verdicts = call_each(self.function, rows.values, self.chained)
        if not _ONLY_BOOLEANS.issuperset(map(type, verdicts)):
            verdicts = self._as_booleans(rows.values, verdicts)
        timestamps = rows.timestamps
        if timestamps is not None:
            timestamps = timestamps[np.fromiter(verdicts, np.bool_, len(verdicts))]
        self.output.emit(ObjectBatch(list(compress(rows.values, verdicts)), timestamps))

    def _as_booleans(self, values: list[Any], verdicts: list[Any]) -> list[bool]:
        """Truth of other values; refuses those that cannot have been meant (a generator is always true)."""
        booleans = []
        for value, verdict in zip(values, verdicts, strict=True):
            try:
                if inspect.isgenerator(verdict) or inspect.iscoroutine(verdict) or callable(verdict):
                    raise WrongReturn(verdict, "filter must return a bool")
                booleans.append(bool(verdict))
            except (ValueError, TypeError, WrongReturn) as error:
                wrong = (
                    error if isinstance(error, WrongReturn) else WrongReturn(verdict, f"filter needs a bool: {error}")
                )
                raise wrap_user_error(wrong, chained=self.chained, function=self.function, record=value) from error
        return booleans


class FlatMapOperator(StatelessOperator):
    """Any number out for each in. What a record makes is taken at once: the function may use its list again."""

    def __init__(self, chained: ChainedOperator, spec: FlatMapSpec) -> None:
        super().__init__(chained, spec.function, "flat_map")

    def process(self, batch: Batch, input_index: int) -> None:
        rows = as_rows(batch)
        timestamps = rows.timestamps
        pending = iter(rows.values)
        start = 0
        while start < rows.num_rows:
            results, ends = self._expand(rows.values, pending)
            stop = start + len(ends)
            times = None if timestamps is None else np.repeat(timestamps[start:stop], _lengths(ends))
            self.output.emit(ObjectBatch(results, times))
            start = stop

    def _expand(self, values: list[Any], pending: Iterator[Any]) -> tuple[list[Any], list[int]]:
        """Results of the next records, as many as fit into one batch, and where those of each record end."""
        function = self.function
        results: list[Any] = []
        ends: list[int] = []
        extend, mark = results.extend, ends.append
        returned = None
        try:
            for value in pending:
                returned = function(value)
                if returned is not None:
                    extend(returned)
                rows = len(results)
                mark(rows)
                if rows >= EXPANDED_ROWS_MAX:
                    break
        except Exception as error:
            if isinstance(error, TypeError) and not hasattr(returned, "__iter__") and returned is not None:
                error = WrongReturn(returned, "flat_map must return an iterable or None")
            record = current(values, pending)
            raise wrap_user_error(error, chained=self.chained, function=function, record=record) from error
        return results, ends


def _lengths(ends: list[int]) -> npt.NDArray[np.int64]:
    lengths: npt.NDArray[np.int64] = np.fromiter(ends, np.int64, len(ends))
    lengths[1:] -= lengths[:-1].copy()
    return lengths
