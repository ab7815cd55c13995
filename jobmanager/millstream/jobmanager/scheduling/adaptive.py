"""The adaptive scheduler: a job runs with as many subtasks as there are slots for, up to what was asked for. Pure.

It waits a little while slots come and go: a job that starts with half of the slots only to be stopped a second later
for the other half has gained nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millstream.jobmanager.scheduling.placement import place
from millstream.jobmanager.scheduling.rescaling import Parallelism, capped, parallelism_of
from millstream.proto.v1 import job_graph_pb2


@dataclass(frozen=True)
class AdaptiveSettings:
    """Times in seconds."""

    is_on: bool = False
    starting_stable_s: float = 10.0
    """So long the number of slots must not change before a job starts with fewer than it wants."""
    running_stable_s: float = 10.0
    """The same before a running job grows."""
    cooldown_s: float = 30.0
    """Between two changes of a running job."""

    @classmethod
    def of_cluster(cls, configuration: Mapping[str, Any]) -> AdaptiveSettings:
        """From the flat settings, whose durations are milliseconds."""

        def seconds(key: str, default: float) -> float:
            value = configuration.get(f"jobmanager.adaptive-scheduler.{key}")
            return default if value is None else value / 1000

        return cls(
            configuration.get("jobmanager.scheduler") == "adaptive",
            seconds("submission.resource-stabilization-timeout", cls.starting_stable_s),
            seconds("executing.resource-stabilization-timeout", cls.running_stable_s),
            seconds("executing.cooldown-after-rescaling", cls.cooldown_s),
        )


class AdaptiveScheduler:
    """Of one job. ``wanted`` is what was asked for; times are seconds of one monotonic clock."""

    def __init__(self, graph: job_graph_pb2.JobGraph, settings: AdaptiveSettings) -> None:
        self.wanted = parallelism_of(graph)
        self._graph = graph
        self._settings = settings
        self._available = -1
        self._since_s = 0.0
        self._changed_s = float("-inf")

    def changed(self, now_s: float) -> None:
        """The job was given another number of subtasks."""
        self._changed_s = now_s

    def plan(self, available: int, running: bool, now_s: float) -> Parallelism | None:
        """With how many subtasks the job should start, or go on, given this many slots; None to leave it as it is."""
        if not self._settings.is_on:
            return None
        if available != self._available:
            self._available, self._since_s = available, now_s
        stable_s = self._settings.running_stable_s if running else self._settings.starting_stable_s
        if now_s - self._since_s < stable_s:
            return None
        if running and now_s - self._changed_s < self._settings.cooldown_s:
            return None
        found = self._largest(available)
        now = parallelism_of(self._graph)
        if found is None or found == now or (running and sum(found.values()) < sum(now.values())):
            return None
        return found

    def _largest(self, available: int) -> Parallelism | None:
        for most in range(max(self.wanted.values()), 0, -1):
            found = capped(self._graph, self.wanted, most)
            if place(self._graph, found).slots_needed <= available:
                return found
        return None
