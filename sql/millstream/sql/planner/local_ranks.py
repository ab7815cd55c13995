"""The part of a top-n or of a deduplication that runs before the exchange (``table.optimizer.agg-phase-strategy``)."""

from __future__ import annotations

from typing import Final

from millstream.core.table import specs as s
from millstream.sql.planner.physical import PhysicalEdge, PhysicalOperator

LAST_MAX: Final = 1000
"""A batch has seldom more rows of one partition."""


def local_rank(parts: list[PhysicalOperator], spec: s.RankSpec) -> list[PhysicalOperator]:
    """``parts`` without rows that cannot have a rank up to ``spec.last``; as they are where that cannot be told.

    A row may be left out only if none before it can go away, and if ranks count rows, not peers.
    """
    if spec.retracts or spec.function != "ROW_NUMBER" or spec.last is None or spec.last > LAST_MAX:
        return parts
    return _with("LocalRank", parts, s.LocalRankSpec(spec.input, spec.input, spec.partition, spec.order, spec.last))


def local_deduplicate(parts: list[PhysicalOperator], spec: s.DeduplicateSpec) -> list[PhysicalOperator]:
    """``parts`` with one row a key of each batch: the first or the last, as ``spec`` keeps."""
    order: tuple[s.SortKey, ...] = ()
    if spec.order is not None:
        order = (s.SortKey(spec.order, ascending=not spec.keep_last, nulls_first=not spec.keep_last),)
    local = s.LocalRankSpec(spec.input, spec.input, spec.keys, order, 1, last_wins=spec.keep_last)
    return _with("LocalDeduplicate", parts, local)


def _with(name: str, parts: list[PhysicalOperator], spec: s.LocalRankSpec) -> list[PhysicalOperator]:
    return [
        PhysicalOperator(name, spec, spec.output, (PhysicalEdge(part),), part.parallelism, part.changes)
        for part in parts
    ]
