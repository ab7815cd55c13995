"""Operators with what they read: the plan as it will run, before it has node ids.

A physical operator is compared by identity; the translator makes one for each relation that compares equal, so that a
view used twice runs once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from millstream.core.graph.specs import OperatorSpec
from millstream.core.graph.stream_graph import Exchange
from millstream.core.table.row_type import RowType
from millstream.core.table.specs import ColumnKey

APPEND_ONLY: Final = "I"
"""The ``changes`` of an operator that only inserts."""


@dataclass(eq=False)
class PhysicalOperator:
    """One operator."""

    name: str
    spec: OperatorSpec
    row: RowType
    """Of what it emits."""
    edges: tuple[PhysicalEdge, ...] = ()
    parallelism: int | None = None
    """None for the job's default."""
    changes: str = APPEND_ONLY
    """The row kinds that it sends, for EXPLAIN."""
    identity: str = ""
    """What it computes, as text; empty for an operator without state."""
    uid: str | None = None
    """Tells whose its state is (``uids``)."""
    stream: Any = None
    """The stream of a program that it reads besides ``edges``; only the program's graph can hold the operator."""


@dataclass(frozen=True)
class PhysicalEdge:
    """From ``source`` into one input of an operator; several edges into the same input are a UNION ALL."""

    source: PhysicalOperator
    exchange: Exchange = Exchange.FORWARD
    keys: tuple[int, ...] | None = None
    """Columns that are hashed."""
    input_index: int = 0

    @property
    def key_selector(self) -> ColumnKey | None:
        return None if self.keys is None else ColumnKey(self.keys)


def kinds_of(operators: Iterable[PhysicalOperator]) -> str:
    """The row kinds that any of the operators sends."""
    kinds = {kind for operator in operators for kind in operator.changes.split(",")}
    return ",".join(kind for kind in ("I", "UB", "UA", "D") if kind in kinds)
