"""The enumerators of one job's sources, each for one attempt of its vertex."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from millstream.core.errors import CheckpointError
from millstream.core.ids import JobId, VertexId
from millstream.jobmanager.blob_store import BlobStore
from millstream.jobmanager.coordinators.source import Send, SourceCoordinator
from millstream.jobmanager.ha.job_store import JobStore
from millstream.proto.v1 import job_graph_pb2, job_store_pb2


class JobSources:
    """By vertex id."""

    def __init__(
        self,
        graph: job_graph_pb2.JobGraph,
        blobs: BlobStore,
        executor: ThreadPoolExecutor,
        send: Send,
        store: JobStore,
    ) -> None:
        self.coordinators: dict[str, SourceCoordinator] = {}
        self._graph = graph
        self._blobs = blobs
        self._executor = executor
        self._send = send
        self._store = store

    async def start(self, attempts: Mapping[VertexId, int], states: Mapping[str, bytes]) -> list[SourceCoordinator]:
        """Before these vertices are deployed; ``states``: what their enumerators start from, by the source's operator.

        What they hand out waits: ``release`` them when their readers are there.
        """
        made = [self._made(v, attempts, states.get(v.operators[0].operator_id)) for v in self._vertices(attempts)]
        await asyncio.gather(*(coordinator.start() for coordinator in made))
        return made

    def adopt(
        self, attempts: Mapping[VertexId, int], journals: Mapping[str, job_store_pb2.SourceJournal]
    ) -> list[SourceCoordinator]:
        """These vertices run on, that another JobManager deployed: the coordinators that are to ``resume``.

        Raises ``CheckpointError`` if the journal of one is not of its attempt.
        """
        for vertex in self._vertices(attempts):
            journal = journals.get(vertex.vertex_id)
            if journal is None or journal.attempt != attempts[VertexId(vertex.vertex_id)]:
                raise CheckpointError(f"it is not known which splits the readers of {vertex.name!r} have")
        return [self._made(v, attempts, journal=journals[v.vertex_id]) for v in self._vertices(attempts)]

    def close(self, vertices: Collection[VertexId]) -> None:
        """Nothing of these runs any more."""
        for vertex in vertices:
            coordinator = self.coordinators.pop(vertex, None)
            if coordinator is not None:
                coordinator.close()

    def _vertices(self, among: Collection[VertexId]) -> list[job_graph_pb2.Vertex]:
        return [v for v in self._graph.vertices if v.enumerator_blob and v.vertex_id in among]

    def _made(
        self,
        vertex: job_graph_pb2.Vertex,
        attempts: Mapping[VertexId, int],
        state: bytes | None = None,
        journal: job_store_pb2.SourceJournal | None = None,
    ) -> SourceCoordinator:
        keep = partial(self._store.put_source, JobId(self._graph.job_id), vertex.vertex_id)
        made = self.coordinators[vertex.vertex_id] = SourceCoordinator(
            vertex,
            self._blobs.path(vertex.enumerator_blob),
            self._executor,
            self._send,
            state,
            keep if self._store.keeps_jobs else None,
            attempts[VertexId(vertex.vertex_id)],
            journal,
        )
        return made
