"""The program of one environment: every operator made so far, and the stream graph of the next job.

Operators are never forgotten, since streams made from them stay usable after ``execute``. A job consists of what was
added since the last one and all that it reads from. Defaults (parallelism, exchange, slot sharing group) are filled in
when the graph is built, so that the order of calls does not matter.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from millstream.core.api.types import TypeInformation
from millstream.core.graph.specs import CollectSpec, KeySelectorCallable, OperatorSpec
from millstream.core.graph.stream_graph import Exchange, StreamEdge, StreamGraph, StreamNode
from millstream.datastream.call_site import call_site

UNSET = 0
"""Parallelism of a node that takes the default."""
INHERITED = ""
"""Slot sharing group of a node that takes that of its inputs."""
DEFAULT_GROUP = "default"


@dataclass(frozen=True)
class ParallelismLimit:
    """The most subtasks an operator can have, and why."""

    most: int
    reason: str


class Program:
    """Grows by ``add``; ``build`` makes a graph of its own that later calls do not change."""

    def __init__(self) -> None:
        self._nodes: dict[int, StreamNode] = {}
        self._inputs: dict[int, list[StreamEdge]] = {}
        self._added: list[int] = []
        self.limits: dict[int, ParallelismLimit] = {}

    def add(
        self,
        name: str,
        spec: OperatorSpec,
        inputs: list[StreamEdge],
        *,
        key_selectors: tuple[KeySelectorCallable | None, ...] = (None,),
        output_type: TypeInformation | None = None,
        limit: ParallelismLimit | None = None,
    ) -> StreamNode:
        """A new node; the target of its ``inputs`` is set here."""
        node = StreamNode(
            node_id=len(self._nodes) + 1,
            name=name,
            spec=spec,
            parallelism=UNSET,
            slot_sharing_group=INHERITED,
            key_selectors=key_selectors,
            output_type=output_type,
            defined_at=call_site(),
        )
        for edge in inputs:
            edge.target = node.node_id
        self._nodes[node.node_id] = node
        self._inputs[node.node_id] = inputs
        self._added.append(node.node_id)
        if limit is not None:
            self.limits[node.node_id] = limit
        return node

    def build(self, job_name: str, default_parallelism: int, ends: list[int] | None = None) -> StreamGraph:
        """The graph of the next job, with all defaults filled in; ``ends``: of what these nodes read alone."""
        graph = StreamGraph(job_name)
        for node_id in sorted(self._needed(self._added if ends is None else ends)):
            node = replace(self._nodes[node_id])
            inputs = [replace(edge) for edge in self._inputs[node_id]]
            sources = [graph.nodes[edge.source] for edge in inputs]
            node.parallelism_set = node.parallelism != UNSET
            node.parallelism = self._parallelism(node, sources, default_parallelism)
            node.slot_sharing_group = _group(node, sources)
            graph.nodes[node_id] = node
            for edge, source in zip(inputs, sources, strict=True):
                if not edge.explicit and source.parallelism != node.parallelism:
                    edge.exchange = Exchange.REBALANCE
                graph.edges.append(edge)
        return graph

    def start_next_job(self) -> None:
        """What was added so far belongs to a job that has been submitted."""
        self._added.clear()

    def free_uid(self, uid: str) -> str:
        """``uid``, or where an operator has it already, the first number behind it that none has."""
        taken = {node.uid for node in self._nodes.values()}
        numbered = (f"{uid}-{number}" for number in itertools.count(2))
        return uid if uid not in taken else next(name for name in numbered if name not in taken)

    def belong_elsewhere(self, nodes: list[int]) -> None:
        """The nodes are no part of the next job unless something in it reads them."""
        self._added = [node_id for node_id in self._added if node_id not in nodes]

    def withdraw(self, node: StreamNode) -> None:
        """Take back the node added last: its job could not be submitted."""
        if self._added and self._added[-1] == node.node_id:
            self._added.pop()

    def _needed(self, ends: list[int]) -> set[int]:
        needed: set[int] = set()
        unseen = list(ends)
        while unseen:
            node_id = unseen.pop()
            if node_id not in needed:
                needed.add(node_id)
                unseen += [edge.source for edge in self._inputs[node_id]]
        return needed

    def _parallelism(self, node: StreamNode, sources: list[StreamNode], default: int) -> int:
        if node.parallelism != UNSET:
            return node.parallelism
        if isinstance(node.spec, CollectSpec):
            default = sources[0].parallelism  # results leave from where they arise
        limit = self.limits.get(node.node_id)
        most = min(limit.most if limit else default, node.max_parallelism or default)
        return min(default, most)


def _group(node: StreamNode, sources: list[StreamNode]) -> str:
    """The user's choice, else that of all inputs if they agree."""
    if node.slot_sharing_group != INHERITED:
        return node.slot_sharing_group
    groups = {source.slot_sharing_group for source in sources}
    return groups.pop() if len(groups) == 1 else DEFAULT_GROUP
