"""Which operators share a task: pure rules over the stream graph.

A chain is a tree. Its head has any inputs; every other operator has exactly one input edge, and that edge forwards
within the chain. Everything follows from one question, asked of each edge: why can its target not join its source?
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from millstream.core.graph.stream_graph import ChainingStrategy, Exchange, StreamEdge, StreamGraph


@dataclass(frozen=True)
class Chain:
    """Node ids of one vertex in topological order, the head first."""

    nodes: tuple[int, ...]

    @property
    def head(self) -> int:
        return self.nodes[0]


def why_not_chained(
    graph: StreamGraph, edge: StreamEdge, max_parallelism: Mapping[int, int], *, enabled: bool = True
) -> str | None:
    """The rule that keeps the target of ``edge`` out of its source's task, or None if it joins.

    ``max_parallelism``: the effective one of each node.
    """
    source, target = graph.nodes[edge.source], graph.nodes[edge.target]
    if not enabled:
        return "chaining is switched off for the job"
    if len(graph.inputs_of(edge.target)) != 1:
        return "the target has several inputs"
    if edge.exchange is not Exchange.FORWARD:
        return f"the exchange is {edge.exchange.name.lower()}"
    if source.parallelism != target.parallelism:
        return f"parallelism differs ({source.parallelism} and {target.parallelism})"
    if max_parallelism[edge.source] != max_parallelism[edge.target]:
        return f"max parallelism differs ({max_parallelism[edge.source]} and {max_parallelism[edge.target]})"
    if source.slot_sharing_group != target.slot_sharing_group:
        return f"slot sharing groups differ ({source.slot_sharing_group} and {target.slot_sharing_group})"
    if source.chaining is ChainingStrategy.NEVER:
        return "chaining is disabled for the source"
    if target.chaining is not ChainingStrategy.ALWAYS:
        return "the target starts a chain of its own"
    return None


def chains_of(graph: StreamGraph, max_parallelism: Mapping[int, int], *, enabled: bool = True) -> list[Chain]:
    """All chains, in topological order of their heads."""
    members: dict[int, list[int]] = {}
    head_of: dict[int, int] = {}
    for node_id in topological_order(graph):
        inputs = graph.inputs_of(node_id)
        joins = len(inputs) == 1 and why_not_chained(graph, inputs[0], max_parallelism, enabled=enabled) is None
        head = head_of[inputs[0].source] if joins else node_id
        head_of[node_id] = head
        members.setdefault(head, []).append(node_id)
    return [Chain(tuple(nodes)) for nodes in members.values()]


def topological_order(graph: StreamGraph) -> list[int]:
    """Node ids with every source before its targets; otherwise ascending."""
    waiting = {node_id: len(graph.inputs_of(node_id)) for node_id in graph.nodes}
    ready = [node_id for node_id, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    order: list[int] = []
    while ready:
        node_id = heapq.heappop(ready)
        order.append(node_id)
        for edge in graph.outputs_of(node_id):
            waiting[edge.target] -= 1
            if waiting[edge.target] == 0:
                heapq.heappush(ready, edge.target)
    return order
