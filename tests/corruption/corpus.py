"""Real checkpoints, savepoints and records, made by jobs in a cluster."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from millstream.client.job_client import JobClient
from millstream.core.clock import ManualClock
from millstream.core.rpc.blobs import blob_key
from millstream.jobmanager.blob_store import BlobStore
from millstream.jobmanager.ha.storage_job_store import StorageJobStore
from millstream.proto.v1 import common_pb2, job_graph_pb2, job_store_pb2, jobmanager_pb2
from millstream.table import TableEnvironment
from millstream.testing import MiniCluster
from tests.chaos.job import Load
from tests.chaos.variants import CLUSTER, VARIANTS
from tests.corruption.targets import CheckpointTarget, CopiesTarget, JobStoreTarget, LedgerTarget, Target
from tests.unit.ha.leaders import Led, MemoryStorage

STREAMS: Final = {"memory": "aligned", "in flight": "unaligned", "RocksDB": "unaligned-rocksdb"}
CHECKPOINTS: Final = 6
WAIT_S: Final = 90.0
RETAINED: Final = {
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    "execution.checkpointing.num-retained": 3,
}
COUNTS: Final = """
CREATE TABLE numbers (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '2000',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '100000000');
CREATE TABLE counts (k BIGINT, c BIGINT, s BIGINT) WITH ('connector' = 'blackhole');
"""
JOB: Final = "1" * 32
CODE: Final = b"user code" * 50


class Corpus:
    """``directory`` holds it all; made with ``mini``, which knows nothing of it afterwards."""

    def __init__(self, mini: MiniCluster, directory: Path) -> None:
        self._mini = mini
        self._directory = directory
        self.loads: dict[str, Load] = {}
        """By kind: what the job of a stream's checkpoint works on."""
        self.checkpoints: dict[str, Path] = {}
        """By kind, one each; savepoints too."""
        self.targets: list[Target] = []

    def make(self) -> None:
        """Run the jobs, and cancel them."""
        for kind, variant in STREAMS.items():
            load = self.loads[kind] = Load(self._directory / f"job {kind}", pressure=VARIANTS[variant].pressure)
            load.directory.mkdir()
            environment = load.environment(2, {**VARIANTS[variant].settings, **RETAINED})
            self._keep(kind, self._mini.submit(environment, kind))
        for backend in ("memory", "rocksdb"):
            self._keep(f"SQL, {backend}", self._sql(backend))
        self.targets.append(LedgerTarget(self.checkpoints["memory"].parent))
        self.targets += [
            CopiesTarget(self.checkpoints[kind], self._directory / f"copies {kind}") for kind in ("memory", "RocksDB")
        ]
        self.targets.append(job_store(self._directory / "blobs"))

    def _sql(self, backend: str) -> JobClient:
        env = TableEnvironment.create()
        for key, value in {**RETAINED, "state.backend.type": backend, "parallelism.default": 2}.items():
            env.get_config().set(key, str(value))
        for statement in COUNTS.split(";")[:-1]:
            env.execute_sql(statement)
        insert = "INSERT INTO counts SELECT MOD(n, 3000) AS k, COUNT(*), SUM(n) FROM numbers GROUP BY MOD(n, 3000)"
        job = env.execute_sql(insert).get_job_client()
        assert job is not None
        return job

    def _keep(self, kind: str, job: JobClient) -> None:
        """The newest checkpoint and a savepoint of a job, which is cancelled."""
        self._mini.wait_until(
            lambda: job.describe().checkpoints.completed >= CHECKPOINTS, f"checkpoints of {kind}", WAIT_S
        )
        savepoint = Path(job.trigger_savepoint(str(self._directory / "made" / kind)).result())
        self._mini.wait_for_checkpoint(job, WAIT_S)
        job.cancel()
        job.wait_until_ended([], WAIT_S)
        found = sorted((self._directory / "checkpoints").glob(f"{job.job_id}/chk-*/MANIFEST"), key=_number)
        kept = self._directory / "kept" / kind
        shutil.copytree(found[-1].parent.parent, kept / "job")
        shutil.copytree(savepoint, kept / "savepoint" / savepoint.name)
        self.checkpoints[kind] = kept / "job" / found[-1].parent.name
        self.checkpoints[f"savepoint, {kind}"] = kept / "savepoint" / savepoint.name
        for named in (kind, f"savepoint, {kind}"):
            self.targets.append(CheckpointTarget(named, self.checkpoints[named]))


def job_store(directory: Path) -> JobStoreTarget:
    """Of a job that runs and of one that has ended."""
    files: dict[str, bytes] = {}
    blobs = BlobStore(directory)
    blobs.path(blob_key(CODE)).write_bytes(CODE)
    store = StorageJobStore(MemoryStorage(files), Led(1), blobs, ManualClock(), 5)
    store.recover()
    ended = "2" * 32
    for job_id in (JOB, ended):
        vertex = job_graph_pb2.Vertex(vertex_id="v", parallelism=1, payload_blob=blob_key(CODE))
        graph = job_graph_pb2.JobGraph(job_id=job_id, name="job", vertices=[vertex])
        store.accept(graph, 7)
        store.put(graph, 3)
        kept = job_store_pb2.SourceJournal(attempt=3, enumerator=b"state of an enumerator" * 20, numbers=[7])
        store.put_source(graph.job_id, "v", kept)
        since = job_store_pb2.SourceJournal(attempt=3, numbers=[8], handed_out=[b"splits" * 20], appended=True)
        store.put_source(graph.job_id, "v", since)
    summary = jobmanager_pb2.JobSummary(job_id=ended, status=common_pb2.JOB_STATUS_FINISHED, ended_ms=9)
    store.end(jobmanager_pb2.JobDetails(summary=summary))
    read = (f"{JOB}.graph.", f"{JOB}.source-", f"{JOB}.since-", f"{JOB}.blob-", f"{ended}.result.")
    names = [name for name in files if name.removeprefix("jobs/").startswith(read)]
    return JobStoreTarget(files, names, 2, directory)


def cluster(directory: Path) -> MiniCluster:
    """One that keeps its checkpoints below ``directory``."""
    settings: dict[str, Any] = {
        **CLUSTER,
        "io.tmp.dirs": str(directory / "cluster"),
        "execution.checkpointing.dir": str(directory / "checkpoints"),
    }
    return MiniCluster(2, 2, settings)


def files_of(targets: Iterable[Target]) -> int:
    return sum(len(target.names) for target in targets)


def _number(manifest: Path) -> int:
    return int(manifest.parent.name.split("-")[1])
