"""Operator ids that stay the same when the same program is submitted again.

With a uid the id depends on nothing else, so that everything around the operator may change. Without one it is a hash
of the structure: the kind of operator, the ids of its inputs with how records come from them, and a number that tells
equals apart. Names, parallelism and functions do not count.
"""

from __future__ import annotations

import hashlib
from collections import Counter

from millstream.client.translation.chaining import topological_order
from millstream.core.graph.stream_graph import StreamGraph
from millstream.core.ids import OperatorId

_DIGITS = 32


def operator_ids(graph: StreamGraph) -> dict[int, OperatorId]:
    """The id of each node: 32 hexadecimal digits."""
    ids: dict[int, OperatorId] = {}
    seen: Counter[str] = Counter()
    for node_id in topological_order(graph):
        node = graph.nodes[node_id]
        if node.uid is not None:
            ids[node_id] = id_of_uid(node.uid)
            continue
        inputs = sorted(
            f"{edge.input_index} {edge.exchange.name} {edge.side_output!r} {ids[edge.source]}"
            for edge in graph.inputs_of(node_id)
        )
        structure = "\n".join([f"kind {node.spec.kind}", *inputs])
        ids[node_id] = _digest(f"{structure}\nnumber {seen[structure]}")
        seen[structure] += 1
    return ids


def id_of_uid(uid: str) -> OperatorId:
    """The id of the operator that has this uid."""
    return _digest(f"uid {uid}")


def _digest(text: str) -> OperatorId:
    return OperatorId(hashlib.sha256(text.encode()).hexdigest()[:_DIGITS])
