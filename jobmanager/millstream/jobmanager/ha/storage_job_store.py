"""A job store in a directory, or wherever core's ``Storage`` reaches. ``job_records`` tells the protocol."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Final, NoReturn, TypeVar

from google.protobuf.message import DecodeError, Message

from millstream.core.checkpoint.framing import Framing
from millstream.core.checkpoint.storage import Storage, location_of
from millstream.core.clock import Clock
from millstream.core.errors import DamagedStateError, ExternalError, FencedError, MillstreamError
from millstream.core.failpoints import failpoint
from millstream.core.ids import JobId
from millstream.core.rpc.error_info import to_proto
from millstream.jobmanager.blob_store import BlobStore, blob_keys
from millstream.jobmanager.ha.job_records import (
    ACCEPTED,
    ENDING,
    EPOCHS,
    GRAPH,
    JOBS,
    RESULT,
    JobFiles,
    Record,
    blob_kind,
    epochs_before,
    epochs_of,
    files_by_job,
    leads_path,
    parse,
    recovered_path,
    removal_order,
    since_kind,
    source_kind,
)
from millstream.jobmanager.ha.job_store import Recovered, StoredJob
from millstream.jobmanager.ha.leadership import Leadership
from millstream.proto.v1 import common_pb2, job_graph_pb2, job_store_pb2, jobmanager_pb2

M = TypeVar("M", bound=Message)
_FRAMING: Final = Framing(b"MSJS", 1, "a record of a job store")

log = logging.getLogger("millstream.jobmanager")


class StorageJobStore:
    """``storage`` belongs to one cluster. ``blobs``: where user code is taken from, and brought back to."""

    keeps_jobs = True

    def __init__(
        self, storage: Storage, leadership: Leadership, blobs: BlobStore, clock: Clock, results_max: int
    ) -> None:
        self._storage = storage
        self._leadership = leadership
        self._epoch = leadership.epoch
        self._blobs = blobs
        self._clock = clock
        self._results_max = results_max
        self._numbers = itertools.count()
        self._newest: dict[tuple[str, str], Record] = {}
        """By job and kind, what this leader wrote."""
        self._jobs: dict[str, job_store_pb2.JobRecord] = {}
        """As the newest graph record of each job that has not ended has it."""
        self._ended_ms: dict[str, int] = {}
        """When each job ended that is not forgotten yet."""
        self._clean: dict[str, int] = {}
        """When each job ended that left nothing but its result."""
        self._lock = threading.Lock()  # for ``_clean``, which the threads of several jobs change

    # -- taking over --------------------------------------------------------------------------------------------------

    def recover(self) -> Recovered:
        with self._telling("read"):
            failpoint("jobstore.lead")
            if not self._storage.create(leads_path(self._epoch), b""):
                self._lose(f"another process has written as leader {self._epoch}")
            failpoint("jobstore.leads")
            self._look()
            recovered = epochs_of(self._storage.list(EPOCHS)).recovered
            found = files_by_job(self._storage.list(JOBS), recovered)
            jobs: list[StoredJob] = []
            results: list[jobmanager_pb2.JobDetails] = []
            for job_id, files in found.items():
                if files.has_ended:
                    results += self._results_of(job_id, files)
                elif files.was_accepted:
                    try:
                        jobs.append(self._adopt(self._read_job(job_id, files), files))
                    except DamagedStateError as error:
                        results.append(self._fail(job_id, files, error))
            failpoint("jobstore.adopted")
            self._storage.create(recovered_path(self._epoch), b"")
            self._look()
            failpoint("jobstore.recovered")
            to_clean = [graph for job_id, files in found.items() for graph in self._graph_left(job_id, files)]
            self._sweep(found)
            results.sort(key=lambda result: result.summary.ended_ms)
            ended_ms = {result.summary.job_id: result.summary.ended_ms for result in results}
            self._ended_ms = {graph.job_id: ended_ms.pop(graph.job_id, 0) for graph in to_clean}
            self._retain(ended_ms)
            return Recovered(tuple(jobs), tuple(results), tuple(to_clean))

    def _read_job(self, job_id: str, files: JobFiles) -> StoredJob:
        """With its blobs in the blob store. Raises ``DamagedStateError`` that names the file."""
        graph = files.newest.get(GRAPH)
        if graph is None:
            missing = self._place(files.newest[ACCEPTED]._replace(kind=GRAPH))
            raise DamagedStateError(f"{missing} is missing: what the job is to do is not known any more")
        record = self._read_graph(graph)
        kept = files.blobs()
        for key in sorted(blob_keys(record.graph)):
            if self._blobs.has(key):
                continue
            blob = kept.get(key, Record(job_id, blob_kind(key), self._epoch, 0))
            self._blobs.bring(key, partial(self._storage.fetch, blob.path), self._place(blob))
        sources = {vertex: self._read_journal(vertex, record, files) for vertex, record in files.sources().items()}
        planned = files.newest.get(ENDING)
        ending = None if planned is None else self._read_message(planned, job_store_pb2.JobEnding)
        return StoredJob(record.graph, record.attempt, record.submitted_ms, sources, ending)

    def _read_journal(self, vertex: str, record: Record, files: JobFiles) -> job_store_pb2.SourceJournal:
        """With what was appended to it."""
        journal = self._read_message(record, job_store_pb2.SourceJournal)
        since = files.newest.get(since_kind(vertex))
        appended = None if since is None else self._read_message(since, job_store_pb2.SourceJournal)
        if appended is None or appended.base != record.name:
            return journal
        return job_store_pb2.SourceJournal(
            attempt=appended.attempt,
            enumerator=journal.enumerator,
            numbers=appended.numbers,
            unsent=appended.unsent,
            handed_out=[*journal.handed_out, *appended.handed_out],
        )

    def _adopt(self, job: StoredJob, files: JobFiles) -> StoredJob:
        """Write it again as this leader's."""
        job_id = job.graph.job_id
        self._newest |= {(job_id, blob.kind): blob for blob in files.blobs().values()}
        self._keep_blobs(job.graph)
        for vertex, journal in job.sources.items():
            self._create(job_id, source_kind(vertex), journal.SerializeToString())
        if job.ending is not None:
            self._create(job_id, ENDING, job.ending.SerializeToString())
        self._create_graph(job_store_pb2.JobRecord(graph=job.graph, attempt=job.attempt, submitted_ms=job.submitted_ms))
        return job

    def _fail(self, job_id: str, files: JobFiles, error: DamagedStateError) -> jobmanager_pb2.JobDetails:
        """The result of a job whose records are damaged; they stay as they are for as long as it does."""
        log.error("job %s cannot go on: %s", job_id, error)
        try:
            accepted = files.newest.get(ACCEPTED)
            known = self._read_graph(accepted) if accepted else job_store_pb2.JobRecord()
        except DamagedStateError:
            known = job_store_pb2.JobRecord()
        result = _failed(job_id, error, self._clock.wall_ms())
        result.summary.name, result.summary.started_ms = known.graph.name, known.submitted_ms
        self._create(job_id, RESULT, result.SerializeToString())
        return result

    def _results_of(self, job_id: str, files: JobFiles) -> Iterator[jobmanager_pb2.JobDetails]:
        """The result; none when a former leader is just removing it."""
        record = files.newest[RESULT]
        if self._storage.size(record.path) is None:
            return
        try:
            yield self._read_message(record, jobmanager_pb2.JobDetails)
        except DamagedStateError as error:
            told = f"how the job ended is not known any more: {error}"
            yield _failed(job_id, DamagedStateError(told), 0)

    def _graph_left(self, job_id: str, files: JobFiles) -> Iterator[job_graph_pb2.JobGraph]:
        """Of an ended job of which more than its result is there."""
        graph = files.last_graph() if files.has_ended else None
        if graph is not None:
            try:
                yield self._read_graph(graph).graph
            except DamagedStateError as error:
                log.warning("job %s has ended, and its checkpoints are not removed: %s", job_id, error)

    def _sweep(self, found: Mapping[str, JobFiles]) -> None:
        """Remove what earlier leaders left and nobody needs."""
        mine = set(self._newest.values())
        for job_id, files in found.items():
            if not files.has_ended and not files.was_accepted:
                self._remove(files.all())
            elif (job_id, GRAPH) in self._newest:
                self._remove(r for r in files.all() if r not in mine)
            elif files.has_ended and files.last_graph() is None:
                self._remove(r for r in files.all() if r != files.newest[RESULT])
        for directory in (EPOCHS, JOBS):
            for name in self._storage.list(directory):
                if name.startswith("."):  # the draft of one that died while it wrote
                    self._tidy(f"{directory}/{name}")
        for name in epochs_before(self._storage.list(EPOCHS), self._epoch):
            self._tidy(f"{EPOCHS}/{name}")

    # -- one job ------------------------------------------------------------------------------------------------------

    def accept(self, graph: job_graph_pb2.JobGraph, submitted_ms: int) -> None:
        if (graph.job_id, ACCEPTED) in self._newest:
            return
        with self._telling("keep the job"):
            self._look()
            try:
                self._keep_blobs(graph)
                failpoint("jobstore.accept")
                self._create_graph(job_store_pb2.JobRecord(graph=graph, submitted_ms=submitted_ms))
                failpoint("jobstore.accepted")
            except OSError:
                self._remove_all_of(graph.job_id)
                raise
            self._look()

    def put(self, graph: job_graph_pb2.JobGraph, attempt: int) -> None:
        former = self._jobs[graph.job_id]
        record = job_store_pb2.JobRecord(graph=graph, attempt=attempt, submitted_ms=former.submitted_ms)
        if record != former:
            self._write(graph.job_id, GRAPH, record.SerializeToString())
            self._jobs[graph.job_id] = record

    def put_source(self, job_id: JobId, vertex_id: str, journal: job_store_pb2.SourceJournal) -> None:
        kind = source_kind(vertex_id)
        if journal.appended:
            journal.base = self._newest[job_id, kind].name
            kind = since_kind(vertex_id)
        self._write(job_id, kind, journal.SerializeToString())

    def will_end(self, job_id: JobId, ending: job_store_pb2.JobEnding) -> None:
        self._write(job_id, ENDING, ending.SerializeToString())

    def end(self, result: jobmanager_pb2.JobDetails) -> None:
        job_id = result.summary.job_id
        if (job_id, RESULT) not in self._newest:
            self._write(job_id, RESULT, result.SerializeToString())
        with self._lock:
            self._ended_ms[job_id] = result.summary.ended_ms

    def forget(self, job_id: JobId) -> None:
        with self._telling("remove what the job left"):
            failpoint("jobstore.forget")
            self._look()
            self._remove_all_of(job_id, but_result=True)
        self._jobs.pop(job_id, None)
        self._retain({job_id: self._ended_ms.pop(job_id, 0)})

    # -- records ------------------------------------------------------------------------------------------------------

    def _write(self, job_id: str, kind: str, body: bytes) -> None:
        """Look, write, look; then the former one may go."""
        with self._telling("write to"):
            self._look()
            failpoint("jobstore.write")
            former = self._newest.get((job_id, kind))
            self._create(job_id, kind, body)
            failpoint("jobstore.written")
            self._look()
            self._remove([former] if former else [])

    def _create_graph(self, record: job_store_pb2.JobRecord) -> None:
        """The first one of this leader."""
        job_id = record.graph.job_id
        self._create(job_id, GRAPH, record.SerializeToString())
        name = job_graph_pb2.JobGraph(job_id=job_id, name=record.graph.name)
        accepted = job_store_pb2.JobRecord(graph=name, submitted_ms=record.submitted_ms)
        self._create(job_id, ACCEPTED, accepted.SerializeToString())
        self._jobs[job_id] = record

    def _create(self, job_id: str, kind: str, body: bytes) -> None:
        record = Record(job_id, kind, self._epoch, next(self._numbers))
        data = b"".join(_FRAMING.seal(body, record.name.encode()))
        if not self._storage.create(record.path, data):
            self._lose(f"another process has written {self._place(record)}")
        self._newest[job_id, kind] = record

    def _keep_blobs(self, graph: job_graph_pb2.JobGraph) -> None:
        for key in sorted(blob_keys(graph)):
            if (graph.job_id, blob_kind(key)) not in self._newest:
                record = Record(graph.job_id, blob_kind(key), self._epoch, next(self._numbers))
                self._storage.take(self._blobs.path(key), record.path)
                self._newest[graph.job_id, record.kind] = record

    def _read_graph(self, record: Record) -> job_store_pb2.JobRecord:
        """Raises ``DamagedStateError``."""
        return self._read_message(record, job_store_pb2.JobRecord)

    def _read_message(self, record: Record, kind: type[M]) -> M:
        """Raises ``DamagedStateError``."""
        try:
            return kind.FromString(self._read(record))
        except DecodeError as error:
            raise DamagedStateError(f"{self._place(record)} is damaged: {error}") from error

    def _read(self, record: Record) -> bytes:
        """Raises ``DamagedStateError``."""
        try:
            data = self._storage.read(record.path)
        except FileNotFoundError:
            raise DamagedStateError(f"{self._place(record)} is missing") from None
        return _FRAMING.open(data, self._place(record), record.name.encode())

    def _remove_all_of(self, job_id: str, but_result: bool = False) -> None:
        records = [r for name in self._storage.list(JOBS) if (r := parse(name)) and r.job == job_id]
        result = max((record for record in records if record.kind == RESULT), default=None)
        kept = result if but_result else None
        self._remove(record for record in records if record.epoch <= self._epoch and record != kept)

    def _remove(self, records: Iterable[Record]) -> None:
        for record in removal_order(records):
            if self._newest.get((record.job, record.kind)) == record:
                del self._newest[record.job, record.kind]
            self._tidy(record.path)

    def _tidy(self, path: str) -> None:
        try:
            self._storage.delete(path)
        except OSError as error:
            log.warning("%s stays: %s", location_of(self._storage.location, path), error)

    def _retain(self, ended_ms: Mapping[str, int]) -> None:
        """These jobs left nothing but their results; those of the newest ones stay."""
        with self._lock:
            self._clean |= ended_ms
            oldest = sorted(self._clean, key=self._clean.__getitem__)[: max(0, len(self._clean) - self._results_max)]
            for job_id in oldest:
                del self._clean[job_id]
        for job_id in oldest:
            self._remove_all_of(job_id)

    def _look(self) -> None:
        """Raises ``FencedError`` when another leader has begun."""
        leads = epochs_of(self._storage.list(EPOCHS)).leads
        if leads != self._epoch:
            self._lose(f"leader {leads} has taken the jobs over" if leads > self._epoch else "the records are gone")
        self._leadership.check()

    def _lose(self, reason: str) -> NoReturn:
        self._leadership.lose(reason)
        raise FencedError(f"this JobManager, leader {self._epoch} of {self._storage.location}, does not lead: {reason}")

    def _place(self, record: Record) -> str:
        return location_of(self._storage.location, record.path)

    @contextmanager
    def _telling(self, purpose: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = self._storage.location
            raise ExternalError(
                f"cannot {purpose} the job store {place} (high-availability.storageDir): {error.strerror or error}"
            ) from error


def _failed(job_id: str, error: MillstreamError, ended_ms: int) -> jobmanager_pb2.JobDetails:
    summary = jobmanager_pb2.JobSummary(job_id=job_id, status=common_pb2.JOB_STATUS_FAILED, ended_ms=ended_ms)
    return jobmanager_pb2.JobDetails(summary=summary, error=to_proto(error), version=1)
