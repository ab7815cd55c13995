"""Functions called with the key at hand: co-map and co-flat-map, and map, filter, flat_map that use keyed state.

Slower than the operators of ``stateless.py``, which is why plain functions go there.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.graph.specs import ChainedOperator
from millstream.taskmanager.operators.keyed import KeyedOperator
from millstream.taskmanager.operators.user_code import NO_RECORD, WrongReturn, wrap_user_error


class PerRowOperator(KeyedOperator):
    """Calls one method of the function for each record of an input; its results have the record's time."""

    method_names: tuple[str, ...]
    """One an input."""

    def __init__(self, chained: ChainedOperator, spec: Any) -> None:
        super().__init__(chained, [spec.function])
        self._methods: list[Callable[[Any], Any]] = [getattr(spec.function, name) for name in self.method_names]

    @abstractmethod
    def collect(self, value: Any, returned: Any, results: list[Any]) -> None:
        """Append what the record ``value`` becomes. Raises ``WrongReturn``."""

    def process(self, batch: Batch, input_index: int) -> None:
        rows, keys = self.rows_and_keys(batch, input_index)
        method, backend, collect = self._methods[input_index], self.backend, self.collect
        results: list[Any] = []
        lengths = []
        value: Any = NO_RECORD
        try:
            for key, value in zip(keys, rows.values, strict=True):
                backend.current_key = key
                before = len(results)
                collect(value, method(value), results)
                lengths.append(len(results) - before)
        except Exception as error:
            raise wrap_user_error(error, chained=self.chained, function=method, record=value) from error
        timestamps = None if rows.timestamps is None else np.repeat(rows.timestamps, lengths)
        self.output.emit(ObjectBatch(results, timestamps))


class KeyedMapOperator(PerRowOperator):
    """A rich map function on a keyed stream."""

    method_names = ("map",)

    def collect(self, value: Any, returned: Any, results: list[Any]) -> None:
        results.append(returned)


class KeyedFilterOperator(PerRowOperator):
    """A rich filter function on a keyed stream."""

    method_names = ("filter",)

    def collect(self, value: Any, returned: Any, results: list[Any]) -> None:
        if returned:
            results.append(value)


class KeyedFlatMapOperator(PerRowOperator):
    """A rich flat_map function on a keyed stream."""

    method_names = ("flat_map",)

    def collect(self, value: Any, returned: Any, results: list[Any]) -> None:
        extend_with(results, returned)


class CoMapOperator(PerRowOperator):
    """A result that is None is dropped, as in PyFlink. On keyed inputs the function has keyed state."""

    method_names = ("map1", "map2")

    def collect(self, value: Any, returned: Any, results: list[Any]) -> None:
        if returned is not None:
            results.append(returned)


class CoFlatMapOperator(PerRowOperator):
    """Any number out for each record of either input."""

    method_names = ("flat_map1", "flat_map2")

    def collect(self, value: Any, returned: Any, results: list[Any]) -> None:
        extend_with(results, returned)


def extend_with(results: list[Any], returned: Any) -> None:
    """Append what a flat_map returned. Raises ``WrongReturn`` for what cannot be gone through."""
    if returned is None:
        return
    if not hasattr(returned, "__iter__"):
        raise WrongReturn(returned, "flat_map must return an iterable or None")
    results.extend(returned)
