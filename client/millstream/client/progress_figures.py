"""From readings of a job to the figures a display shows: rates, watermarks, load of every vertex. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from millstream.core.api.job import JobStatus

if TYPE_CHECKING:
    from millstream.proto.v1.jobmanager_pb2 import JobDetails, VertexDetails

MIN_WATERMARK_MS = -(2**63)
MAX_WATERMARK_MS = 2**63 - 1
SUBTASK_RUNNING = 5
SUBTASK_FINISHED = 6
YEAR_10000_MS = 253_402_300_800_000
RATE_WINDOW_S = 5.0
STALE_AFTER_S = 2.5
FIRST_WINDOW_S = 1.0
"""Until a reading is this old, rates are since the start: two readings in a row may be of almost the same moment."""
WAIT_SHOWN_AFTER_S = 2.0
"""Slots of a cluster that has just been started need a moment; nobody wants to read about it."""


@dataclass(frozen=True)
class VertexFigures:
    name: str
    parallelism: int
    running: int
    finished: int
    records: float
    """Records this vertex took in; for a source, records it produced."""
    records_per_second: float
    busy: float
    """Share of the time its subtasks worked, 0 to 1, mean over subtasks."""
    backpressured: float
    watermark_ms: int | None
    """The smallest of its subtasks; None while one has none."""


@dataclass(frozen=True)
class JobFigures:
    name: str
    job_id: str
    status: JobStatus
    waiting_for: str
    elapsed_s: float
    records: float
    """What the sources produced so far."""
    records_per_second: float
    watermark_ms: int | None
    """The smallest watermark of the job."""
    vertices: tuple[VertexFigures, ...]
    trouble: str = ""
    """What made the attempt fail, in one line, while the job is failing or waits to start again."""


class FigureReader:
    """Keeps the readings of the last seconds to compute rates: servers renew their figures about once a second."""

    def __init__(self, started_s: float) -> None:
        self._started_s = started_s
        self._changes: deque[tuple[float, dict[str, float]]] = deque([(started_s, {})])

    def read(self, details: JobDetails, now_s: float) -> JobFigures:
        """Figures at ``now_s`` (monotonic). Rates cover about the last ``RATE_WINDOW_S``."""
        sources = {vertex.vertex.vertex_id for vertex in details.vertices}
        sources -= {edge.target_vertex for edge in details.edges}
        records = {
            vertex.vertex.vertex_id: _records(vertex, vertex.vertex.vertex_id in sources) for vertex in details.vertices
        }
        rates = self._rates(records, now_s)
        elapsed_s = now_s - self._started_s
        vertices = tuple(
            self._vertex(vertex, records[vertex.vertex.vertex_id], rates[vertex.vertex.vertex_id])
            for vertex in details.vertices
        )
        return JobFigures(
            details.summary.name,
            details.summary.job_id,
            JobStatus(details.summary.status),
            details.summary.waiting_for if elapsed_s >= WAIT_SHOWN_AFTER_S else "",
            elapsed_s,
            sum(records[vertex_id] for vertex_id in sources),
            sum(rates[vertex_id] for vertex_id in sources),
            _smallest(vertex.watermark_ms for vertex in vertices if vertex.finished < vertex.parallelism),
            vertices,
            _trouble(details),
        )

    def _rates(self, records: dict[str, float], now_s: float) -> dict[str, float]:
        """Records a second of each vertex, between two changes; until now when the last change is long ago."""
        changes = self._changes
        if records != changes[-1][1] and any(records.values()):
            changes.append((now_s, records))
        while len(changes) > 2 and changes[1][0] < now_s - (RATE_WINDOW_S if changes[0][1] else FIRST_WINDOW_S):
            changes.popleft()
        first_s, first = changes[0]
        last_s = changes[-1][0] if now_s - changes[-1][0] < STALE_AFTER_S else now_s
        elapsed_s = last_s - first_s
        if elapsed_s <= 0:
            return dict.fromkeys(records, 0.0)
        return {name: max(0.0, (count - first.get(name, 0.0)) / elapsed_s) for name, count in records.items()}

    def _vertex(self, vertex: VertexDetails, records: float, rate: float) -> VertexFigures:
        running = [subtask for subtask in vertex.subtasks if subtask.status == SUBTASK_RUNNING]

        def mean_share(metric: str) -> float:
            values = [subtask.metrics.values.get(metric, 0.0) for subtask in running]
            return min(1.0, sum(values) / len(values) / 1000) if values else 0.0

        return VertexFigures(
            vertex.vertex.name,
            vertex.vertex.parallelism,
            len(running),
            sum(subtask.status == SUBTASK_FINISHED for subtask in vertex.subtasks),
            records,
            rate,
            mean_share("busy_ms_per_second"),
            mean_share("backpressured_ms_per_second"),
            _watermark(vertex),
        )


def _trouble(details: JobDetails) -> str:
    if JobStatus(details.summary.status) not in (JobStatus.FAILING, JobStatus.RESTARTING):
        return ""
    return " ".join(details.error.message.splitlines()[:2])


def _records(vertex: VertexDetails, is_source: bool) -> float:
    if not is_source:
        return sum(subtask.metrics.values.get("records_in_total", 0.0) for subtask in vertex.subtasks)
    total = 0.0
    for subtask in vertex.subtasks:
        for operator in subtask.metrics.operators[:1]:
            total += operator.values.get("records_out_total", 0.0)
    return total


def _watermark(vertex: VertexDetails) -> int | None:
    """Of the last operator that has one, over all subtasks."""
    watermarks = []
    for subtask in vertex.subtasks:
        values = [
            operator.values["current_watermark_ms"]
            for operator in subtask.metrics.operators
            if "current_watermark_ms" in operator.values
        ]
        watermarks.append(int(values[-1]) if values else None)
    return None if None in watermarks else _smallest(watermarks)


def _smallest(watermarks: Iterable[int | None]) -> int | None:
    return min((watermark for watermark in watermarks if watermark is not None), default=None)


def watermark_text(watermark_ms: int | None) -> str:
    """UTC time, "end" after the last record, "-" for none."""
    if watermark_ms is None or watermark_ms <= -YEAR_10000_MS:
        return "-"
    if watermark_ms >= YEAR_10000_MS:
        return "end"
    return datetime.fromtimestamp(watermark_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def count_text(value: float) -> str:
    """Three digits and a unit: ``1234567`` is "1.23 M"."""
    if value < 10_000:
        return f"{value:.0f}"
    for divisor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= divisor * 0.9995:
            scaled = value / divisor
            decimals = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{decimals}f} {unit}"
    return f"{value:.0f}"
