"""What a task gives each of its operators (``OperatorContext``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from millstream.core.clock import Clock
from millstream.core.graph.specs import ChainedOperator
from millstream.core.ids import SubtaskId, VertexId
from millstream.core.metrics.registry import OperatorMetricGroup
from millstream.core.subtask_names import subtask_name


@dataclass(frozen=True)
class SubtaskInfo:
    """Who a task is."""

    job_id: str
    job_name: str
    vertex_id: str
    vertex_name: str
    subtask_index: int
    attempt: int
    parallelism: int
    max_parallelism: int

    def __str__(self) -> str:
        return subtask_name(self.vertex_name, self.subtask_index, self.parallelism)

    def identity(self) -> dict[str, Any]:
        """As ``core/protocol_log`` names it."""
        subtask = SubtaskId(VertexId(self.vertex_id), self.subtask_index)
        return {"job": self.job_id, "subtask": str(subtask), "attempt": self.attempt}


class TaskServices(Protocol):
    """What operators may ask of their task."""

    def schedule(self, operator_index: int, wall_ms: int) -> None: ...

    def send_to_coordinator(
        self, operator_id: str, kind: str, payload: bytes, reply: Callable[[bool, bytes], None]
    ) -> None: ...

    def wake_up(self) -> None: ...


class TaskOperatorContext:
    """Implements ``OperatorContext`` for operator number ``operator_index`` of a task."""

    def __init__(
        self,
        info: SubtaskInfo,
        chained: ChainedOperator,
        operator_index: int,
        clock: Clock,
        configuration: dict[str, Any],
        services: TaskServices,
    ) -> None:
        self.job_id = info.job_id
        self.job_name = info.job_name
        self.vertex_name = info.vertex_name
        self.subtask_index = info.subtask_index
        self.parallelism = info.parallelism
        self.max_parallelism = info.max_parallelism
        self.attempt = info.attempt
        self.chained = chained
        self.clock = clock
        self.metrics = OperatorMetricGroup()
        self.configuration = configuration
        self._operator_index = operator_index
        self._services = services

    def schedule(self, wall_ms: int) -> None:
        self._services.schedule(self._operator_index, wall_ms)

    def send_to_coordinator(self, kind: str, payload: bytes, reply: Callable[[bool, bytes], None]) -> None:
        self._services.send_to_coordinator(self.chained.operator_id, kind, payload, reply)

    def wake_up(self) -> None:
        self._services.wake_up()
