"""What a new leader finds of an earlier one's jobs, whenever that one died, and however its records were damaged."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from leaders import Led, MemoryStorage

from millstream.core.checkpoint.storage import LocalStorage, Storage
from millstream.core.clock import ManualClock
from millstream.core.errors import CheckpointError, ExternalError, FencedError
from millstream.core.failpoints import arm
from millstream.core.ids import JobId
from millstream.core.rpc.blobs import blob_key
from millstream.jobmanager.blob_store import BlobStore
from millstream.jobmanager.ha.job_records import Record, files_by_job, parse
from millstream.jobmanager.ha.job_store import JobStore, NoStore, Recovered, StoredJob
from millstream.jobmanager.ha.storage_job_store import StorageJobStore
from millstream.proto.v1 import common_pb2, job_graph_pb2, job_store_pb2, jobmanager_pb2

CODE = b"user code"
ONE, TWO = JobId("1" * 32), JobId("2" * 32)


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm("")


@pytest.fixture(params=["memory", "directory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    return MemoryStorage() if request.param == "memory" else LocalStorage(tmp_path / "store")


class Leaders:
    """Each one has a blob store of its own."""

    def __init__(self, storage: Storage, directory: Path, results_max: int = 5) -> None:
        self.storage = storage
        self._directory = directory
        self._results_max = results_max
        self.epoch = 0
        self.led: dict[int, Led] = {}
        self.blobs: dict[int, BlobStore] = {}

    def next(self) -> StorageJobStore:
        self.epoch += 1
        self.led[self.epoch] = Led(self.epoch)
        blobs = self.blobs[self.epoch] = BlobStore(self._directory / f"blobs-{self.epoch}")
        clock = ManualClock(wall_ms=self.epoch * 1000)
        return StorageJobStore(self.storage, self.led[self.epoch], blobs, clock, self._results_max)

    def first(self) -> StorageJobStore:
        made = self.next()
        made.recover()
        self.blobs[self.epoch].path(blob_key(CODE)).write_bytes(CODE)
        return made


@pytest.fixture
def leaders(storage: Storage, tmp_path: Path) -> Leaders:
    return Leaders(storage, tmp_path)


def job(job_id: str = ONE, parallelism: int = 1) -> job_graph_pb2.JobGraph:
    vertex = job_graph_pb2.Vertex(vertex_id="v.1/x", parallelism=parallelism, payload_blob=blob_key(CODE))
    return job_graph_pb2.JobGraph(job_id=job_id, name=f"job {job_id[0]}", vertices=[vertex])


def result(job_id: str = ONE, ended_ms: int = 1) -> jobmanager_pb2.JobDetails:
    summary = jobmanager_pb2.JobSummary(job_id=job_id, status=common_pb2.JOB_STATUS_FINISHED, ended_ms=ended_ms)
    return jobmanager_pb2.JobDetails(summary=summary)


def journal(state: str = "") -> job_store_pb2.SourceJournal:
    return job_store_pb2.SourceJournal(attempt=1, enumerator=state.encode())


def names(storage: Storage) -> list[str]:
    return [name for directory in ("epochs", "jobs") for name in storage.list(directory)]


def kinds(storage: Storage) -> list[str]:
    return sorted(record.kind for name in storage.list("jobs") if (record := parse(name)))


def test_a_job_is_found_as_it_was_last_deployed(leaders: Leaders) -> None:
    one = leaders.first()
    one.accept(job(), submitted_ms=7)
    one.accept(job(), submitted_ms=8)
    one.put(job(), 0)
    one.put(job(parallelism=2), 3)
    one.put_source(ONE, "v.1/x", journal("first"))
    one.put_source(ONE, "v.1/x", journal("second"))
    two = leaders.next()
    found = two.recover()
    assert found.jobs == (StoredJob(job(parallelism=2), 3, 7, {"v.1/x": journal("second")}),)
    assert found.results == found.to_clean == ()
    assert leaders.blobs[2].path(blob_key(CODE)).read_bytes() == CODE
    two.put(job(parallelism=5), 4)
    assert leaders.next().recover().jobs == (StoredJob(job(parallelism=5), 4, 7, {"v.1/x": journal("second")}),)


def test_how_a_job_was_about_to_end_is_found_by_every_later_leader(leaders: Leaders) -> None:
    one = leaders.first()
    one.accept(job(), 7)
    one.will_end(ONE, job_store_pb2.JobEnding())
    ending = job_store_pb2.JobEnding(savepoint="/kept/one", checkpoint_id=8, drain=True)
    one.will_end(ONE, ending)
    for _ in range(2):
        (found,) = leaders.next().recover().jobs
        assert found.ending == ending


def test_what_was_appended_to_a_journal_counts_with_the_record_before_it(leaders: Leaders, storage: Storage) -> None:
    one = leaders.first()
    one.accept(job(), 7)
    one.put_source(ONE, "v", journal("all"))
    for count in (1, 2):
        splits = [b"%d" % number for number in range(count)]
        one.put_source(ONE, "v", job_store_pb2.SourceJournal(attempt=1, appended=True, handed_out=splits))
    two = leaders.next()
    (found,) = two.recover().jobs
    expected = job_store_pb2.SourceJournal(attempt=1, enumerator=b"all", handed_out=[b"0", b"1"])
    assert found.sources == {"v": expected}
    two.put_source(ONE, "v", job_store_pb2.SourceJournal(attempt=1, appended=True, handed_out=[b"2"]))
    expected.handed_out.append(b"2")
    assert leaders.next().recover().jobs[0].sources == {"v": expected}
    three = leaders.next()
    three.recover()
    three.put_source(ONE, "v", journal("rest"))
    assert leaders.next().recover().jobs[0].sources == {"v": journal("rest")}
    assert kinds(storage) == ["accepted", f"blob-{blob_key(CODE)}", "graph", "source-v"]


def test_former_records_are_removed(leaders: Leaders, storage: Storage) -> None:
    one = leaders.first()
    one.accept(job(), 7)
    for attempt in range(1, 5):
        one.put(job(), attempt)
        one.put_source(ONE, "v", journal(f"{attempt}"))
    expected = ["accepted", f"blob-{blob_key(CODE)}", "graph", "source-v"]
    assert kinds(storage) == expected
    leaders.next().recover()
    assert kinds(storage) == expected
    found = [record for name in storage.list("jobs") if (record := parse(name))]
    assert {record.epoch for record in found if not record.kind.startswith("blob-")} == {2}
    assert storage.list("epochs") == ["leads.2", "recovered.2"]


def test_a_stale_leader_changes_nothing(leaders: Leaders, storage: Storage) -> None:
    one = leaders.first()
    one.accept(job(), 7)
    two = leaders.next()
    two.recover()
    before = names(storage)
    for attempt in (
        lambda: one.accept(job(TWO), 7),
        lambda: one.put(job(), 9),
        lambda: one.put_source(ONE, "v", journal()),
        lambda: one.end(result()),
        lambda: one.forget(ONE),
    ):
        with pytest.raises(FencedError, match=r"leader 1 of .*leader 2 has taken the jobs over"):
            attempt()
    assert names(storage) == before and leaders.led[1].lost and not leaders.led[2].lost


def test_no_two_leaders_have_one_epoch(leaders: Leaders) -> None:
    leaders.first()
    leaders.epoch = 0
    with pytest.raises(FencedError, match="another process has written as leader 1"):
        leaders.next().recover()


def test_a_leader_that_lost_its_leadership_writes_nothing(leaders: Leaders, storage: Storage) -> None:
    one = leaders.first()
    before = names(storage)
    leaders.led[1].lost = "its lease is over"
    with pytest.raises(FencedError, match="its lease is over"):
        one.accept(job(), 7)
    assert names(storage) == before


def test_a_store_that_was_wiped_stops_its_leader(leaders: Leaders, storage: Storage) -> None:
    one = leaders.first()
    one.accept(job(), 7)
    storage.delete_tree("epochs")
    with pytest.raises(FencedError, match="the records are gone"):
        one.put(job(), 1)


def test_an_ended_job_leaves_its_result_and_nothing_else(leaders: Leaders, storage: Storage) -> None:
    one = leaders.first()
    one.accept(job(), 7)
    one.put_source(ONE, "v", journal("x"))
    one.end(result())
    one.end(result())
    assert [graph.job_id for graph in leaders.next().recover().to_clean] == [ONE]
    two = leaders.next()
    assert two.recover() == Recovered((), (result(),), (job(),))
    two.forget(ONE)
    assert kinds(storage) == ["result"]
    assert leaders.next().recover() == Recovered((), (result(),), ())


def test_only_the_newest_results_stay(storage: Storage, tmp_path: Path) -> None:
    leaders = Leaders(storage, tmp_path, results_max=2)
    one = leaders.first()
    for number in range(5):
        one.accept(job(f"{number}"), 7)
    one.end(result("0", ended_ms=100))
    for number in range(1, 5):
        one.end(result(f"{number}", ended_ms=number))
        one.forget(JobId(f"{number}"))
    found = leaders.next().recover()
    assert [r.summary.job_id for r in found.results] == ["3", "4", "0"]
    assert [graph.job_id for graph in found.to_clean] == ["0"], "what it left is not lost sight of"


def test_nothing_comes_back_that_a_stale_leader_writes_late(leaders: Leaders, storage: Storage) -> None:
    one = leaders.first()
    one.accept(job(), 7)
    two = leaders.next()
    two.recover()
    two.end(result())
    two.forget(ONE)
    two.accept(job(TWO), 7)
    two.end(result(TWO, 2))
    two.forget(TWO)
    late = one._jobs[ONE]
    one._create_graph(late)
    one._create(TWO, "source-v", b"x")
    assert leaders.next().recover().jobs == ()
    storage.delete_tree("jobs")
    one._create_graph(late)
    assert leaders.next().recover() == Recovered(), "not even when its result has been forgotten"


def test_a_result_that_came_too_late_is_void(leaders: Leaders) -> None:
    one = leaders.first()
    one.accept(job(), 7)
    leaders.next().recover()
    one._create(ONE, "result", result().SerializeToString())
    found = leaders.next().recover()
    assert [found.graph.job_id for found in found.jobs] == [ONE] and found.results == ()


@pytest.mark.parametrize("place", ["jobstore.lead", "jobstore.leads", "jobstore.adopted", "jobstore.recovered"])
def test_the_next_leader_finds_the_same_when_one_dies_while_it_takes_over(leaders: Leaders, place: str) -> None:
    one = leaders.first()
    one.accept(job(), 7)
    one.put_source(ONE, "v", journal("x"))
    one.accept(job(TWO), 7)
    one.end(result(TWO))
    for _ in range(2):
        arm(f"{place}=error")
        with pytest.raises(CheckpointError):
            leaders.next().recover()
    arm("")
    expected = Recovered((StoredJob(job(), 0, 7, {"v": journal("x")}),), (result(TWO),), (job(TWO),))
    assert leaders.next().recover() == expected


@pytest.mark.parametrize(("place", "is_there"), [("jobstore.accept", False), ("jobstore.accepted", True)])
def test_a_submission_is_there_whole_or_not_at_all(leaders: Leaders, place: str, is_there: bool) -> None:
    one = leaders.first()
    arm(f"{place}=error")
    with pytest.raises(CheckpointError):
        one.accept(job(), 7)
    arm("")
    found = leaders.next().recover()
    assert bool(found.jobs) is is_there and found.results == ()
    if not is_there:
        assert names(leaders.storage) == ["leads.2", "recovered.2"]


@pytest.mark.parametrize("place", ["jobstore.accept", "jobstore.accepted"])
def test_a_submission_that_the_storage_refuses_leaves_nothing(leaders: Leaders, place: str) -> None:
    one = leaders.first()
    arm(f"{place}=io-error")
    with pytest.raises(ExternalError, match=r"cannot keep the job .*high-availability\.storageDir"):
        one.accept(job(), 7)
    arm("")
    assert names(leaders.storage) == ["leads.1", "recovered.1"]
    one.accept(job(), 7)
    assert leaders.next().recover().jobs


def test_records_that_the_storage_refuses_may_be_written_again(leaders: Leaders) -> None:
    one = leaders.first()
    one.accept(job(), 7)
    for place in ("jobstore.write", "jobstore.written"):
        arm(f"{place}=io-error@1")
        with pytest.raises(ExternalError, match="cannot write to the job store"):
            one.put(job(), 3)
        one.put(job(), 4)
        arm(f"{place}=io-error@1")
        with pytest.raises(ExternalError, match="cannot write to the job store"):
            one.put_source(ONE, "v", journal("x"))
        one.put_source(ONE, "v", journal("y"))
    arm("jobstore.written=io-error@1")
    with pytest.raises(ExternalError):
        one.end(result())
    one.end(result())
    found = leaders.next().recover()
    assert found.jobs == () and found.results == (result(),)


def damage(storage: MemoryStorage, path: str, how: str, generator: random.Random) -> None:
    data = storage.files[path]
    match how:
        case "flip":
            at = generator.randrange(len(data) * 8)
            storage.files[path] = (int.from_bytes(data) ^ (1 << at)).to_bytes(len(data))
        case "cut":
            storage.files[path] = data[: generator.randrange(len(data))]
        case "missing":
            del storage.files[path]
        case "swap":
            others = [v for k, v in storage.files.items() if kind_of(k) == kind_of(path) and k != path]
            storage.files[path] = generator.choice(others)


def kind_of(path: str) -> str:
    record = parse(path.removeprefix("jobs/"))
    return record.kind if record else ""


@pytest.mark.parametrize("how", ["flip", "cut", "missing", "swap"])
@pytest.mark.parametrize("kind", ["graph", "source-v", f"blob-{blob_key(CODE)}"])
def test_a_damaged_record_fails_that_job_alone_and_is_named(tmp_path: Path, kind: str, how: str) -> None:
    if (kind.partition("-")[0], how) in {("source", "missing"), ("blob", "swap")}:
        return  # as if the source had never been started; the same blob
    generator = random.Random(f"{kind}{how}")
    for case in range(30):
        storage = MemoryStorage()
        leaders = Leaders(storage, tmp_path / f"{case}")
        one = leaders.first()
        for job_id in (ONE, TWO):
            one.accept(job(job_id), 7)
            one.put_source(job_id, "v", journal("x"))
        (path,) = [path for path in storage.files if path.startswith(f"jobs/{ONE}") and kind_of(path) == kind]
        damage(storage, path, how, generator)
        found = leaders.next().recover()
        assert [stored.graph.job_id for stored in found.jobs] == [TWO]
        (failed,) = found.results
        assert failed.summary.job_id == ONE and failed.summary.status == common_pb2.JOB_STATUS_FAILED
        assert failed.summary.name == "job 1" and failed.error.kind == "DamagedStateError"
        told = path if how != "missing" else path[: path.index(kind) + len(kind)]
        assert f"/store/{told}" in failed.error.message
        again = leaders.next().recover()
        assert again.results == (failed,) and [stored.graph.job_id for stored in again.jobs] == [TWO]


def test_a_damaged_result_does_not_bring_the_job_back(tmp_path: Path) -> None:
    storage = MemoryStorage()
    leaders = Leaders(storage, tmp_path)
    one = leaders.first()
    one.accept(job(), 7)
    one.end(result())
    (path,) = [path for path in storage.files if kind_of(path) == "result"]
    damage(storage, path, "flip", random.Random(1))
    found = leaders.next().recover()
    assert found.jobs == () and f"/store/{path}" in found.results[0].error.message


def test_drafts_and_other_files_are_no_records(tmp_path: Path) -> None:
    storage = MemoryStorage()
    leaders = Leaders(storage, tmp_path)
    leaders.first().accept(job(), 7)
    storage.files |= {"jobs/.draft": b"x", "epochs/.draft": b"x", "jobs/README": b"read me", "epochs/leads.x": b""}
    assert len(leaders.next().recover().jobs) == 1
    assert {"jobs/README", "epochs/leads.x"} <= storage.files.keys()
    assert not {"jobs/.draft", "epochs/.draft"} & storage.files.keys()


@pytest.mark.parametrize("text", ["plain", "with.dot", "with/slash", "ä ü", "..", "%2E", "a.graph.1.2"])
def test_names_are_read_as_they_were_written(text: str) -> None:
    record = Record(text, f"source-{text}", 12, 3)
    assert parse(record.name) == record and "/" not in record.name
    assert list(files_by_job([record.name], 0)[text].sources()) == [text]


def test_without_high_availability_nothing_is_kept() -> None:
    store: JobStore = NoStore()
    store.accept(job(), 7)
    store.put(job(), 1)
    store.put_source(ONE, "v", journal())
    store.end(result())
    store.forget(ONE)
    assert store.recover() == Recovered() and not store.keeps_jobs
