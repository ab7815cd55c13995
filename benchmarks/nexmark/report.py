"""The figures of a run as a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any, Final

from tables import TARGET

_HEADER: Final = (
    "| query | Millstream s | M events/s | CPU s | MB | Flink s | CPU s | MB | times Flink | DuckDB s | of DuckDB |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)
_MISSING: Final = "-"


def table(figures: list[dict[str, Any]], queries: list[str], events: int) -> str:
    """Markdown: medians a query, and the geometric mean of the ratio to Flink over the queries of the goal.

    "of DuckDB" is how many times as long Millstream took as DuckDB with one thread.
    """
    lines = [_HEADER]
    ratios: list[float] = []
    for query in queries:
        own, flink, duckdb = (_medians(figures, engine, query) for engine in ("millstream", "flink", "duckdb"))
        seconds, its, theirs = own.get("seconds"), flink.get("seconds"), duckdb.get("seconds")
        faster = its / seconds if its and seconds else None
        if faster and query in TARGET:
            ratios.append(faster)
        cells = [
            query,
            _shown(seconds, "{:.2f}"),
            _shown(events / seconds / 1e6 if seconds else None, "{:.2f}"),
            _shown(own.get("cpu_s"), "{:.1f}"),
            _shown(own.get("peak_mb"), "{:.0f}"),
            _shown(its, "{:.1f}"),
            _shown(flink.get("cpu_s"), "{:.1f}"),
            _shown(flink.get("peak_mb"), "{:.0f}"),
            _shown(faster, "{:.1f}"),
            _shown(theirs, "{:.2f}"),
            _shown(seconds / theirs if seconds and theirs else None, "{:.2f}"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    if ratios:
        mean = math.exp(statistics.fmean(map(math.log, ratios)))
        lines.append(f"\nGeometric mean over {len(ratios)} queries of the goal: {mean:.1f} times Flink.")
    return "\n".join(lines)


def peers_table(figures: list[dict[str, Any]], queries: list[str], peers: list[str]) -> str:
    """Markdown: seconds of each engine for the queries that fit some peer, and how many times as long as Millstream."""
    lines = [f"| query | Millstream s | {' | '.join(f'{peer.capitalize()} s' for peer in peers)} |"]
    lines.append("|---" * (2 + len(peers)) + "|")
    for query in queries:
        own = _medians(figures, "millstream", query).get("seconds")
        theirs = [_medians(figures, peer, query).get("seconds") for peer in peers]
        if any(theirs):
            cells = [_times(seconds, own) for seconds in theirs]
            lines.append(f"| {query} | {_shown(own, '{:.2f}')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _times(seconds: float | None, own: float | None) -> str:
    return _MISSING if seconds is None else f"{seconds:.1f}" + (f" ({seconds / own:.0f} times)" if own else "")


def _medians(figures: list[dict[str, Any]], engine: str, query: str) -> dict[str, float]:
    runs = [run for run in figures if run["engine"] == engine and run["query"] == query and "error" not in run]
    names = {name for run in runs for name, value in run.items() if isinstance(value, int | float)}
    take: Callable[[str], list[float]] = lambda name: [run[name] for run in runs if name in run]  # noqa: E731
    return {name: statistics.median(take(name)) for name in names}


def _shown(value: float | None, form: str) -> str:
    return _MISSING if value is None else form.format(value)
