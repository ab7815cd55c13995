"""JobManagers alone: standbys refuse and name the leader; leaders that stop, freeze or lose their record."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from millstream.core.errors import NotLeaderError, UnavailableError
from millstream.core.ha.leader_files import leader_file
from tests.integration.jobmanager.jobmanagers import FakeTaskManager, JobManagerProcess, job, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

Start = Callable[..., JobManagerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """``start(NAME="value")``: one more JobManager of a cluster whose leases last a second."""
    started: list[JobManagerProcess] = []

    def start(**settings: str) -> JobManagerProcess:
        home = tmp_path / str(len(started))
        home.mkdir()
        election = {
            "HIGH_AVAILABILITY_TYPE": "file",
            "HIGH_AVAILABILITY_STORAGEDIR": str(tmp_path / "ha"),
            "HIGH_AVAILABILITY_LEASE_TIMEOUT": "1 s",
        }
        started.append(JobManagerProcess(home, **election, **settings))
        return started[-1]

    yield start
    for jobmanager in started:
        jobmanager.process.send_signal(signal.SIGCONT)
        jobmanager.stop(signal.SIGKILL)


def leads(jobmanager: JobManagerProcess) -> bool:
    try:
        jobmanager.cluster()
    except UnavailableError:
        return False
    return True


def test_a_standby_refuses_every_service_and_names_the_leader(start: Start) -> None:
    leader = start()
    wait_until(lambda: leads(leader), "the first one leads")
    standby = start()
    for call in (standby.cluster, lambda: standby.submit(job()), FakeTaskManager(standby, "t", 1).register):
        with pytest.raises(NotLeaderError, match=f"the one at {leader.address} does") as refused:
            call()
        assert refused.value.leader == leader.address


def test_a_leader_that_is_stopped_gives_back_and_leaves_its_jobs_to_the_next(start: Start) -> None:
    leader = start()
    wait_until(lambda: leads(leader), "the first one leads")
    standby = start()
    leader.submit(job(1, name="kept"))
    assert leader.stop() == 0
    assert "Traceback" not in leader.log() and "starts over" not in leader.log()
    wait_until(lambda: leads(standby), "the standby leads")
    assert standby.describe("kept").summary.job_id == job(1).job_id
    assert standby.submit(job(1, name="kept")).job_id == job(1).job_id
    assert len(standby.cluster().taskmanagers) == 0 and standby.cluster().jobs_running == 1


def test_a_frozen_leader_starts_over_at_the_same_port_and_with_the_same_id(start: Start) -> None:
    leader = start()
    wait_until(lambda: leads(leader), "the first one leads")
    standby = start()
    leader.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: leads(standby), "the standby leads")
    leader.process.send_signal(signal.SIGCONT)
    wait_until(lambda: "starts over" in leader.log(), "the frozen one notices")
    wait_until(lambda: leader.log().count("listening on") == 2, "it listens again")
    assert leader.process.poll() is None
    assert standby.stop(signal.SIGKILL) == -signal.SIGKILL


def test_a_port_that_was_chosen_is_bound_again(start: Start) -> None:
    first = start()
    port = str(first.port)
    wait_until(lambda: leads(first), "it leads")
    first.stop(signal.SIGKILL)
    leader = start(JOBMANAGER_RPC_PORT=port)
    wait_until(lambda: leads(leader), "it leads")
    leader_file(leader.home.parent / "ha" / "default" / "leader", 2).unlink()
    wait_until(lambda: "starts over" in leader.log(), "it notices the loss of its record")
    wait_until(lambda: leads(leader), "it leads again, at the same port")
    assert leader.process.poll() is None and "Traceback" not in leader.log()


def test_an_address_of_several_is_no_name_of_a_jobmanager(start: Start, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="lists are for those"):
        start(JOBMANAGER_RPC_ADDRESS="one:1,two:2")
