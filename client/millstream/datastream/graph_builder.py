"""Grows the stream graph of one environment, a node an API call."""

from __future__ import annotations

from typing import Any

from millstream.core.api.types import TypeInformation, infer_type
from millstream.core.errors import JobGraphError
from millstream.core.graph.specs import KeySelectorCallable, OperatorSpec
from millstream.core.graph.stream_graph import StreamEdge, StreamGraph, StreamNode
from millstream.datastream.call_site import call_site


class GraphBuilder:
    """Holds the graph and gives out node ids."""

    def __init__(self) -> None:
        self.graph = StreamGraph("")
        self._next_id = 1

    def add(
        self,
        name: str,
        spec: OperatorSpec,
        parallelism: int | None,
        inputs: list[StreamEdge],
        key_selectors: tuple[KeySelectorCallable | None, ...] = (None,),
        output_type: Any = None,
    ) -> StreamNode:
        """A new node, its input edges attached (their ``target`` is set here). ``parallelism`` None: the default."""
        if output_type is not None and not isinstance(output_type, TypeInformation):
            found = infer_type(output_type)
            if found is None:
                raise JobGraphError(f"{call_site()}: {output_type!r:.100} is no type; use Types.… or a Python type")
            output_type = found
        node = StreamNode(
            node_id=self._next_id,
            name=name,
            spec=spec,
            parallelism=parallelism or 0,
            key_selectors=key_selectors,
            output_type=output_type,
            defined_at=call_site(),
        )
        self._next_id += 1
        self.graph.nodes[node.node_id] = node
        for edge in inputs:
            edge.target = node.node_id
            self.graph.edges.append(edge)
        return node

    def clear(self) -> None:
        """Forget everything: the next job starts empty."""
        self.graph = StreamGraph("")
