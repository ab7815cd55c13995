"""What is damaged, and how the product reads it: as it does when a job or a JobManager starts again."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from millstream.core.checkpoint.local_copies import CopyingStorage, LocalCopies
from millstream.core.checkpoint.manifest import MANIFEST_NAME, state_files
from millstream.core.checkpoint.storage import LocalStorage, Storage
from millstream.core.clock import ManualClock
from millstream.core.errors import DamagedStateError
from millstream.core.keys import key_group_range
from millstream.jobmanager.blob_store import BlobStore
from millstream.jobmanager.checkpointing.history import Unreadable
from millstream.jobmanager.checkpointing.ledger import Ledger
from millstream.jobmanager.checkpointing.protocol import Corrupt, recovery
from millstream.jobmanager.checkpointing.redistribution import redistribute
from millstream.jobmanager.checkpointing.store import read_checkpoint
from millstream.jobmanager.ha.storage_job_store import StorageJobStore
from millstream.taskmanager.checkpointing.state_files import StateReader
from millstream.taskmanager.state.rocksdb_files import fetch_database
from millstream.taskmanager.task.context import SubtaskInfo
from tests.corruption.damage import KINDS, DirectoryFiles, Files, MemoryFiles
from tests.oracle.held import graph_of, ways_into
from tests.unit.ha.leaders import Led, MemoryStorage

PARALLELISMS: Final = itertools.cycle((None, None, None, 1, 3))
"""At which a checkpoint is read, in turn; None for that at which it was taken."""


class Target(Protocol):
    """``kind`` is for the figures; ``names`` are of the files that may be damaged, ``kinds`` how."""

    kind: str
    files: Files
    names: list[str]
    kinds: dict[str, int]

    def read(self) -> None:
        """Raises ``MillstreamError``, which names the file, if any of it is not what was written."""
        ...


class CheckpointTarget:
    """The checkpoint or savepoint in a directory; of a checkpoint also the files beside it that it refers to."""

    kinds = KINDS

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self._directory = directory
        self._work = Path(tempfile.mkdtemp(prefix="read-", dir=directory.parent))
        self.files = DirectoryFiles(directory.parent)
        manifest = read_checkpoint(LocalStorage(directory))
        paths = {MANIFEST_NAME, *(file.path for _, file in state_files(manifest) if file.length)}
        self.names = sorted(str((directory / path).resolve().relative_to(directory.parent.resolve())) for path in paths)

    def read(self) -> None:
        parallelism = next(PARALLELISMS)
        read_all(LocalStorage(self._directory), self._directory, self._work, parallelism)


def read_all(storage: Storage, directory: Path, work: Path, parallelism: int | None) -> None:
    """What all subtasks of a job do that starts from a checkpoint, until they would process the first record."""
    manifest = read_checkpoint(LocalStorage(directory))
    graph = graph_of(manifest, parallelism)
    vertices = {vertex.vertex_id: vertex for vertex in graph.vertices}
    for (vertex_id, index), state in redistribute(graph, manifest, str(directory)).items():
        vertex = vertices[vertex_id]
        info = SubtaskInfo("", "", vertex_id, vertex.name, index, 0, vertex.parallelism, vertex.max_parallelism)
        groups = key_group_range(index, vertex.max_parallelism, vertex.parallelism)
        reader = StateReader(storage, state, info)
        for snapshot in reader.operators(groups).values():
            if snapshot.backend is None:
                continue
            for _ in snapshot.backend.chunks:
                pass
            for database in snapshot.backend.databases:
                shutil.rmtree(work / "db", ignore_errors=True)
                fetch_database(database, work / "db")
        for _ in reader.in_flight({edge: lambda batch: batch for edge in ways_into(graph, vertex_id)}):
            pass


class CopiesTarget:
    """Copies of a checkpoint's files on a TaskManager's own disk: for a damaged one the storage is read."""

    kind = "local copy"
    kinds = KINDS

    def __init__(self, directory: Path, near: Path) -> None:
        self._directory = directory
        self._near = near
        self._work = Path(tempfile.mkdtemp(prefix="read-", dir=near.parent))
        copies = self._copies()
        for _, file in state_files(read_checkpoint(LocalStorage(directory))):
            source = (directory / file.path).resolve()
            target = copies.path_of(str(source))
            assert target is not None
            copies.put(target, source)
        self.files = DirectoryFiles(near)
        self.names = [name for name in self.files.names() if self.files.read(name)]

    def read(self) -> None:
        copies = self._copies()
        storage = CopyingStorage(LocalStorage(self._directory), copies)
        read_all(storage, self._directory, self._work, None)
        for name in self.names:
            path = self._near / name.removesuffix(".json")
            if not copies.whole(path):
                raise DamagedStateError(f"{path} was not used, nor what {path}.json tells of it")

    def _copies(self) -> LocalCopies:
        return LocalCopies(self._near, str(self._directory.parent.resolve()))


class LedgerTarget:
    """The records by which a job's checkpoints count. Those of a directory without any are legal, so none goes."""

    kind = "ledger record"
    kinds = {kind: weight for kind, weight in KINDS.items() if kind != "missing"}

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.files = DirectoryFiles(directory)
        found = [name for name in self.files.names() if name.startswith(("epochs/", "start-", "generation-"))]
        self.names = [name for name in found if self.files.read(name)]

    def read(self) -> None:
        observed = Ledger(LocalStorage(self._directory)).observe()
        records = [*observed.epochs.values(), *observed.starts.values(), *observed.manifests.values()]
        unreadable = [record.reason for record in records if isinstance(record, Unreadable)]
        decision = recovery(observed, max(observed.generations))
        if isinstance(decision, Corrupt):
            raise DamagedStateError(decision.reason)
        if unreadable:
            raise DamagedStateError("; ".join(unreadable))


class JobStoreTarget:
    """The records of jobs that the next leader reads."""

    kind = "job store record"

    def __init__(self, files: dict[str, bytes], names: Iterable[str], epoch: int, directory: Path) -> None:
        self.files = MemoryFiles(files)
        self.names = sorted(names)
        self._epoch = epoch
        self._directory = directory
        # A missing source record means that the source was not started yet; blobs are named by what they hold.
        self.kinds = {kind: weight for kind, weight in KINDS.items() if kind != "missing"}

    def read(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        storage = MemoryStorage(dict(self.files.files))
        store = StorageJobStore(storage, Led(self._epoch), BlobStore(self._directory), ManualClock(), 5)
        for result in store.recover().results:
            if result.error.kind == DamagedStateError.__name__:
                raise DamagedStateError(result.error.message)
