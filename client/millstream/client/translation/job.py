"""Puts a job together: vertices, edges, payload blobs."""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from millstream.client.translation.chaining import Chain, chains, resolve_exchanges
from millstream.client.translation.identity import operator_ids
from millstream.client.translation.modules import archive, local_modules
from millstream.client.translation.pickling import pickle_payload, pickle_source
from millstream.core.config import Configuration, options
from millstream.core.errors import JobGraphError
from millstream.core.graph import PAYLOAD_FORMAT
from millstream.core.graph.specs import (
    ChainedOperator,
    CollectSpec,
    OutputPayload,
    SinkSpec,
    SourceSpec,
    VertexPayload,
)
from millstream.core.graph.stream_graph import StreamEdge, StreamGraph, StreamNode
from millstream.core.ids import BlobKey
from millstream.proto.v1 import job_graph_pb2

_JOB_SETTINGS = ("pipeline.", "execution.")


@dataclass(frozen=True)
class TranslatedJob:
    """A job ready to be submitted. ``operator_ids`` maps nodes of the stream graph."""

    graph: job_graph_pb2.JobGraph
    blobs: dict[BlobKey, bytes]
    operator_ids: dict[int, str] = field(default_factory=dict)


def translate(
    graph: StreamGraph,
    job_id: str,
    configuration: Configuration,
    *,
    default_parallelism: int,
    max_parallelism: int | None = None,
    buffer_timeout_ms: int | None = None,
    chaining: bool = True,
) -> TranslatedJob:
    """Raises ``JobGraphError`` for a program that is no job, ``PicklingError`` for code that cannot travel."""
    return _Translation(graph, configuration, default_parallelism, max_parallelism, buffer_timeout_ms, chaining).job(
        job_id
    )


class _Translation:
    """One translation; fills in defaults on the graph's nodes first."""

    def __init__(
        self,
        graph: StreamGraph,
        configuration: Configuration,
        default_parallelism: int,
        max_parallelism: int | None,
        buffer_timeout_ms: int | None,
        chaining: bool,
    ) -> None:
        self._graph = graph
        self._configuration = configuration
        self._default_parallelism = default_parallelism
        self._max_parallelism = max_parallelism or configuration[options.PIPELINE_MAX_PARALLELISM]
        timeout = configuration[options.EXECUTION_BUFFER_TIMEOUT]
        self._buffer_timeout_ms = (
            round(timeout.total_seconds() * 1000) if buffer_timeout_ms is None else buffer_timeout_ms
        )
        self._chaining = chaining and configuration[options.PIPELINE_OPERATOR_CHAINING]
        self._blobs: dict[BlobKey, bytes] = {}
        self._local_modules: list[types.ModuleType] = []

    def job(self, job_id: str) -> TranslatedJob:
        graph = self._graph
        self._check()
        self._fill_in()
        resolve_exchanges(graph, {i for i, edge in enumerate(graph.edges) if edge.explicit})
        self._ids = operator_ids(graph)
        self._chains = chains(graph, self._chaining)
        self._vertex_of = {node.node_id: chain.head.node_id for chain in self._chains for node in chain.nodes}
        self._job_edges = [
            edge
            for edge in graph.edges
            if self._vertex_of[edge.source] != self._vertex_of[edge.target] or self._is_head(edge.target)
        ]
        self._local_modules = local_modules()
        job = job_graph_pb2.JobGraph(
            job_id=job_id,
            name=graph.job_name,
            format_version=PAYLOAD_FORMAT,
            python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
            modules_blob=self._blob(archive(self._local_modules)),
            configuration=job_settings(self._configuration),
        )
        job.vertices.extend(self._vertex(chain) for chain in self._chains)
        job.edges.extend(self._edge(number, edge) for number, edge in enumerate(self._job_edges))
        return TranslatedJob(job, self._blobs, dict(self._ids))

    # -- checks and defaults ----------------------------------------------------------------------------------------

    def _check(self) -> None:
        graph = self._graph
        if not graph.nodes:
            raise JobGraphError("the program has no operators: make a stream from a source, and give it a sink")
        sinks = [n for n in graph.nodes.values() if isinstance(n.spec, SinkSpec | CollectSpec)]
        if not sinks:
            last = list(graph.nodes.values())[-1]
            raise JobGraphError(
                f"the program has no sink, so nothing would come of it. Add one to {last.name!r} ({last.defined_at}): "
                f"print(), write_csv(), sink_to(), discard() or execute_and_collect()."
            )

    def _fill_in(self) -> None:
        for node_id, node in sorted(self._graph.nodes.items()):
            inputs = self._graph.inputs_of(node_id)
            if isinstance(node.spec, CollectSpec) and inputs:
                node.parallelism = self._graph.nodes[inputs[0].source].parallelism
            node.parallelism = node.parallelism or self._default_parallelism
            node.max_parallelism = node.max_parallelism or self._max_parallelism
            if node.parallelism > node.max_parallelism:
                raise JobGraphError(
                    f"{node.defined_at}: {node.name!r} has parallelism {node.parallelism}, more than its max "
                    f"parallelism {node.max_parallelism}. Lower the one or raise the other (set_max_parallelism)."
                )
            most = node.spec.source.parallelism_max if isinstance(node.spec, SourceSpec) else None
            if most is not None and node.parallelism > most:
                raise JobGraphError(
                    f"{node.defined_at}: {node.name!r} can have parallelism {most} at most, not {node.parallelism}"
                )

    def _is_head(self, node_id: int) -> bool:
        return self._vertex_of[node_id] == node_id

    # -- vertices ---------------------------------------------------------------------------------------------------

    def _vertex(self, chain: Chain) -> job_graph_pb2.Vertex:
        head = chain.head
        operators = tuple(self._chained(node, chain) for node in chain.nodes)
        timeouts = [node.buffer_timeout_ms for node in chain.nodes if node.buffer_timeout_ms is not None]
        own = {node.node_id for node in chain.nodes}
        payload = VertexPayload(
            operators,
            tuple(
                OutputPayload(
                    number, self._ids[edge.source], edge.side_output, edge.key_selector, edge.custom_partitioner
                )
                for number, edge in enumerate(self._job_edges)
                if edge.source in own
            ),
            self._configuration[options.PIPELINE_GENERIC_TYPES],
            timeouts[-1] if timeouts else self._buffer_timeout_ms,
        )
        vertex = job_graph_pb2.Vertex(
            vertex_id=self._ids[head.node_id],
            name=" -> ".join(node.name for node in chain.nodes),
            parallelism=head.parallelism,
            max_parallelism=head.max_parallelism or 0,
            slot_sharing_group=head.slot_sharing_group,
            payload_blob=self._blob(pickle_payload(payload, operators)),
            collects=any(isinstance(node.spec, CollectSpec) for node in chain.nodes),
            operators=[self._plan(node, chain) for node in chain.nodes],
        )
        if isinstance(head.spec, SourceSpec):
            pickled = pickle_source(head.spec.source, head.name, self._local_modules)
            vertex.enumerator_blob = self._blob(pickled)
        return vertex

    def _chained(self, node: StreamNode, chain: Chain) -> ChainedOperator:
        return ChainedOperator(
            operator_id=self._ids[node.node_id],
            name=node.name,
            spec=node.spec,
            key_selectors=node.key_selectors,
            inputs=tuple((self._ids[e.source], e.side_output) for e in self._chain_edges(node, chain)),
            defined_at=node.defined_at,
        )

    def _plan(self, node: StreamNode, chain: Chain) -> job_graph_pb2.OperatorPlan:
        output_type = node.output_type
        return job_graph_pb2.OperatorPlan(
            operator_id=self._ids[node.node_id],
            name=node.name,
            uid=node.uid or "",
            kind=node.spec.kind,
            output_type="" if output_type is None else str(output_type),
            generic_type=output_type is not None and output_type.is_generic,
            defined_at=node.defined_at,
            inputs=[self._ids[edge.source] for edge in self._chain_edges(node, chain)],
        )

    def _chain_edges(self, node: StreamNode, chain: Chain) -> list[StreamEdge]:
        """Edges inside the chain; the head has none."""
        return [] if node is chain.head else self._graph.inputs_of(node.node_id)

    def _edge(self, number: int, edge: StreamEdge) -> job_graph_pb2.Edge:
        return job_graph_pb2.Edge(
            edge_id=number,
            source_vertex=self._ids[self._vertex_of[edge.source]],
            target_vertex=self._ids[self._vertex_of[edge.target]],
            exchange=job_graph_pb2.Exchange.ValueType(edge.exchange.value),
            input_index=edge.input_index,
            side_output=edge.side_output,
            source_operator=self._ids[edge.source],
            target_operator=self._ids[edge.target],
        )

    def _blob(self, data: bytes) -> str:
        """Keep ``data``; empty data has no blob."""
        if not data:
            return ""
        from hashlib import sha256

        key = BlobKey(sha256(data).hexdigest())
        self._blobs[key] = data
        return key


def job_settings(configuration: Configuration) -> dict[str, str]:
    """Settings that travel with the job, as JSON."""
    flattened: Mapping[str, Any] = configuration.flatten()
    return {
        key: json.dumps(value, default=str)
        for key, value in flattened.items()
        if key.startswith(_JOB_SETTINGS) and value is not None
    }
