"""Prometheus metrics of a TaskManager: the last readings of its slots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from millstream.core.clock import Clock
from millstream.taskmanager.slots import Slots

_TASK_LABELS: Final = ["job", "vertex", "subtask"]
_OPERATOR_LABELS: Final = [*_TASK_LABELS, "operator"]


class TaskManagerCollector(Collector):
    """Called on the HTTP server's thread; readings are messages that are replaced, never changed."""

    def __init__(self, slots: Slots, clock: Clock) -> None:
        self._slots = slots
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        now_ms = self._clock.wall_ms()
        for metrics in self._slots.metrics():
            ref = metrics.subtask
            labels = [ref.job_id, ref.vertex_id, str(ref.index)]
            for name, value in metrics.values.items():
                _add(families, f"millstream_task_{name}", _TASK_LABELS, labels, value)
            for operator in metrics.operators:
                own = [*labels, operator.operator_name]
                for name, value in operator.values.items():
                    _add(families, f"millstream_operator_{name}", _OPERATOR_LABELS, own, value)
                watermark_ms = operator.values.get("current_watermark_ms")
                if watermark_ms is not None and watermark_ms < now_ms:
                    lag_ms = now_ms - watermark_ms
                    _add(families, "millstream_operator_watermark_lag_ms", _OPERATOR_LABELS, own, lag_ms)
        processes = list(self._slots.processes.values())
        yield GaugeMetricFamily("millstream_slots_total", "Slots of this TaskManager.", value=len(processes))
        free = sum(process.ready and not process.job_id for process in processes)
        yield GaugeMetricFamily("millstream_slots_free", "Slots that wait for a job.", value=free)
        yield from families.values()


def _add(families: dict[str, Metric], name: str, label_names: list[str], labels: list[str], value: float) -> None:
    family = families.get(name)
    if family is None:
        kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
        family = families[name] = kind(name, name.replace("_", " "), labels=label_names)
    family.add_metric(labels, value)  # type: ignore[attr-defined]
