"""Collects what process functions return, with times, into batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from millstream.core.api.output_tag import OutputTag
from millstream.core.elements.batch import NO_TIMESTAMP_MS, ObjectBatch
from millstream.core.errors import RecordTypeError
from millstream.taskmanager.operators.operator import Output

ROWS_MAX: Final = 8192


class RecordCollector:
    """Values for the main output and for side outputs; ``flush`` makes batches of them."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._values: list[Any] = []
        self._times: list[int] = []
        self._sides: dict[str, tuple[list[Any], list[int]]] = {}

    def take(self, returned: Iterable[Any] | None, time_ms: int | None, operator_name: str) -> None:
        """All that a function returned for one record or timer; ``(OutputTag, value)`` pairs go aside."""
        if returned is None:
            return
        if not hasattr(returned, "__iter__") or isinstance(returned, str | bytes | dict):
            raise RecordTypeError(
                f"the function of operator {operator_name!r} returned {returned!r:.200} of type "
                f"{type(returned).__name__}; it must yield values, or return a list of them or None"
            )
        time = NO_TIMESTAMP_MS if time_ms is None else time_ms
        for item in returned:
            if type(item) is tuple and len(item) == 2 and isinstance(item[0], OutputTag):
                values, times = self._sides.setdefault(item[0].tag_id, ([], []))
                values.append(item[1])
                times.append(time)
            else:
                self._values.append(item)
                self._times.append(time)
                if len(self._values) >= ROWS_MAX:
                    self.flush()

    def flush(self) -> None:
        """Emit what was collected."""
        if self._values:
            values, times = self._values, self._times
            self._values, self._times = [], []
            self._output.emit(_batch(values, times))
        if self._sides:
            sides, self._sides = self._sides, {}
            for tag_id, (values, times) in sides.items():
                self._output.emit_side(tag_id, _batch(values, times))


def _batch(values: list[Any], times: list[int]) -> ObjectBatch:
    column = np.array(times, dtype=np.int64)
    return ObjectBatch(values, None if (column == NO_TIMESTAMP_MS).all() else column)
