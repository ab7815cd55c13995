"""The surroundings of an operator under test: identity, clock, timers, events to the JobManager."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from millstream.core.clock import Clock
from millstream.core.graph.specs import ChainedOperator
from millstream.core.metrics.registry import OperatorMetricGroup


@dataclass(frozen=True)
class SentEvent:
    """An event the operator sent to the JobManager; answer it with ``reply(accepted, payload)``."""

    kind: str
    payload: bytes
    reply: Callable[[bool, bytes], None]


class HarnessContext:
    """Implements ``OperatorContext`` of the operator contract."""

    def __init__(
        self,
        chained: ChainedOperator,
        clock: Clock,
        *,
        parallelism: int = 1,
        subtask_index: int = 0,
        max_parallelism: int = 128,
        configuration: dict[str, Any] | None = None,
        metrics: OperatorMetricGroup | None = None,
    ) -> None:
        self.job_id = "0" * 32
        self.job_name = "harness"
        self.vertex_name = chained.name
        self.subtask_index = subtask_index
        self.parallelism = parallelism
        self.max_parallelism = max_parallelism
        self.attempt = 0
        self.chained = chained
        self.clock: Clock = clock
        self.metrics = metrics or OperatorMetricGroup()
        self.configuration: dict[str, Any] = configuration or {}
        self.sent_events: list[SentEvent] = []
        self.wake_ups = 0
        self._scheduled: list[int] = []

    def schedule(self, wall_ms: int) -> None:
        heapq.heappush(self._scheduled, wall_ms)

    def send_to_coordinator(self, kind: str, payload: bytes, reply: Callable[[bool, bytes], None]) -> None:
        self.sent_events.append(SentEvent(kind, payload, reply))

    def wake_up(self) -> None:
        self.wake_ups += 1

    def take_scheduled(self, until_ms: int) -> int | None:
        """Remove the earliest time asked for if it is not after ``until_ms``."""
        if not self._scheduled or self._scheduled[0] > until_ms:
            return None
        earliest = heapq.heappop(self._scheduled)
        while self._scheduled and self._scheduled[0] == earliest:
            heapq.heappop(self._scheduled)
        return earliest

    def next_scheduled(self) -> int | None:
        """The earliest time asked for."""
        return self._scheduled[0] if self._scheduled else None

    def take_scheduled_until(self, until_ms: int) -> bool:
        """Remove all times asked for that are not after ``until_ms``; whether there were any."""
        found = False
        while self.take_scheduled(until_ms) is not None:
            found = True
        return found

    def forget_scheduled(self) -> None:
        """A new instance of the operator asks anew."""
        self._scheduled.clear()
