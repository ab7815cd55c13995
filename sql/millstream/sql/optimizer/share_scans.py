"""A table that a job reads at several places is read once: with all the columns that are wanted anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from millstream.core.table.expressions import InputRef
from millstream.core.table.row_type import Column, RowType
from millstream.sql.plan import nodes as n


def share_scans(nodes: Sequence[n.Node]) -> list[n.Node]:
    """The plans of one job, with equal scans of equal tables."""
    found: dict[object, list[n.Scan]] = {}
    for node in nodes:
        _collect(node, found)
    shared = {table: _union(scans) for table, scans in found.items() if len(set(scans)) > 1}

    def change(node: n.Node) -> n.Node:
        if not isinstance(node, n.Scan) or node.table not in shared:
            return node
        scan = shared[node.table]
        refs = tuple(
            InputRef(column.type, scan.projection.index(path))
            for column, path in zip(node.row.columns, node.projection, strict=True)
        )
        return n.Project(node.row, scan, refs)

    return [n.transform(node, change) for node in nodes]


def _collect(node: n.Node, found: dict[object, list[n.Scan]]) -> None:
    if isinstance(node, n.Scan):
        found.setdefault(node.table, []).append(node)
    for child in node.inputs:
        _collect(child, found)


def _union(scans: list[n.Scan]) -> n.Scan:
    """One scan for all; what only some may leave out is read."""
    columns: dict[str, Column] = {}
    for scan in scans:
        for column, path in zip(scan.row.columns, scan.projection, strict=True):
            columns.setdefault(path, column.renamed(path))
    filters = scans[0].filters if all(scan.filters == scans[0].filters for scan in scans) else ()
    row = RowType(tuple(columns.values()))
    return replace(scans[0], row=row, projection=tuple(columns), filters=filters, limit=None)
