"""The checkpoints of one job in their storage. Everything here blocks and runs on a worker thread."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Final

from millstream.core.checkpoint.manifest import (
    MANIFEST_NAME,
    SHARED,
    check_files,
    checkpoint_name,
    read_manifest,
    state_files,
    write_manifest,
)
from millstream.core.checkpoint.storage import Storage, location_of
from millstream.core.errors import CheckpointError
from millstream.core.ids import SubtaskId, VertexId
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2

States = Mapping[SubtaskId, checkpoint_pb2.SubtaskState]

_OF_CHECKPOINT: Final = re.compile(r"(\d+)-")
_DIRECTORY: Final = re.compile(r"chk-(\d+)")


class CheckpointStore:
    """Below the storage's location, which belongs to the job alone.

    A file in ``shared`` belongs to all checkpoints whose manifests refer to it, and goes with the last of them. The
    name of such a file begins with the number of the checkpoint that wrote it, so that what a given-up checkpoint or a
    crash left behind is found: it is older than the newest checkpoint, and no living one refers to it.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._files: dict[int, frozenset[str]] = {}
        """By completed checkpoint that is still there: the shared files it refers to."""

    def location(self, checkpoint_id: int) -> str:
        return location_of(self.storage.location, checkpoint_name(checkpoint_id))

    def seal(self, manifest: checkpoint_pb2.CheckpointManifest) -> str:
        """Write the manifest; where it is. Raises ``CheckpointError``."""
        directory = checkpoint_name(manifest.checkpoint_id)
        try:
            write_manifest(self.storage, manifest, directory)
        except OSError as error:
            place = self.location(manifest.checkpoint_id)
            raise CheckpointError(f"the manifest in {place} cannot be written: {error.strerror or error}") from error
        self._files[manifest.checkpoint_id] = shared_files(manifest)
        return self.location(manifest.checkpoint_id)

    def discard(self, checkpoint_id: int, live: frozenset[int], latest: int) -> None:
        """Remove a checkpoint: its manifest first, so that it never looks whole when it is not; then what is unused.

        ``live`` are the others that stay or are under way, ``latest`` the newest completed one.
        """
        self.storage.delete(f"{checkpoint_name(checkpoint_id)}/{MANIFEST_NAME}")
        self.storage.delete_tree(checkpoint_name(checkpoint_id))
        self._files.pop(checkpoint_id, None)
        self.sweep(live, latest)

    def sweep(self, live: frozenset[int], latest: int) -> None:
        """Remove what belongs to no living checkpoint."""
        if any(checkpoint_id not in self._files for checkpoint_id in live if checkpoint_id <= latest):
            return  # what they refer to is not known: better too many files than one too few
        used = frozenset().union(*self._files.values())
        for name in orphans(self.storage.list(SHARED), used, live, latest):
            self.storage.delete(f"{SHARED}/{name}")
        for name in self.storage.list():
            found = _DIRECTORY.fullmatch(name)
            if found and int(found[1]) < latest and int(found[1]) not in live:
                self.storage.delete_tree(name)

    def discard_all(self) -> None:
        """The job needs none of its checkpoints any more."""
        for name in self.storage.list():
            if _DIRECTORY.fullmatch(name):
                self.storage.delete(f"{name}/{MANIFEST_NAME}")
        self.storage.delete_tree()


def orphans(names: list[str], used: frozenset[str], live: frozenset[int], latest: int) -> list[str]:
    """Which shared files belong to nobody: not referred to, and not of a checkpoint that may still be completed."""
    found = []
    for name in names:
        number = _OF_CHECKPOINT.match(name)
        if number and int(number[1]) <= latest and int(number[1]) not in live - {latest} and name not in used:
            found.append(name)
    return found


def read_checkpoint(storage: Storage) -> checkpoint_pb2.CheckpointManifest:
    """The manifest at the storage's location, whose files are all there. Raises ``CheckpointError``."""
    manifest = read_manifest(storage)
    check_files(storage, "", manifest)
    return manifest


def shared_files(manifest: checkpoint_pb2.CheckpointManifest) -> frozenset[str]:
    """Names of the shared files that a manifest refers to."""
    return frozenset(
        posixpath.basename(file.path) for _, file in state_files(manifest) if file.path.startswith(f"../{SHARED}/")
    )


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
            enumerator=enumerators.get(vertex.vertex_id, b""),
            has_enumerator=vertex.vertex_id in enumerators,
        )
    return manifest
