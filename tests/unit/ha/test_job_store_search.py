"""Leaders that do not know of each other write into one job store, each frozen or killed between any two of its steps.

A step is one call of the storage. Nobody ever tells a leader that it was replaced: the store has to find out. Whatever
the order, what a leader was told is done is found by every later one, what has ended stays so, and nothing that a
running job needs is removed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leaders import Led, MemoryStorage

from millstream.core.checkpoint.storage import Part
from millstream.core.clock import ManualClock
from millstream.core.errors import DamagedStateError, FencedError
from millstream.core.ids import JobId
from millstream.core.rpc.blobs import blob_key
from millstream.jobmanager.ha.job_records import parse
from millstream.jobmanager.ha.job_store import Recovered, StoredJob
from millstream.jobmanager.ha.storage_job_store import StorageJobStore
from millstream.proto.v1 import common_pb2, job_graph_pb2, job_store_pb2, jobmanager_pb2

pytestmark = pytest.mark.timeout(600)

WAIT_S = 100.0
LEADERS_MAX = 5
KEY = blob_key(b"code")


class Died(BaseException):
    """The process did."""


class Process:
    """Runs one thing at a time on a thread of its own, and stops before each step until it is let go on."""

    def __init__(self) -> None:
        self.is_dead = False
        self.busy = False
        self._failure: BaseException | None = None
        self._may_go = threading.Semaphore(0)
        self._stands = threading.Semaphore(0)

    def begin(self, work: Callable[[], None]) -> None:
        """Up to its first step."""

        def run() -> None:
            try:
                work()
            except (Died, FencedError):
                self.is_dead = True
            except BaseException as error:
                self._failure = error
            self.busy = False
            self._stands.release()

        self.busy = True
        threading.Thread(target=run, daemon=True).start()
        self._wait()

    def step(self) -> None:
        """Up to its next one."""
        self._may_go.release()
        self._wait()

    def finish(self) -> None:
        while self.busy:
            self.step()

    def kill(self) -> None:
        self.is_dead = True
        if self.busy:
            self.step()

    def _wait(self) -> None:
        assert self._stands.acquire(timeout=WAIT_S)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Called by what it runs."""
        self._stands.release()
        assert self._may_go.acquire(timeout=WAIT_S)
        if self.is_dead:
            raise Died


class SteppedStorage(MemoryStorage):
    def __init__(self, files: dict[str, bytes], process: Process) -> None:
        super().__init__(files)
        self._process = process

    def write(self, path: str, parts: Iterable[Part]) -> None:
        raise AssertionError("nothing is ever replaced")

    def create(self, path: str, data: bytes) -> bool:
        self._process.stop()
        return self.files.setdefault(path, data) is data

    def take(self, source: Path, path: str) -> None:
        self._process.stop()
        self.files[path] = b"code"

    def fetch(self, path: str, target: Path) -> None:
        self.read(path)

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        self._process.stop()
        return super().read(path, offset, length)

    def list(self, path: str = "") -> list[str]:
        self._process.stop()
        return super().list(path)

    def size(self, path: str) -> int | None:
        self._process.stop()
        return super().size(path)

    def delete(self, path: str) -> None:
        self._process.stop()
        super().delete(path)


class NoBlobs:
    """A blob store that has nothing of its own."""

    def has(self, key: str) -> bool:
        return False

    def path(self, key: str) -> Path:
        return Path(key)

    def bring(self, key: str, fetch: Callable[[Path], None], place: str) -> None:
        try:
            fetch(Path(key))
        except FileNotFoundError:
            raise DamagedStateError(f"{place} is missing") from None


@dataclass
class Done:
    """What a leader was told is done with one job."""

    attempt: int = 0
    journal: int = 0
    will_end: bool = False
    ended: bool = False


@dataclass
class Leader:
    epoch: int
    process: Process
    store: StorageJobStore
    found: Recovered | None = None
    done: dict[str, Done] = field(default_factory=dict)
    """What it was told; what it begins with is what it found."""
    ended: set[str] = field(default_factory=set)
    """What it was told of, or wanted to end."""
    known: set[str] = field(default_factory=set)

    def running(self) -> list[str]:
        return sorted(job for job in self.done if job not in self.ended)


class World:
    def __init__(self, results_max: int) -> None:
        self.results_max = results_max
        self.files: dict[str, bytes] = {}
        self.leaders: list[Leader] = []
        self.submitted = 0
        self.tried_to_end: dict[str, int] = {}
        """By job, the highest epoch of a leader that did, and still led when it decided so."""
        self.over: dict[str, int] = {}
        """Jobs that have ended for good, by the epoch that was told so."""

    def elect(self) -> None:
        epoch, process = len(self.leaders) + 1, Process()
        storage = SteppedStorage(self.files, process)
        blobs: Any = NoBlobs()
        store = StorageJobStore(storage, Led(epoch), blobs, ManualClock(epoch), self.results_max)
        leader = Leader(epoch, process, store)
        self.leaders.append(leader)

        def recover() -> None:
            found = store.recover()
            leader.found = found
            for job in found.jobs:
                state = told_by(job)
                leader.done[job.graph.job_id] = Done(job.attempt, state, job.ending is not None)
            for result in found.results:
                self.over.setdefault(result.summary.job_id, epoch)
            self.check()

        process.begin(recover)

    def act(self, leader: Leader, what: str, which: int) -> None:
        """Begin something that makes sense for a leader which believes that it leads."""
        if leader.process.is_dead or leader.process.busy or leader.found is None:
            return
        if what == "accept":
            self.submitted += 1
            job_id = f"job{self.submitted}"
            leader.process.begin(lambda: self._accept(leader, job_id))
            return
        if what == "forget":
            cleaned = sorted({*leader.ended, *(graph.job_id for graph in leader.found.to_clean)} - leader.known)
            if cleaned:
                job_id = cleaned[which % len(cleaned)]
                leader.known.add(job_id)
                leader.process.begin(lambda: leader.store.forget(JobId(job_id)))
            return
        running = leader.running()
        if running:
            job_id = running[which % len(running)]
            leader.process.begin(lambda: getattr(self, f"_{what}")(leader, job_id))

    def _accept(self, leader: Leader, job_id: str) -> None:
        leader.store.accept(graph(job_id), 7)
        leader.done[job_id] = Done()
        self.check()

    def _put(self, leader: Leader, job_id: str) -> None:
        attempt = leader.done[job_id].attempt + 1
        leader.store.put(graph(job_id, attempt), attempt)
        leader.done[job_id].attempt = attempt
        self.check()

    def _journal(self, leader: Leader, job_id: str) -> None:
        state = leader.done[job_id].journal + 1
        journal = job_store_pb2.SourceJournal(enumerator=b"%d" % state)
        if state % 2 == 0:  # what the last record has, and one thing more
            journal = job_store_pb2.SourceJournal(appended=True, handed_out=[b"more"])
        leader.store.put_source(JobId(job_id), "v", journal)
        leader.done[job_id].journal = state
        self.check()

    def _will_end(self, leader: Leader, job_id: str) -> None:
        leader.store.will_end(JobId(job_id), job_store_pb2.JobEnding())
        leader.done[job_id].will_end = True
        self.check()

    def _end(self, leader: Leader, job_id: str) -> None:
        if f"epochs/leads.{leader.epoch + 1}" not in self.files:
            self.tried_to_end[job_id] = leader.epoch
        leader.store.end(result(job_id))
        leader.done[job_id].ended = True
        leader.ended.add(job_id)
        self.over.setdefault(job_id, leader.epoch)
        self.check()

    def check(self) -> None:
        """After each thing that somebody was told, also of what others found before."""
        for later in self.leaders:
            if later.found is None:
                continue
            jobs = {job.graph.job_id: job for job in later.found.jobs}
            results = {result.summary.job_id: result for result in later.found.results}
            for result in results.values():
                assert result.summary.status == common_pb2.JOB_STATUS_FINISHED, f"{later.epoch}: {result}"
            for job_id, epoch in self.over.items():
                assert epoch >= later.epoch or job_id not in jobs, f"{job_id} is back for leader {later.epoch}"
            for job_id, job in jobs.items():
                assert job.graph == graph(job_id, job.attempt), "the graph is that of the attempt"
            for earlier in self.leaders[: later.epoch - 1]:
                for job_id, done in earlier.done.items():
                    if job_id in jobs:
                        job = jobs[job_id]
                        state = told_by(job)
                        found = (job.attempt, state, job.ending is not None)
                        told = f"leader {later.epoch} found {found} of {job_id}, leader {earlier.epoch} knew {done}"
                        assert not done.ended, told
                        assert job.attempt >= done.attempt and state >= done.journal, told
                        assert job.ending is not None or not done.will_end, told
                    else:
                        ended_by = self.tried_to_end.get(job_id, 0)
                        lost = f"leader {later.epoch} does not find {job_id} of leader {earlier.epoch}"
                        assert ended_by >= earlier.epoch, lost

    def end(self) -> None:
        """All die; one more leads, and cleans up."""
        for leader in self.leaders:
            leader.process.kill()
        self.elect()
        last = self.leaders[-1]
        last.process.finish()
        assert last.found is not None and not last.process.is_dead
        for graph_left in last.found.to_clean:
            last.process.begin(lambda left=graph_left: last.store.forget(JobId(left.job_id)))  # type: ignore[misc]
            last.process.finish()
        records = [parse(path.removeprefix("jobs/")) for path in self.files if path.startswith("jobs/")]
        running = {job.graph.job_id for job in last.found.jobs}
        ended = [record.job for record in records if record is not None and record.job not in running]
        assert all(record is not None and record.kind == "result" for record in records if record.job in ended)
        assert len(set(ended)) == len(ended) <= self.results_max
        assert sorted(path for path in self.files if path.startswith("epochs/")) == [
            f"epochs/leads.{last.epoch}", f"epochs/recovered.{last.epoch}",
        ]  # fmt: skip


def told_by(job: StoredJob) -> int:
    journal = job.sources.get("v")
    return 0 if journal is None else int(journal.enumerator) + len(journal.handed_out)


def graph(job_id: str, attempt: int = 0) -> job_graph_pb2.JobGraph:
    vertex = job_graph_pb2.Vertex(vertex_id="v", parallelism=attempt + 1, payload_blob=KEY)
    return job_graph_pb2.JobGraph(job_id=job_id, name=job_id, vertices=[vertex])


def result(job_id: str) -> jobmanager_pb2.JobDetails:
    summary = jobmanager_pb2.JobSummary(job_id=job_id, status=common_pb2.JOB_STATUS_FINISHED, ended_ms=1)
    return jobmanager_pb2.JobDetails(summary=summary)


LEADER = st.integers(0, LEADERS_MAX - 1)
ACTS = ["accept", "put", "journal", "will_end", "end", "forget"]
ACTIONS = st.lists(
    st.one_of(
        st.just(("elect", 0, 0)),
        st.tuples(st.just("kill"), LEADER, st.just(0)),
        st.tuples(st.just("step"), LEADER, st.integers(1, 12)),
        st.tuples(st.just("finish"), LEADER, st.just(0)),
        st.tuples(st.sampled_from(ACTS), LEADER, st.integers(0, 3)),
    ),
    max_size=60,
)


def run(results_max: int, actions: list[tuple[str, int, int]]) -> None:
    world = World(results_max)
    for what, which, number in [("elect", 0, 0), ("finish", 0, 0), *actions]:
        if what == "elect":
            if len(world.leaders) < LEADERS_MAX:
                world.elect()
            continue
        leader = world.leaders[which % len(world.leaders)]
        if what == "kill":
            leader.process.kill()
        elif what == "step":
            for _ in range(number):
                if leader.process.busy:
                    leader.process.step()
        elif what == "finish":
            leader.process.finish()
        else:
            world.act(leader, what, number)
    world.end()


@settings(deadline=None, max_examples=300)
@given(st.integers(0, 2), ACTIONS)
def test_whatever_the_order_nothing_is_lost_and_nothing_comes_back(
    results_max: int, actions: list[tuple[str, int, int]]
) -> None:
    run(results_max, actions)


def done(who: int, *acts: str) -> list[tuple[str, int, int]]:
    """One after the other, to their ends."""
    return [step for act in acts for step in ((act, who, 0), ("finish", who, 0))]


BEFORE = done(0, "accept", "put", "journal", "journal")
MEANWHILE: list[list[str]] = [
    [],
    ["put"],
    ["journal"],
    ["journal", "journal"],
    ["will_end"],
    ["accept"],
    ["end"],
    ["end", "forget"],
]


@pytest.mark.parametrize("results_max", [0, 2])
@pytest.mark.parametrize("act", ACTS)
def test_a_leader_that_is_frozen_at_any_step_of_what_it_does(act: str, results_max: int) -> None:
    """Another one leads meanwhile, and does something; then the first goes on, before or after a third one leads."""
    before = [*BEFORE, *(done(0, "end") if act == "forget" else [])]
    for steps in range(9):
        frozen = [*before, (act, 0, 0), ("step", 0, steps), ("elect", 0, 0), ("finish", 1, 0)]
        for meanwhile in MEANWHILE:
            second, thaw, third = done(1, *meanwhile), ("finish", 0, 0), [("elect", 0, 0), ("finish", 2, 0)]
            run(results_max, [*frozen, *second, thaw, *third])
            run(results_max, [*frozen, *second, *third, thaw])
        run(results_max, [*frozen, thaw, ("elect", 0, 0), ("finish", 2, 0)])


@pytest.mark.parametrize("act", ACTS)
def test_a_leader_that_goes_on_while_the_next_one_takes_over(act: str) -> None:
    """The next one is frozen or dies at any step; the first was frozen at any step too, or has only now decided."""
    before = [*BEFORE, *(done(0, "end") if act == "forget" else [])]
    for begun in (True, False):
        for steps in range(9 if begun else 1):
            first = [(act, 0, 0), ("step", 0, steps)] if begun else []
            for next_steps in range(0, 22, 1 if steps % 4 == 0 else 3):
                taking_over = [*before, *first, ("elect", 0, 0), ("step", 1, next_steps)]
                goes_on = [("finish", 0, 0)] if begun else done(0, act)
                third: list[tuple[str, int, int]] = [("elect", 0, 0), ("finish", 2, 0)]
                run(2, [*taking_over, *goes_on, ("finish", 1, 0), *done(1, "put"), *third])
                run(2, [*taking_over, *goes_on, ("kill", 1, 0), *third])
                run(2, [*taking_over, *goes_on, *third, ("finish", 1, 0)])
