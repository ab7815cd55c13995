"""Collects what process functions return, with times, into batches."""

from __future__ import annotations

from collections.abc import Iterable
from types import GeneratorType
from typing import Any, Final

import numpy as np

from millstream.core.api.output_tag import OutputTag
from millstream.core.elements.batch import NO_TIMESTAMP_MS, ObjectBatch
from millstream.taskmanager.operators.operator import Output
from millstream.taskmanager.operators.user_code import WrongReturn

ROWS_MAX: Final = 8192
"""What one record or timer makes leaves in batches of at most this many rows, however much it is."""

_EXPECTED: Final = "it must yield values, or return a list of them or None"


class RecordCollector:
    """Values for the main output and for side outputs; ``flush`` makes batches of them."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._values: list[Any] = []
        self._times: list[int] | None = None  # None while no value has a time
        self._sides: dict[str, tuple[list[Any], list[int]]] = {}

    def take(self, returned: Iterable[Any], time_ms: int | None) -> None:
        """All that a function returned for one record or timer; ``(OutputTag, value)`` pairs go aside.

        Raises ``WrongReturn`` for what cannot be gone through, and what the user's generator raises.
        """
        if type(returned) is not GeneratorType and type(returned) is not list:
            _check(returned)
        values, times = self._values, self._times
        if times is None and time_ms is not None:
            times = self._times = [NO_TIMESTAMP_MS] * len(values)
        for item in returned:
            if type(item) is tuple and len(item) == 2 and isinstance(item[0], OutputTag):
                self._take_aside(item[0].tag_id, item[1], time_ms)
                continue
            values.append(item)
            if times is not None:
                times.append(NO_TIMESTAMP_MS if time_ms is None else time_ms)
            if len(values) >= ROWS_MAX:
                self._flush_main()
                values, times = self._values, self._times
                if time_ms is not None:
                    times = self._times = []

    def _take_aside(self, tag_id: str, value: Any, time_ms: int | None) -> None:
        values, times = self._sides.setdefault(tag_id, ([], []))
        values.append(value)
        times.append(NO_TIMESTAMP_MS if time_ms is None else time_ms)
        if len(values) >= ROWS_MAX:
            del self._sides[tag_id]
            self._output.emit_side(tag_id, _batch(values, times))

    def flush(self) -> None:
        """Emit what was collected."""
        if self._values:
            self._flush_main()
        if self._sides:
            sides, self._sides = self._sides, {}
            for tag_id, (values, times) in sides.items():
                self._output.emit_side(tag_id, _batch(values, times))

    def _flush_main(self) -> None:
        values, times = self._values, self._times
        self._values, self._times = [], None
        self._output.emit(_batch(values, times))


def _check(returned: Any) -> None:
    if not hasattr(returned, "__iter__") or isinstance(returned, str | bytes | dict):
        raise WrongReturn(returned, _EXPECTED)


def _batch(values: list[Any], times: list[int] | None) -> ObjectBatch:
    if times is None:
        return ObjectBatch(values)
    column = np.fromiter(times, np.int64, len(times))
    return ObjectBatch(values, None if (column == NO_TIMESTAMP_MS).all() else column)
