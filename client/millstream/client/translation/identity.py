"""Stable ids of operators: from the uid where the user gave one, else from the operator's place in the program."""

from __future__ import annotations

import hashlib

from millstream.core.graph.stream_graph import StreamGraph

_DIGITS = 16


def operator_ids(graph: StreamGraph) -> dict[int, str]:
    """Ids by node id. The same program gives the same ids; a change gives new ones to what depends on it."""
    ids: dict[int, str] = {}
    taken: set[str] = set()
    for node_id, node in sorted(graph.nodes.items()):
        if node.uid is not None:
            text = f"uid|{node.uid}"
        else:
            inputs = "|".join(
                f"{ids[edge.source]}:{edge.input_index}:{edge.side_output}" for edge in graph.inputs_of(node_id)
            )
            text = f"{node.spec.kind}|{node.key_selectors != (None,)}|{inputs}"
        candidate, again = _digest(text), 0
        while candidate in taken:
            again += 1
            candidate = _digest(f"{text}|{again}")
        taken.add(candidate)
        ids[node_id] = candidate
    return ids


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
