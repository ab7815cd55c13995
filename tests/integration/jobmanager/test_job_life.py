"""Jobs and TaskManagers as seen over the network: waiting, refusals, losses, late and repeated reports."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from jobmanagers import FakeTaskManager, JobManagerProcess, job, wait_until

from millstream.core.errors import ConfigError, InsufficientSlotsError, JobGraphError, MillstreamError, UserError
from millstream.core.rpc.error_info import to_proto
from millstream.proto.v1 import common_pb2, jobmanager_pb2

pytestmark = pytest.mark.integration

RUNNING = common_pb2.SUBTASK_STATUS_RUNNING
INITIALIZING = common_pb2.SUBTASK_STATUS_INITIALIZING
FINISHED = common_pb2.SUBTASK_STATUS_FINISHED
CANCELED = common_pb2.SUBTASK_STATUS_CANCELED
FAILED = common_pb2.SUBTASK_STATUS_FAILED

Start = Callable[..., JobManagerProcess]
NewTaskManager = Callable[..., FakeTaskManager]


def statuses(details: jobmanager_pb2.JobDetails) -> list[str]:
    return [common_pb2.JobStatus.Name(change.status).removeprefix("JOB_STATUS_") for change in details.history]


def test_a_job_waits_for_slots_and_says_so(jobmanager: JobManagerProcess, taskmanager: NewTaskManager) -> None:
    jobmanager.submit(job(parallelism=2))
    waiting = jobmanager.describe("job").summary.waiting_for
    assert waiting.startswith("2 slots; 0 of 0 are free. Start TaskManagers or lower the parallelism; gives up in ")
    first = taskmanager(jobmanager, "tm-1")
    first.register()
    assert jobmanager.describe("job").summary.waiting_for.startswith("2 slots; 1 of 1 are free")
    assert jobmanager.cluster().slots_free == 1
    second = taskmanager(jobmanager, "tm-2")
    second.register()
    refs = first.wait_for_deployment(1) + second.wait_for_deployment(1)
    assert sorted(ref.index for ref in refs) == [0, 1]
    assert jobmanager.status("job") == "INITIALIZING" and jobmanager.describe("job").summary.waiting_for == ""
    for ref in refs:
        assert jobmanager.report(ref, RUNNING)
    assert jobmanager.status("job") == "RUNNING"
    for ref in refs:
        assert jobmanager.report(ref, FINISHED)
    details = jobmanager.describe("job")
    assert statuses(details) == ["CREATED", "INITIALIZING", "RUNNING", "FINISHED"]
    assert details.summary.ended_ms >= details.summary.started_ms > 0
    wait_until(lambda: first.freed == [0] and second.freed == [0], "both slots are freed")
    assert jobmanager.cluster().slots_free == 0, "no fresh process was reported yet"
    first.heartbeat()
    second.heartbeat()
    assert jobmanager.cluster().slots_free == 2


def test_waiting_ends_at_the_timeout(start: Start) -> None:
    jobmanager = start(SLOT_REQUEST_TIMEOUT="500 ms")
    jobmanager.submit(job(parallelism=3))
    jobmanager.wait_for_status("job", "FAILED")
    error = jobmanager.describe("job").error
    assert error.kind == "InsufficientSlotsError"
    assert "'job' needs 3 slots, but within 0.5 s (slot.request.timeout) no more than 0 of 0 were free" in error.message


def test_a_job_that_never_fits_is_refused_at_once(start: Start) -> None:
    jobmanager = start(SLOTMANAGER_NUMBER_OF_SLOTS_MAX="2")
    with pytest.raises(InsufficientSlotsError, match="needs 3 slots, but this cluster can never have more than 2"):
        jobmanager.submit(job(parallelism=3))
    with pytest.raises(UserError, match="there is no job 'job'"):
        jobmanager.describe("job")


def test_what_cannot_run_here_is_refused_in_the_words_of_the_jobmanager(jobmanager: JobManagerProcess) -> None:
    other_python = job()
    other_python.python_version = "2.7"
    with pytest.raises(JobGraphError, match=r"was made by Python 2\.7"):
        jobmanager.submit(other_python)
    with pytest.raises(JobGraphError, match="refers to blobs that were not uploaded"):
        jobmanager.submit(job(modules_blob="a" * 64))
    with pytest.raises(MillstreamError, match="is not a blob key"):
        jobmanager.submit(job(modules_blob="../../../secret"))


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ({"restart-strategy.type": '"sometimes"'}, "restart-strategy.type is 'sometimes'"),
    ],
)
def test_settings_of_a_job_that_mean_nothing_refuse_it(
    jobmanager: JobManagerProcess, configuration: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        jobmanager.submit(job(configuration=configuration))
    assert jobmanager.cluster().jobs_running == 0


def test_two_jobs_of_one_name_are_told_apart_by_id(jobmanager: JobManagerProcess) -> None:
    assert jobmanager.submit(job(1)).warning == ""
    assert jobmanager.submit(job(1)).warning == "", "the same submission once more"
    assert f"another job named 'job' is running: {1:032x}" in jobmanager.submit(job(2)).warning
    with pytest.raises(UserError, match=rf"'job' names 2 jobs: {1:032x} \(CREATED\), {2:032x} \(CREATED\)"):
        jobmanager.cancel("job")
    jobmanager.cancel(f"{1:032x}")
    assert jobmanager.status(f"{1:032x}") == "CANCELED" and jobmanager.status(f"{2:032x}") == "CREATED"
    assert jobmanager.describe("job").summary.job_id == f"{2:032x}"
    assert jobmanager.cluster().jobs_running == 1


def test_a_job_is_cancelled_while_it_waits(jobmanager: JobManagerProcess, taskmanager: NewTaskManager) -> None:
    jobmanager.submit(job())
    jobmanager.cancel("job")
    wait_until(lambda: jobmanager.status("job") == "CANCELED", "the job is CANCELED")
    assert jobmanager.cancel("job").status == common_pb2.JOB_STATUS_CANCELED, "again is no error"
    late = taskmanager(jobmanager)
    late.register()
    assert jobmanager.cluster().slots_free == 1 and not late.deployed
    assert statuses(jobmanager.describe("job")) == ["CREATED", "CANCELLING", "CANCELED"]


def test_a_running_job_is_cancelled_by_its_taskmanager(
    jobmanager: JobManagerProcess, taskmanager: NewTaskManager
) -> None:
    made = taskmanager(jobmanager, slots=2)
    made.register()
    jobmanager.submit(job(parallelism=2))
    refs = made.wait_for_deployment(2)
    for ref in refs:
        jobmanager.report(ref, RUNNING)
    assert jobmanager.cancel("job").status == common_pb2.JOB_STATUS_CANCELLING
    wait_until(lambda: len(made.cancelled) == 2, "both subtasks are cancelled")
    assert sorted(ref.index for ref in made.cancelled) == [0, 1]
    for ref in refs:
        assert jobmanager.report(ref, CANCELED)
    assert jobmanager.status("job") == "CANCELED"


def test_late_and_repeated_reports_change_nothing(jobmanager: JobManagerProcess, taskmanager: NewTaskManager) -> None:
    made = taskmanager(jobmanager, slots=2)
    made.register()
    jobmanager.submit(job(parallelism=2))
    one, two = sorted(made.wait_for_deployment(2), key=lambda ref: ref.index)
    for status in (RUNNING, RUNNING, INITIALIZING):
        jobmanager.report(one, status)
    jobmanager.report(two, RUNNING)
    assert jobmanager.status("job") == "RUNNING"
    later = common_pb2.SubtaskRef(job_id=one.job_id, vertex_id="v", index=0, attempt=one.attempt + 1)
    stranger = common_pb2.SubtaskRef(job_id=one.job_id, vertex_id="w", index=0)
    nobody = common_pb2.SubtaskRef(job_id="f" * 32, vertex_id="v", index=0)
    for ref in (later, stranger, nobody):
        assert not jobmanager.report(ref, FAILED), ref
    assert jobmanager.send_event(one, "await_commit")
    for ref in (later, stranger):
        assert not jobmanager.send_event(ref, "await_commit"), ref
    for nonsense in (common_pb2.SUBTASK_STATUS_UNSPECIFIED, 77):
        jobmanager.report(one, nonsense)
    assert jobmanager.status("job") == "RUNNING"
    jobmanager.report(one, FINISHED)
    jobmanager.report(one, FAILED, error=to_proto(ConfigError("too late")))
    jobmanager.report(two, FINISHED)
    details = jobmanager.describe("job")
    assert statuses(details)[-1] == "FINISHED" and not details.HasField("error")
    jobmanager.report(two, FAILED)
    assert jobmanager.status("job") == "FINISHED"


def test_a_failure_names_its_cause_and_ends_the_rest(
    jobmanager: JobManagerProcess, taskmanager: NewTaskManager
) -> None:
    made = taskmanager(jobmanager, slots=2)
    made.register()
    jobmanager.submit(job(parallelism=2))
    one, two = sorted(made.wait_for_deployment(2), key=lambda ref: ref.index)
    jobmanager.report(one, RUNNING)
    jobmanager.report(two, FAILED, error=to_proto(ConfigError("its own words")))
    wait_until(lambda: [ref.index for ref in made.cancelled] == [0], "the other subtask is cancelled")
    assert jobmanager.status("job") == "FAILING"
    jobmanager.report(one, CANCELED)
    jobmanager.wait_for_status("job", "FAILED")
    details = jobmanager.describe("job")
    assert (details.error.kind, details.error.message) == ("ConfigError", "its own words")


def test_a_taskmanager_that_falls_silent_fails_its_job_by_name(start: Start, taskmanager: NewTaskManager) -> None:
    jobmanager = start(HEARTBEAT_INTERVAL="200 ms", HEARTBEAT_TIMEOUT="1 s")
    silent, alive = taskmanager(jobmanager, "tm-silent"), taskmanager(jobmanager, "tm-alive")
    response = silent.register()
    assert (response.heartbeat_interval_ms, response.heartbeat_timeout_ms) == (200, 1000)
    alive.register()
    jobmanager.submit(job(1, parallelism=2))
    jobmanager.submit(job(2, name="waiting"))
    (survivor,) = alive.wait_for_deployment(1)
    (lost,) = silent.wait_for_deployment(1)
    for ref in (survivor, lost):
        jobmanager.report(ref, RUNNING)

    def heartbeat_until(status: str) -> None:
        wait_until(lambda: alive.heartbeat() and jobmanager.status("job") == status, f"the job is {status}")

    heartbeat_until("FAILING")
    wait_until(lambda: [ref.index for ref in alive.cancelled] == [survivor.index], "the other subtask is cancelled")
    jobmanager.report(survivor, CANCELED)
    heartbeat_until("FAILED")
    error = jobmanager.describe("job").error
    assert error.kind == "TaskManagerLostError"
    assert f"TaskManager tm-silent at {silent.address} was lost: no heartbeat for " in error.message
    assert "heartbeat.timeout is 1 s" in error.message
    assert f"It ran {error.operator} of job 'job'." in error.message and error.operator.endswith("/2)")
    assert [known.taskmanager_id for known in jobmanager.cluster().taskmanagers] == ["tm-alive"]
    assert not silent.heartbeat(), "it is told to register again"
    jobmanager.report(lost, FINISHED)
    assert jobmanager.status("job") == "FAILED"
    silent.register()
    assert jobmanager.status("waiting") == "INITIALIZING", "its slot is as good as new"


def test_the_end_of_a_taskmanagers_process_is_noticed_without_heartbeats(
    start: Callable[..., JobManagerProcess], taskmanager: NewTaskManager
) -> None:
    jobmanager = start(HEARTBEAT_TIMEOUT="1 h")
    alive, ended = (taskmanager(jobmanager, name) for name in ("tm-alive", "tm-ended"))
    alive.register()
    ended.register()
    jobmanager.submit(job(1, parallelism=2))
    (survivor,) = alive.wait_for_deployment(1)
    (lost,) = ended.wait_for_deployment(1)
    for ref in (survivor, lost):
        jobmanager.report(ref, RUNNING)
    ended.stop()
    wait_until(lambda: jobmanager.status("job") == "FAILING", "the job is FAILING")
    wait_until(lambda: [ref.index for ref in alive.cancelled] == [survivor.index], "the other subtask is cancelled")
    jobmanager.report(survivor, CANCELED)
    wait_until(lambda: jobmanager.status("job") == "FAILED", "the job is FAILED")
    error = jobmanager.describe("job").error
    assert error.kind == "TaskManagerLostError"
    assert f"TaskManager tm-ended at {ended.address} was lost: its process has ended" in error.message
    assert [known.taskmanager_id for known in jobmanager.cluster().taskmanagers] == ["tm-alive"]


def test_a_taskmanager_that_leaves_or_registers_anew_fails_its_job(
    jobmanager: JobManagerProcess, taskmanager: NewTaskManager
) -> None:
    made = taskmanager(jobmanager, "tm-1")
    for number, leave, message in (
        (1, lambda: made.register(), "registered anew"),
        (
            2,
            lambda: jobmanager.peer.call(
                jobmanager.resources.UnregisterTaskManager,
                jobmanager_pb2.UnregisterTaskManagerRequest(taskmanager_id="tm-1", reason="it is stopped"),
            ),
            "TaskManager tm-1 left the cluster: it is stopped",
        ),
    ):
        made.register()
        jobmanager.submit(job(number))
        made.wait_for_deployment(number)
        leave()
        jobmanager.wait_for_status(f"{number:032x}", "FAILED")
        assert message in jobmanager.describe(f"{number:032x}").error.message
    assert jobmanager.cluster().slots_total == 0


def test_a_taskmanager_that_cannot_be_called_fails_the_deployment(
    jobmanager: JobManagerProcess, taskmanager: NewTaskManager
) -> None:
    made = taskmanager(jobmanager)
    made.address = "127.0.0.1:1"
    made.register()
    jobmanager.submit(job())
    wait_until(lambda: jobmanager.status("job") in ("FAILING", "FAILED"), "the deployment fails")
    assert "127.0.0.1:1" in jobmanager.describe("job").error.message


def test_who_waits_for_a_change_is_woken_by_it(jobmanager: JobManagerProcess, taskmanager: NewTaskManager) -> None:
    jobmanager.submit(job())
    known = jobmanager.describe("job").version
    request = jobmanager_pb2.DescribeJobRequest(job="job", known_version=known, wait_ms=25_000)
    metadata = jobmanager.peer.metadata(jobmanager.dispatcher.DescribeJob)
    waiting = jobmanager.dispatcher.DescribeJob.future(request, timeout=20, metadata=metadata)
    assert jobmanager.describe("job", known_version=known, wait_ms=1).version == known
    assert not waiting.done()
    jobmanager.cancel("job")
    assert waiting.result().version > known
    assert jobmanager.describe("job", known_version=10**9, wait_ms=25_000).summary.status == (
        common_pb2.JOB_STATUS_CANCELED
    ), "an ended job does not change any more"
