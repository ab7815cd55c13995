"""Collects what windows emit and hands it on in batches of bounded size."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from millstream.core.elements.batch import ObjectBatch
from millstream.taskmanager.operators.operator import Output

EMITTED_ROWS_MAX: Final = 4096
"""A firing of a million keys leaves as batches of at most this many rows."""


class Emission:
    """Rows waiting to leave, main and side; ``flush`` at the end of every call of the operator."""

    def __init__(self, output: Output, rows_max: int = EMITTED_ROWS_MAX) -> None:
        self._output = output
        self._rows_max = rows_max
        self._values: list[Any] = []
        self._timestamps: list[int] = []
        self._side: dict[str, tuple[list[Any], list[int]]] = {}

    def add(self, value: Any, timestamp_ms: int) -> None:
        """One row to the main output."""
        self._values.append(value)
        self._timestamps.append(timestamp_ms)
        if len(self._values) >= self._rows_max:
            self._flush_main()

    def add_all(self, values: list[Any], timestamp_ms: int) -> None:
        """Many rows of equal event time to the main output."""
        for start in range(0, len(values), self._rows_max):
            chunk = values[start : start + self._rows_max]
            if len(self._values) + len(chunk) > self._rows_max:
                self._flush_main()
            self._values.extend(chunk)
            self._timestamps.extend([timestamp_ms] * len(chunk))

    def add_side(self, tag_id: str, value: Any, timestamp_ms: int) -> None:
        """One row to the side output ``tag_id``."""
        values, timestamps = self._side.setdefault(tag_id, ([], []))
        values.append(value)
        timestamps.append(timestamp_ms)
        if len(values) >= self._rows_max:
            self._flush_side(tag_id)

    def flush(self) -> None:
        """Hand on everything."""
        if self._values:
            self._flush_main()
        for tag_id in list(self._side):
            self._flush_side(tag_id)

    def _flush_main(self) -> None:
        if self._values:
            values, self._values = self._values, []
            timestamps, self._timestamps = self._timestamps, []
            self._output.emit(ObjectBatch(values, np.array(timestamps, dtype=np.int64)))

    def _flush_side(self, tag_id: str) -> None:
        values, timestamps = self._side.pop(tag_id)
        self._output.emit_side(tag_id, ObjectBatch(values, np.array(timestamps, dtype=np.int64)))
