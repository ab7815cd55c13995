"""The checkpoints of one job in their storage. Everything here blocks and runs on a worker thread."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping

from millstream.core.checkpoint.manifest import (
    MANIFEST_NAME,
    check_files,
    checkpoint_name,
    read_manifest,
    state_files,
    write_manifest,
)
from millstream.core.checkpoint.storage import Storage, location_of
from millstream.core.errors import CheckpointError, ConfigError, UnavailableError
from millstream.core.failpoints import failpoint
from millstream.core.ids import SubtaskId, VertexId
from millstream.core.protocol_log import record
from millstream.jobmanager.checkpointing.ledger import Ledger, Taken
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2

States = Mapping[SubtaskId, checkpoint_pb2.SubtaskState]


class CheckpointStore:
    """Below the storage's location, which belongs to the job alone. ``ledger`` says which checkpoints count."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.ledger = Ledger(storage)
        self._in_doubt: set[int] = set()
        """Checkpoints of which the storage did not say whether they count, nor take that they do not."""

    def location(self, checkpoint_id: int) -> str:
        return location_of(
            self.storage.location, checkpoint_name(checkpoint_id, self.ledger.generation_of(checkpoint_id))
        )

    def lead(self) -> None:
        """Before anything is written. Raises ``ConfigError``: a job does not start whose checkpoints have no place."""
        if not self.ledger.generation:
            try:
                self.ledger.lead()
            except OSError as error:
                place = self.storage.location
                raise ConfigError(
                    f"checkpoints cannot be written to {place}: {error.strerror or error}. It must be a directory "
                    f"that the cluster may write to, or a URL; execution.checkpointing.dir names it."
                ) from error

    def take_over(self) -> Taken:
        """Instead of ``lead``, of a job that another JobManager led.

        Raises ``DamagedStateError``, ``FencedError``; ``UnavailableError`` if the storage refuses: try again later.
        """
        try:
            return self.ledger.take_over()
        except OSError as error:
            place = self.storage.location
            raise UnavailableError(f"the checkpoints in {place} cannot be read: {error.strerror or error}") from error

    def told(self, kept: Iterable[int]) -> list[checkpoint_pb2.CheckpointSummary]:
        """What is known of checkpoints that a former leader completed; those that cannot be read are left out."""
        summaries = []
        for number in kept:
            with contextlib.suppress(CheckpointError):
                manifest = read_manifest(self.storage, checkpoint_name(number, self.ledger.generation_of(number)))
                summaries.append(
                    checkpoint_pb2.CheckpointSummary(
                        checkpoint_id=number,
                        status="COMPLETED",
                        triggered_ms=manifest.triggered_ms,
                        ended_ms=manifest.completed_ms,
                        state_bytes=sum(file.length for _, file in state_files(manifest)),
                        path=self.location(number),
                    )
                )
        return summaries

    def seal(self, manifest: checkpoint_pb2.CheckpointManifest) -> str:
        """Write the manifest and make it count; where it is. Raises ``CheckpointError``."""
        number, place = manifest.checkpoint_id, self.location(manifest.checkpoint_id)
        manifest.generation = self.ledger.generation
        try:
            try:
                failpoint("manifest.write")
                write_manifest(self.storage, manifest, checkpoint_name(number, self.ledger.generation))
                failpoint("manifest.written")
                self.ledger.sealed(manifest)
                counts = self.ledger.claim(number, manifest.parent_id)
            except OSError:
                self._in_doubt.add(number)
                self._give_up()
                raise
            if not counts:
                self.ledger.abandon(number)
                raise CheckpointError(f"checkpoint {number} in {place} was claimed by somebody else")
        except OSError as error:
            raise CheckpointError(f"the manifest in {place} cannot be written: {error.strerror or error}") from error
        return place

    def settle(self) -> None:
        """Before anything starts from an earlier checkpoint, and sinks drop what came after it: what is in doubt is
        given up for good. Otherwise another leader could go on from it. Raises ``UnavailableError``, ``FencedError``.
        """
        try:
            self._give_up()
        except OSError as error:
            numbers = ", ".join(map(str, sorted(self._in_doubt)))
            raise UnavailableError(
                f"it cannot be recorded in {self.storage.location} that checkpoint {numbers} was given up: "
                f"{error.strerror or error}"
            ) from error

    def _give_up(self) -> None:
        for number in sorted(self._in_doubt):
            self.ledger.abandon(number)
            self._in_doubt.discard(number)

    def discard_all(self) -> None:
        """The job needs none of its checkpoints any more."""
        failpoint("discard.all")
        record("files.discarded", job=self.ledger.job, generation=self.ledger.generation, paths=[])
        for name in self.storage.list():
            if name.startswith("chk-"):
                self.storage.delete(f"{name}/{MANIFEST_NAME}")
        self.storage.delete_tree()


def read_checkpoint(storage: Storage) -> checkpoint_pb2.CheckpointManifest:
    """The manifest at the storage's location, whose files are all there. Raises ``CheckpointError``."""
    manifest = read_manifest(storage)
    check_files(storage, "", manifest)
    return manifest


def manifest_of(
    graph: job_graph_pb2.JobGraph,
    checkpoint_id: int,
    triggered_ms: int,
    completed_ms: int,
    states: States,
    enumerators: Mapping[str, bytes],
    *,
    savepoint: bool,
    parent_id: int,
) -> checkpoint_pb2.CheckpointManifest:
    """All that is known of a checkpoint to which every subtask has contributed."""
    manifest = checkpoint_pb2.CheckpointManifest(
        job_id=graph.job_id,
        job_name=graph.name,
        checkpoint_id=checkpoint_id,
        triggered_ms=triggered_ms,
        completed_ms=completed_ms,
        savepoint=savepoint,
        parent_id=parent_id,
    )
    for edge in graph.edges:
        manifest.edges.add(
            edge_id=edge.edge_id,
            source_vertex=edge.source_vertex,
            target_vertex=edge.target_vertex,
            exchange=job_graph_pb2.Exchange.Name(edge.exchange),
        )
    for vertex in graph.vertices:
        vertex_id = VertexId(vertex.vertex_id)
        manifest.vertices.add(
            vertex_id=vertex.vertex_id,
            name=vertex.name,
            parallelism=vertex.parallelism,
            max_parallelism=vertex.max_parallelism,
            subtasks=[states[SubtaskId(vertex_id, index)] for index in range(vertex.parallelism)],
            operator_ids=[operator.operator_id for operator in vertex.operators],
            operator_names=[operator.name for operator in vertex.operators],
            operators=vertex.operators,
            enumerator=enumerators.get(vertex.vertex_id, b""),
            has_enumerator=vertex.vertex_id in enumerators,
        )
    return manifest
