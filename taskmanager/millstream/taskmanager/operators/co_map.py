"""co-map and co-flat-map: one function for each of two inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.errors import RecordTypeError
from millstream.core.graph.specs import ChainedOperator, CoFlatMapSpec, CoMapSpec
from millstream.taskmanager.operators.keyed import KeyedOperator
from millstream.taskmanager.operators.user_code import call_each


class CoMapOperator(KeyedOperator):
    """A result that is None is dropped, as in PyFlink. On keyed inputs the function has keyed state."""

    def __init__(self, chained: ChainedOperator, spec: CoMapSpec) -> None:
        super().__init__(chained, [spec.function])
        self._methods = [spec.function.map1, spec.function.map2]

    def process(self, batch: Batch, input_index: int) -> None:
        method = self._methods[input_index]
        emit_parts(self, batch, input_index, lambda value: () if (made := method(value)) is None else (made,), method)


class CoFlatMapOperator(KeyedOperator):
    """Any number out for each record of either input."""

    def __init__(self, chained: ChainedOperator, spec: CoFlatMapSpec) -> None:
        super().__init__(chained, [spec.function])
        self._methods = [spec.function.flat_map1, spec.function.flat_map2]

    def process(self, batch: Batch, input_index: int) -> None:
        method = self._methods[input_index]

        def expand(value: Any) -> tuple[Any, ...]:
            returned = method(value)
            if returned is None:
                return ()
            if not hasattr(returned, "__iter__"):
                raise RecordTypeError(
                    f"operator {self.chained.name!r} returned {returned!r:.200}; "
                    f"flat_map must return an iterable or None"
                )
            return tuple(returned)

        emit_parts(self, batch, input_index, expand, method)


def emit_parts(operator: KeyedOperator, batch: Batch, input_index: int, expand: Any, described: Any) -> None:
    """Emit what ``expand`` makes of each record, with the record's time; sets the key for keyed state."""
    rows, keys = operator.rows_and_keys(batch, input_index)
    if operator.chained.key_selectors[input_index] is None:
        parts = call_each(expand, rows.values, operator.chained, described)
    else:
        backend, remaining = operator.backend, iter(keys)

        def expand_keyed(value: Any) -> tuple[Any, ...]:
            backend.current_key = next(remaining)
            made: tuple[Any, ...] = expand(value)
            return made

        parts = call_each(expand_keyed, rows.values, operator.chained, described)
    timestamps = rows.timestamps
    if timestamps is not None:
        timestamps = np.repeat(timestamps, list(map(len, parts)))
    operator.output.emit(ObjectBatch([value for part in parts for value in part], timestamps))
