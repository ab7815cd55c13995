"""The checkpoints of one job on disk. Everything here blocks and runs on a worker thread."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from millstream.core.checkpoint.files import sync_file
from millstream.core.checkpoint.manifest import check_files, checkpoint_directory, read_manifest, write_manifest
from millstream.core.errors import CheckpointError
from millstream.core.ids import SubtaskId, VertexId
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2

States = Mapping[SubtaskId, checkpoint_pb2.SubtaskState]


class CheckpointStore:
    """Below ``directory``, which belongs to the job alone."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, checkpoint_id: int) -> Path:
        return checkpoint_directory(self.directory, checkpoint_id)

    def seal(self, manifest: checkpoint_pb2.CheckpointManifest) -> Path:
        """Write the manifest. Raises ``CheckpointError``."""
        directory = self.path(manifest.checkpoint_id)
        try:
            write_manifest(directory, manifest)
        except OSError as error:
            raise CheckpointError(
                f"the manifest in {directory} cannot be written: {error.strerror or error}"
            ) from error
        return directory

    def read(self, directory: Path) -> checkpoint_pb2.CheckpointManifest:
        """A checkpoint that is whole. Raises ``CheckpointError`` that names what is wrong."""
        manifest = read_manifest(directory)
        check_files(directory, manifest)
        return manifest

    def copy_as_savepoint(self, manifest: checkpoint_pb2.CheckpointManifest, target: Path) -> Path:
        """A checkpoint of its own in ``target``, which nothing here ever removes. Raises ``CheckpointError``."""
        source = self.path(manifest.checkpoint_id)
        copied = checkpoint_pb2.CheckpointManifest()
        copied.CopyFrom(manifest)
        copied.savepoint = True
        try:
            target.mkdir(parents=True)
            for vertex in copied.vertices:
                for subtask in vertex.subtasks:
                    if subtask.path:
                        shutil.copyfile(source / subtask.path, target / subtask.path)
                        sync_file(target / subtask.path)
            write_manifest(target, copied)
        except OSError as error:
            raise CheckpointError(f"cannot write the savepoint {target}: {error.strerror or error}") from error
        return target

    def discard(self, checkpoint_id: int) -> None:
        """Remove a checkpoint: its manifest first, so that it never looks whole when it is not."""
        directory = self.path(checkpoint_id)
        (directory / "MANIFEST").unlink(missing_ok=True)
        shutil.rmtree(directory, ignore_errors=True)

    def discard_all(self) -> None:
        """The job needs none of its checkpoints any more."""
        for directory in self.directory.glob("chk-*"):
            (directory / "MANIFEST").unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)


def manifest_of(
    graph: job_graph_pb2.JobGraph,
    checkpoint_id: int,
    triggered_ms: int,
    completed_ms: int,
    states: States,
    enumerators: Mapping[str, bytes],
) -> checkpoint_pb2.CheckpointManifest:
    """All that is known of a checkpoint to which every subtask has contributed."""
    manifest = checkpoint_pb2.CheckpointManifest(
        job_id=graph.job_id,
        job_name=graph.name,
        checkpoint_id=checkpoint_id,
        triggered_ms=triggered_ms,
        completed_ms=completed_ms,
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
