"""Which nodes of a stream graph run as one task.

A node joins the chain of its input when that is its only input, records are handed on as they are (forward), both have
the same parallelism, sharing group and key groups, and neither was asked to stay apart. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

from millstream.core.errors import JobGraphError
from millstream.core.graph.stream_graph import ChainingStrategy, Exchange, StreamEdge, StreamGraph, StreamNode


@dataclass(frozen=True)
class Chain:
    """Nodes of one vertex in topological order, the head first."""

    nodes: tuple[StreamNode, ...]

    @property
    def head(self) -> StreamNode:
        return self.nodes[0]


def resolve_exchanges(graph: StreamGraph, explicit: set[int]) -> None:
    """Forward between different parallelisms becomes rebalance; where the user asked for forward it is an error.

    ``explicit`` holds positions in ``graph.edges`` of exchanges the user named.
    """
    for position, edge in enumerate(graph.edges):
        source, target = graph.nodes[edge.source], graph.nodes[edge.target]
        if edge.exchange is not Exchange.FORWARD or source.parallelism == target.parallelism:
            continue
        if position in explicit:
            raise JobGraphError(
                f"{target.defined_at}: forward needs equal parallelism, but {source.name!r} has "
                f"{source.parallelism} and {target.name!r} has {target.parallelism}. Use rebalance or rescale, or set the same parallelism."
            )
        edge.exchange = Exchange.REBALANCE


def is_chainable(graph: StreamGraph, edge: StreamEdge, enabled: bool) -> bool:
    """Whether the target of ``edge`` joins the task of its source."""
    source, target = graph.nodes[edge.source], graph.nodes[edge.target]
    return (
        enabled
        and edge.exchange is Exchange.FORWARD
        and len(graph.inputs_of(edge.target)) == 1
        and source.parallelism == target.parallelism
        and source.slot_sharing_group == target.slot_sharing_group
        and source.max_parallelism == target.max_parallelism
        and target.chaining is ChainingStrategy.ALWAYS
        and source.chaining is not ChainingStrategy.NEVER
    )


def chains(graph: StreamGraph, enabled: bool) -> list[Chain]:
    """The vertices, in topological order of their heads. Nodes are numbered in the order they were added."""
    head_of: dict[int, int] = {}
    members: dict[int, list[StreamNode]] = {}
    for node_id, node in sorted(graph.nodes.items()):
        inputs = graph.inputs_of(node_id)
        if len(inputs) == 1 and is_chainable(graph, inputs[0], enabled):
            head = head_of[inputs[0].source]
        else:
            head = node_id
        head_of[node_id] = head
        members.setdefault(head, []).append(node)
    return [Chain(tuple(nodes)) for nodes in members.values()]
