"""The rules in their order."""

from __future__ import annotations

from dataclasses import replace

from millstream.core.table.evaluation import fold_constants
from millstream.sql.optimizer.merge_projects import merge_projects
from millstream.sql.optimizer.prune_columns import prune_columns
from millstream.sql.optimizer.push_filters import push_filters
from millstream.sql.optimizer.push_to_sources import push_to_sources
from millstream.sql.optimizer.rank import recognise_rank
from millstream.sql.optimizer.set_operations import count_set_operations
from millstream.sql.optimizer.time_joins import recognise_time_joins
from millstream.sql.optimizer.window_aggregate import recognise_window_aggregate
from millstream.sql.plan import nodes as n


def optimize(node: n.Node) -> n.Node:
    """A plan that computes the same. Raises ``QueryError`` for what only the whole plan shows to be impossible."""
    node = count_set_operations(node)
    node = n.transform(node, _fold)
    node = push_filters(node)
    node = merge_projects(node)
    node = recognise_rank(node)
    node = recognise_window_aggregate(node)
    node = recognise_time_joins(node)
    node = merge_projects(node)
    node = prune_columns(node)
    return push_to_sources(merge_projects(node))


def _fold(node: n.Node) -> n.Node:
    match node:
        case n.Project():
            return replace(node, expressions=tuple(map(fold_constants, node.expressions)))
        case n.Filter():
            return replace(node, condition=fold_constants(node.condition))
        case n.Join() if node.condition is not None:
            return replace(node, condition=fold_constants(node.condition))
    return node
