"""Ids by which the state of a SQL job finds its operators again.

An operator's id is that of what it computes: the text of its relation with all that it reads, and the names of the
columns of the rows that it keeps. So a query that is changed elsewhere keeps its state, and state of an operator that
computes something else is never taken for it. Sources
and sinks go by their table.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Final

from millstream.sql.planner.physical import PhysicalOperator

_DIGITS: Final = 12


def assign_uids(ends: Iterable[PhysicalOperator]) -> None:
    """Give every operator with an identity its uid; of equal ones, the later are numbered."""
    seen: Counter[str] = Counter()
    for operator in operators_of(ends):
        if not operator.identity:
            continue
        digest = hashlib.sha256(operator.identity.encode()).hexdigest()[:_DIGITS]
        kind = operator.name.partition(":")[0].lower()
        seen[digest] += 1
        number = f"-{seen[digest]}" if seen[digest] > 1 else ""
        operator.uid = f"sql-{kind}-{digest}{number}"


def operators_of(ends: Iterable[PhysicalOperator]) -> list[PhysicalOperator]:
    """All operators, each once, those that are read before those that read them."""
    found: dict[PhysicalOperator, None] = {}

    def visit(operator: PhysicalOperator) -> None:
        if operator in found:
            return
        for edge in operator.edges:
            visit(edge.source)
        found[operator] = None

    for end in ends:
        visit(end)
    return list(found)
