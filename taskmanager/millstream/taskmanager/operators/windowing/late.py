"""What happens to records that come after all their windows are gone: a side output, or a counter."""

from __future__ import annotations

from typing import Any

from millstream.core.metrics.registry import OperatorMetricGroup
from millstream.taskmanager.operators.windowing.emission import Emission


class LateRecords:
    """Records go to the side output ``tag_id``, or are dropped and counted when there is none."""

    def __init__(self, tag_id: str | None, emission: Emission, metrics: OperatorMetricGroup) -> None:
        self._tag_id = tag_id
        self._emission = emission
        self._metrics = metrics

    def take(self, value: Any, timestamp_ms: int) -> None:
        """``value`` is late; it keeps its event time."""
        if self._tag_id is None:
            self._metrics.late_records_dropped += 1
        else:
            self._emission.add_side(self._tag_id, value, timestamp_ms)
