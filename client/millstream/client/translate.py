"""From what the program says to what the JobManager runs: ``translate`` turns a stream graph into a job.

The result is self-contained: a ``JobGraph`` message and the blobs it refers to by content hash. Neighbours: the stream
graph comes from ``millstream.datastream``, a ``Submitter`` (``submit.py``) takes the result.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from millstream.client.translation.chaining import chains_of
from millstream.client.translation.checks import check_graph, effective_max_parallelism
from millstream.client.translation.columnar import with_columnar_sources
from millstream.client.translation.modules import ModuleArchive
from millstream.client.translation.operator_ids import operator_ids
from millstream.client.translation.pickling import dump_source, dump_vertex
from millstream.client.translation.vertices import Layout, edge_messages, payload_of, vertex_messages
from millstream.core.graph import PAYLOAD_FORMAT
from millstream.core.graph.specs import SourceSpec
from millstream.core.graph.stream_graph import StreamGraph
from millstream.core.ids import BlobKey, OperatorId
from millstream.proto.v1 import job_graph_pb2 as pb

JOB_SETTINGS: Final = ("pipeline.", "execution.", "parallelism.", "restart-strategy.", "state.", "table.")
"""Prefixes of the settings that travel with a job; a cluster's own settings do not."""


@dataclass(frozen=True)
class TranslatedJob:
    """A job ready to be submitted. ``blobs`` holds every blob that ``graph`` names."""

    graph: pb.JobGraph
    blobs: dict[BlobKey, bytes]
    operator_ids: Mapping[int, OperatorId] = field(default_factory=dict)
    """By node of the stream graph."""


def layout_of(graph: StreamGraph, configuration: Mapping[str, Any]) -> Layout:
    """Chains, ids and key-group counts of a stream graph. Raises ``JobGraphError`` for a graph that is no job."""
    check_graph(graph)
    max_parallelism = effective_max_parallelism(graph, int(configuration.get("pipeline.max-parallelism", 128)))
    enabled = bool(configuration.get("pipeline.operator-chaining.enabled", True))
    chains = chains_of(graph, max_parallelism, enabled=enabled)
    return Layout(graph, chains, operator_ids(graph), max_parallelism)


def translate(stream_graph: StreamGraph, job_id: str, configuration: Mapping[str, Any]) -> TranslatedJob:
    """The job graph with all user code.

    ``configuration``: flattened settings, durations in milliseconds. Raises ``JobGraphError`` for a graph that is no
    job, ``PicklingError`` naming what cannot travel, ``ConfigError`` for local modules that are too large to ship.
    """
    layout = layout_of(with_columnar_sources(stream_graph), configuration)
    blobs: dict[BlobKey, bytes] = {}

    def add_blob(data: bytes) -> str:
        key = BlobKey(sha256(data).hexdigest())
        blobs[key] = data
        return key

    archive = ModuleArchive.of_this_process()
    job = pb.JobGraph(
        job_id=job_id,
        name=stream_graph.job_name,
        vertices=vertex_messages(layout),
        edges=edge_messages(layout),
        configuration={key: json.dumps(value) for key, value in configuration.items() if key.startswith(JOB_SETTINGS)},
        format_version=PAYLOAD_FORMAT,
        restore_path=str(configuration.get("execution.state-recovery.path") or ""),
        allow_non_restored_state=bool(configuration.get("execution.state-recovery.ignore-unclaimed-state", False)),
        python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
    )
    for vertex, chain in zip(job.vertices, layout.chains, strict=True):
        payload = payload_of(
            layout,
            chain,
            generic_types=bool(configuration.get("pipeline.generic-types", True)),
            buffer_timeout_ms=int(configuration.get("execution.buffer-timeout.interval", 100)),
        )
        vertex.payload_blob = add_blob(dump_vertex(payload, stream_graph, archive))
        head = layout.graph.nodes[chain.head]
        if isinstance(head.spec, SourceSpec):
            vertex.enumerator_blob = add_blob(dump_source(head.spec.source, stream_graph, archive))
    modules = archive.zipped()
    if modules:
        job.modules_blob = add_blob(modules)
    return TranslatedJob(job, blobs, layout.ids)


def render_plan(job_graph: pb.JobGraph) -> str:
    """The plan as text: vertices, the operators chained in each, where records go and where they may be pickled."""
    from millstream.client.plan import plan_text
    from millstream.client.session import slots_needed

    return plan_text(job_graph, slots_needed(job_graph))
