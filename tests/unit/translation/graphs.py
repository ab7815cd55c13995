"""Stream graphs in one line: ``graph("source(2) -> map(2) => reduce(2)")``."""

from __future__ import annotations

import re

from millstream.connectors.collection import CollectionSource
from millstream.connectors.discard import DiscardSink
from millstream.core.graph.specs import (
    CoMapSpec,
    FilterSpec,
    MapSpec,
    OperatorSpec,
    ReduceSpec,
    SinkSpec,
    SourceSpec,
)
from millstream.core.graph.stream_graph import Exchange, StreamEdge, StreamGraph, StreamNode

ARROWS = {"->": Exchange.FORWARD, "=>": Exchange.HASH, "~>": Exchange.REBALANCE, "*>": Exchange.BROADCAST}
STEP = re.compile(r"(\S?>)?\s*(\w+)(?:\((\d+)\))?(?::(\w+))?\s*")


def same(value: object) -> object:
    return value


def first(left: object, right: object) -> object:
    return left


class UnlimitedSource(CollectionSource):
    """Read by any number of subtasks."""

    parallelism_max = None


def spec_of(kind: str) -> OperatorSpec:
    specs: dict[str, OperatorSpec] = {
        "source": SourceSpec(UnlimitedSource([1])),
        "map": MapSpec(same),
        "filter": FilterSpec(bool),
        "reduce": ReduceSpec(first),
        "sink": SinkSpec(DiscardSink()),
        "comap": CoMapSpec(same),  # type: ignore[arg-type]
    }
    return specs[kind]


def graph(*lines: str) -> StreamGraph:
    """Operators are ``kind(parallelism)``, or ``kind(parallelism):name`` to be named in several lines.

    ``->`` forwards, ``=>`` is by hash, ``~>`` rebalances, ``*>`` broadcasts.
    """
    made = StreamGraph("job")
    by_name: dict[str, StreamNode] = {}
    for line in lines:
        before: StreamNode | None = None
        for arrow, word, parallelism, name in STEP.findall(line):
            node = by_name.get(word) or by_name.get(name)
            if node is None:
                node = StreamNode(len(made.nodes) + 1, name or word, spec_of(word), int(parallelism or 1))
                made.nodes[node.node_id] = node
                by_name[name or f"#{node.node_id}"] = node
            if before is not None:
                index = sum(edge.target == node.node_id for edge in made.edges) if node.spec.kind == "co_map" else 0
                exchange = ARROWS[arrow]
                selector = same if exchange is Exchange.HASH else None
                made.edges.append(StreamEdge(before.node_id, node.node_id, exchange, index, key_selector=selector))
            before = node
    return made


def node(made: StreamGraph, name: str) -> StreamNode:
    return next(node for node in made.nodes.values() if node.name == name)
