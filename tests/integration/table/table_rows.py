"""Rows of tables, in an order that does not depend on the cluster."""

from __future__ import annotations

from typing import Any

from millstream.table import Table


def rows(table: Table) -> list[tuple[Any, ...]]:
    """The final rows, sorted."""
    return sorted((tuple(row.values()) for row in table.to_arrow().to_pylist()), key=repr)
