"""Which jobs are accepted, how they are found and described, when they wait for slots and give up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plans import graph, slot_report, vertex

from millstream.core.clock import ManualClock
from millstream.core.errors import InsufficientSlotsError, JobGraphError, MillstreamError, TaskManagerLostError
from millstream.core.ids import SlotId, TaskManagerId
from millstream.core.rpc.secret import ClusterSecret
from millstream.jobmanager import describe
from millstream.jobmanager.blob_store import BlobStore
from millstream.jobmanager.ha.job_store import NoStore
from millstream.jobmanager.ha.leadership import SoleLeadership
from millstream.jobmanager.jobs import UPLOAD_GRACE_MS, Jobs
from millstream.jobmanager.scheduling.slot_pool import SlotPool
from millstream.jobmanager.taskmanagers import TaskManagers
from millstream.proto.v1 import common_pb2, job_graph_pb2, jobmanager_pb2

ONE = TaskManagerId("one")
SLOT_TIMEOUT_S = 30.0


class Cluster:
    """The inside of a JobManager without its server; TaskManagers that nobody can call."""

    def __init__(self, directory: Path, slots_max: int | None = None, history_max: int = 3, **settings: Any) -> None:
        self.clock = ManualClock(wall_ms=1_000_000)
        secret = ClusterSecret(b"a secret of sixteen")
        self.taskmanagers = TaskManagers(SlotPool(), secret, self.clock, 50, SoleLeadership())
        self.jobs = Jobs(
            self.taskmanagers,
            BlobStore(directory / "blobs"),
            self.clock,
            secret,
            slot_timeout_s=SLOT_TIMEOUT_S,
            slots_max=slots_max,
            history_max=history_max,
            checkpoint_root=str(directory / "checkpoints"),
            cluster=settings,
            generator=random.Random(1),
            store=NoStore(),
            leadership=SoleLeadership(),
        )

    async def register(self, taskmanager: TaskManagerId = ONE, slots: int = 1) -> None:
        reports = [slot_report(taskmanager, index) for index in range(slots)]
        await self.taskmanagers.register(
            jobmanager_pb2.RegisterTaskManagerRequest(
                taskmanager_id=taskmanager, rpc_address="127.0.0.1:1", slots=reports, version="7"
            )
        )

    def report(self, job_id: str, vertex_id: str, index: int, status: int, **fields: Any) -> bool:
        return self.jobs.find(job_id).report(
            jobmanager_pb2.ReportSubtaskRequest(
                subtask=common_pb2.SubtaskRef(job_id=job_id, vertex_id=vertex_id, index=index),
                status=common_pb2.SubtaskStatus.ValueType(status),
                **fields,
            )
        )


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


async def turns() -> None:
    """What is ready to run does, and what that starts."""
    for _ in range(5):
        await asyncio.sleep(0)


def job(number: int = 1, parallelism: int = 2, **fields: Any) -> job_graph_pb2.JobGraph:
    return graph(vertex("v", parallelism), job_id=f"{number:032x}", **fields)


REFUSED = [
    ({"format_version": ""}, "payload format none"),
    ({"format_version": "999"}, "payload format 999"),
    ({"python_version": "2.7"}, "made by Python 2.7, this cluster runs Python 3"),
    ({"python_version": ""}, "made by Python unknown"),
    ({"job_id": ""}, "an id and at least one vertex"),
    ({"vertices": []}, "an id and at least one vertex"),
    ({"vertices": [vertex("v", 0)]}, "'v' has parallelism 0"),
    ({"vertices": [vertex("v", 129)]}, "'v' has parallelism 129 and max parallelism 128"),
    ({"modules_blob": "a" * 64}, "blobs that were not uploaded: aaaa"),
    ({"vertices": [vertex("v", payload_blob="b" * 64)]}, "blobs that were not uploaded: bbbb"),
    ({"vertices": [vertex("v", payload_blob="../../etc/passwd")]}, "'../../etc/passwd' is not a blob key"),
]


@pytest.mark.parametrize(("fields", "message"), REFUSED)
def test_a_job_that_cannot_run_is_refused_and_leaves_nothing(
    tmp_path: Path, runner: asyncio.Runner, fields: dict[str, Any], message: str
) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path)
        made = job()
        for name, value in fields.items():
            made.ClearField(name)  # type: ignore[arg-type]
            made.MergeFrom(job_graph_pb2.JobGraph(**{name: value}))
        with pytest.raises(MillstreamError) as caught:
            await cluster.jobs.submit(made)
        assert message in str(caught.value) and caught.value.blame.value == "USER"
        assert not cluster.jobs.masters

    runner.run(run())


def test_what_a_job_leaves_open_is_as_the_cluster_has_it(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        checkpoints, pause, restarts = (
            "execution.checkpointing.interval",
            "execution.checkpointing.min-pause",
            "restart-strategy.type",
        )
        cluster = Cluster(tmp_path, **{checkpoints: 700, pause: 50, restarts: "fixed-delay", "pipeline.name": "ours"})
        made = job(configuration={checkpoints: "300", pause: "null"})
        await cluster.jobs.submit(made)
        assert made.configuration == {checkpoints: "300", pause: "null", restarts: '"fixed-delay"'}
        assert cluster.jobs.find(made.job_id).checkpoints.settings.interval_ms == 300

    runner.run(run())


def test_a_job_that_never_fits_is_refused_with_the_numbers(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path, slots_max=3)
        with pytest.raises(InsufficientSlotsError, match=r"'job' needs 4 slots, but .* never have more than 3 \(slotm"):
            await cluster.jobs.submit(job(parallelism=4))
        assert not cluster.jobs.masters
        assert await cluster.jobs.submit(job(parallelism=3)) == ""

    runner.run(run())


def test_submitting_again_changes_nothing_and_a_namesake_is_warned_of(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        jobs = Cluster(tmp_path).jobs
        assert await jobs.submit(job(1)) == ""
        first = jobs.find(f"{1:032x}")
        assert await jobs.submit(job(1)) == "" and jobs.find(first.job_id) is first
        assert f"another job named 'job' is running: {first.job_id}" in await jobs.submit(job(2))
        with pytest.raises(MillstreamError, match=rf"'job' names 2 jobs: {first.job_id} \(CREATED\), .* Use the id"):
            jobs.find("job")
        await first.cancel()
        assert jobs.find("job").job_id == f"{2:032x}", "running jobs go before ended ones"
        assert await jobs.submit(job(3, name="other")) == ""
        assert jobs.find("other").job_id == f"{3:032x}"

    runner.run(run())


def test_jobs_are_found_by_a_unique_prefix_of_four_or_more(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        jobs = Cluster(tmp_path).jobs
        for job_id in ("abcd" + "1" * 28, "abcd" + "2" * 28):
            await jobs.submit(graph(vertex("v"), job_id=job_id))
        assert jobs.find("abcd1").job_id == "abcd" + "1" * 28
        for text, message in (("abcd", "names 2 jobs"), ("abc", "there is no job 'abc'"), ("", "there is no job ''")):
            with pytest.raises(MillstreamError, match=message):
                jobs.find(text)

    runner.run(run())


def test_only_the_last_ended_jobs_are_kept(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path, history_max=2)
        running = job(100)
        await cluster.jobs.submit(running)
        for number in range(1, 6):
            await cluster.jobs.submit(job(number))
            await cluster.jobs.find(f"{number:032x}").cancel()
        await cluster.jobs.submit(job(6))
        kept = {int(job_id, 16) for job_id in cluster.jobs.masters}
        assert kept == {100, 4, 5, 6}

    runner.run(run())


def test_a_submission_leaves_the_uploads_of_other_clients(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path)
        blob = tmp_path / "blobs" / ("a" * 64)
        blob.write_bytes(b"")
        cluster.clock.advance(blob.stat().st_mtime_ns // 1_000_000 + UPLOAD_GRACE_MS - cluster.clock.wall_ms())
        await cluster.jobs.submit(job(1))
        assert blob.exists()
        cluster.clock.advance(1000)
        await cluster.jobs.submit(job(2, modules_blob=blob.name))
        assert blob.exists()
        await cluster.jobs.find(f"{2:032x}").cancel()
        await cluster.jobs.submit(job(3))
        assert not blob.exists()

    runner.run(run())


def test_waiting_is_described_and_ends_with_the_slots(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path)
        await cluster.jobs.submit(job())
        master = cluster.jobs.find("job")
        cluster.clock.advance(10_000)
        assert describe.summary(master).waiting_for == (
            "2 slots; 0 of 0 are free. Start TaskManagers or lower the parallelism; gives up in 20 s"
        )
        await cluster.register(slots=1)
        assert describe.summary(master).waiting_for.startswith("2 slots; 1 of 1 are free")
        await cluster.register(TaskManagerId("two"), slots=1)
        assert str(master.status) == "INITIALIZING" and describe.summary(master).waiting_for == ""
        assert cluster.taskmanagers.pool.free() == 0
        cluster.clock.advance(60_000)
        cluster.jobs.check_slots()
        assert str(master.status) == "INITIALIZING", "a job that has slots does not give up"
        await master.cancel()
        await cluster.taskmanagers.close()

    runner.run(run())


def test_slots_that_serve_a_job_without_its_knowledge_are_freed_until_they_are_free(
    tmp_path: Path, runner: asyncio.Runner
) -> None:
    """A TaskManager comes back with subtasks of an attempt that is over, and orders may be lost."""
    orders: list[tuple[int, str, int | None]] = []

    async def free(slot_id: SlotId, job_id: str, attempt: int | None) -> None:
        orders.append((slot_id.index, job_id, attempt))

    async def run() -> None:
        cluster = Cluster(tmp_path)
        cluster.taskmanagers.free = free  # type: ignore[method-assign]
        settings = {"restart-strategy.type": '"fixed-delay"', "restart-strategy.fixed-delay.delay": "3600000"}
        await cluster.register()
        await cluster.jobs.submit(job(parallelism=1, configuration=settings))
        known, unknown = f"{1:032x}", "e" * 32
        await cluster.register()  # anew: what ran there is lost, and the job waits for another attempt
        cluster.jobs.find(known).machine._attempt = 3
        reports = [slot_report(ONE, index, job_id=job_id) for index, job_id in enumerate((known, unknown, ""))]
        cluster.taskmanagers.report(ONE, reports)
        await turns()
        orders.clear()
        request = jobmanager_pb2.RegisterTaskManagerRequest(taskmanager_id=ONE, slots=reports)
        for tell in (lambda: cluster.jobs.registered(request), cluster.jobs.check_slots):
            tell()
            await turns()
            assert sorted(orders) == [(0, known, 3), (1, unknown, None)]
            orders.clear()
        cluster.taskmanagers.report(ONE, [slot_report(ONE, index, incarnation=1) for index in range(2)])
        cluster.jobs.check_slots()
        await turns()
        assert not orders
        await cluster.jobs.find(known).cancel()
        await cluster.taskmanagers.close()

    runner.run(run())


def test_waiting_ends_at_the_timeout_with_the_numbers(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path)
        await cluster.register(slots=1)
        await cluster.jobs.submit(job())
        master = cluster.jobs.find("job")
        cluster.clock.advance(29_999)
        cluster.jobs.check_slots()
        assert str(master.status) == "CREATED"
        cluster.clock.advance(1)
        cluster.jobs.check_slots()
        await master.ended.wait()
        assert str(master.status) == "FAILED"
        described = describe.details(master)
        assert described.error.kind == "InsufficientSlotsError"
        assert (
            "'job' needs 2 slots, but within 30 s (slot.request.timeout) no more than 1 of 1" in described.error.message
        )
        assert cluster.taskmanagers.pool.free() == 1
        await cluster.taskmanagers.close()

    runner.run(run())


def test_the_longest_waiting_job_goes_first_and_a_smaller_one_may_pass(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path)
        for number, parallelism in ((1, 3), (2, 1), (3, 1)):
            await cluster.jobs.submit(job(number, parallelism))
        await cluster.register(slots=1)
        statuses = [str(master.status) for master in cluster.jobs.masters.values()]
        assert statuses == ["CREATED", "INITIALIZING", "CREATED"]
        for master in cluster.jobs.running():
            await master.cancel()
        await cluster.taskmanagers.close()

    runner.run(run())


def test_a_silent_taskmanager_is_given_up_and_its_job_says_so(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path)
        await cluster.register(slots=2)
        await cluster.jobs.submit(job())
        master = cluster.jobs.find("job")
        cluster.clock.advance(50_000)
        await cluster.taskmanagers.check()
        assert ONE in cluster.taskmanagers.registered, "not before heartbeat.timeout is exceeded"
        assert cluster.taskmanagers.heard(ONE)
        cluster.clock.advance(50_001)
        await cluster.taskmanagers.check()
        assert not cluster.taskmanagers.registered and cluster.taskmanagers.pool.total() == 0
        assert not cluster.taskmanagers.heard(ONE), "it has to register again"
        assert str(master.status) == "FAILED"
        assert isinstance(master.machine.error, TaskManagerLostError)
        assert "one at 127.0.0.1:1 was lost: no heartbeat for 50.0 s (heartbeat.timeout is 50 s)" in str(
            master.machine.error
        )

    runner.run(run())


@pytest.mark.parametrize("wall_ms", [0, 100_000_000])
def test_nobody_is_given_up_because_the_time_of_day_is_set(
    tmp_path: Path, runner: asyncio.Runner, wall_ms: int
) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path)
        await cluster.register(slots=2)
        cluster.clock.set_wall(wall_ms)
        await cluster.taskmanagers.check()
        assert ONE in cluster.taskmanagers.registered
        cluster.clock.advance(50_001)
        await cluster.taskmanagers.check()
        assert not cluster.taskmanagers.registered, "but one that is silent is"

    runner.run(run())


def test_a_job_is_described_with_its_subtasks_errors_and_history(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path)
        await cluster.register(slots=2)
        made = job()
        await cluster.jobs.submit(made)
        master = cluster.jobs.find("job")
        version = master.version
        for index in (0, 1):
            assert cluster.report(made.job_id, "v", index, common_pb2.SUBTASK_STATUS_RUNNING)
        cluster.clock.advance(5)
        described = describe.details(master)
        assert described.version > version
        assert (described.summary.subtasks_total, described.summary.subtasks_running) == (2, 2)
        assert described.summary.started_ms == 1_000_000 and described.summary.ended_ms == 0
        metrics = common_pb2.SubtaskMetrics(values={"records_in": 3})
        finished = common_pb2.SUBTASK_STATUS_FINISHED
        assert cluster.report(made.job_id, "v", 0, finished, final_metrics=metrics)
        assert describe.summary(master).subtasks_finished == 1
        error = common_pb2.ErrorInfo(kind="UserCodeError", message="divided by zero", line=7)
        assert cluster.report(made.job_id, "v", 1, common_pb2.SUBTASK_STATUS_FAILED, error=error)
        await master.ended.wait()
        described = describe.details(master)
        assert described.summary.status == common_pb2.JOB_STATUS_FAILED and described.summary.ended_ms == 1_000_005
        assert (described.error.kind, described.error.message, described.error.line) == (
            "UserCodeError",
            "divided by zero",
            7,
        )
        (shown,) = described.vertices
        assert shown.vertex == made.vertices[0]
        assert [(s.index, s.status, s.taskmanager_id) for s in shown.subtasks] == [
            (0, common_pb2.SUBTASK_STATUS_FINISHED, "one"),
            (1, common_pb2.SUBTASK_STATUS_FAILED, "one"),
        ]
        assert {s.slot for s in shown.subtasks} == {0, 1}
        assert shown.subtasks[0].metrics.values["records_in"] == 3
        assert not shown.subtasks[0].HasField("error") and shown.subtasks[1].error.message == "divided by zero"
        names = [common_pb2.JobStatus.Name(change.status).removeprefix("JOB_STATUS_") for change in described.history]
        assert names == ["CREATED", "INITIALIZING", "RUNNING", "FAILING", "FAILED"]
        await cluster.taskmanagers.close()

    runner.run(run())


def test_the_cluster_is_described_by_taskmanager(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        cluster = Cluster(tmp_path)
        await cluster.register(slots=2)
        await cluster.register(TaskManagerId("two"), slots=1)
        await cluster.jobs.submit(job(parallelism=2))
        described = describe.cluster(cluster.taskmanagers, 1, "9", "127.0.0.1:2", 77)
        assert (described.slots_total, described.slots_free, described.jobs_running) == (3, 1, 1)
        assert [(t.taskmanager_id, t.slots_total, t.version) for t in described.taskmanagers] == [
            ("one", 2, "7"),
            ("two", 1, "7"),
        ]
        assert sum(t.slots_free for t in described.taskmanagers) == 1
        assert {t.last_heartbeat_ms for t in described.taskmanagers} == {1_000_000}
        assert (described.version, described.metrics_address, described.started_ms) == ("9", "127.0.0.1:2", 77)
        await cluster.jobs.find("job").cancel()
        await cluster.taskmanagers.close()

    runner.run(run())


def test_vertices_that_cannot_share_a_slot_refuse_the_job(tmp_path: Path, runner: asyncio.Runner) -> None:
    async def run() -> None:
        vertices = (vertex("a", 1, co_location_key="k"), vertex("b", 2, co_location_key="k"))
        cluster = Cluster(tmp_path)
        with pytest.raises(JobGraphError, match="'a' and 'b' must share slots"):
            await cluster.jobs.submit(graph(*vertices))
        assert not cluster.jobs.masters

    runner.run(run())
