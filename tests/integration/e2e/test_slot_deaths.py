"""A record that kills its process ends the job; slots that are killed from outside do not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream.common import WatermarkStrategy
from millstream.core.api.job import JobStatus
from millstream.datastream import StreamExecutionEnvironment
from millstream.jobmanager.slot_deaths import DEATHS_FROM_OUTSIDE_MAX
from millstream.testing import MiniCluster, SequenceSource, committed_records, compare_outputs

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

QUICK: dict[str, Any] = {
    "heartbeat.interval": "300 ms",
    "heartbeat.timeout": "1500 ms",
    "execution.checkpointing.interval": "100 ms",
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 1000,
    "restart-strategy.fixed-delay.delay": "50 ms",
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[MiniCluster]:
    with MiniCluster(1, 1, QUICK | {"io.tmp.dirs": str(tmp_path / "cluster")}) as started:
        yield started


POISONED = """
import os, signal
env.enable_checkpointing("100 ms")
env.configure({"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "1000",
               "restart-strategy.fixed-delay.delay": "50 ms"})
def poisoned(n):
    if n == 20_000:
        DEATH
    return n % 10, n
rows = env.from_sequence(1, 50_000, rows_per_second=20_000).map(poisoned).name("poisoned")
rows.key_by(lambda t: t[0]).sum(1).write_csv("out")
env.execute()
"""


@pytest.mark.parametrize(
    ("death", "end", "times"),
    [
        ("os._exit(7)", "exit code 7", 4),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV", 4),
        ("os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL", 8),
    ],
    ids=["exit", "segfault", "out of memory"],
)
def test_a_record_that_kills_its_process_ends_in_failed_with_a_message(
    shell: Any, death: str, end: str, times: int
) -> None:
    done = shell.run_job(POISONED.replace("DEATH", death), "-p", "2").expect(1)
    assert f"ended {times} times by {end}, and no checkpoint showed progress in between" in done.err
    assert "poisoned" in done.err and "record" in done.err.partition("showed progress")[2]


def test_checkpoints_before_anything_is_read_are_no_progress(shell: Any) -> None:
    """The record comes half a second after each start, and so after some checkpoints."""
    text = POISONED.replace("50_000, rows_per_second=20_000", "20_000, rows_per_second=2").replace("DEATH", "pass")
    done = shell.run_job(text.replace("if n == 20_000:", "if n == 1: os._exit(7)\n    else:"), "-p", "1").expect(1)
    assert "ended 4 times by exit code 7, and no checkpoint showed progress in between" in done.err


def copy_job(source: SequenceSource, out: Path) -> StreamExecutionEnvironment:
    env = StreamExecutionEnvironment.get_execution_environment().set_parallelism(1)
    numbers = env.from_source(source, WatermarkStrategy.no_watermarks(), "numbers")
    numbers.key_by(lambda record: record.key).reduce(lambda left, right: right).write_csv(str(out), header=False)
    return env


def check(source: SequenceSource, out: Path) -> None:
    got = [(int(key), int(number)) for key, number in committed_records(out)]
    assert not (difference := compare_outputs(source.expected(), got)), difference


def test_slots_that_are_killed_again_and_again_cost_nothing(cluster: MiniCluster, tmp_path: Path) -> None:
    source = SequenceSource(4, 15_000, rows_per_second=4000)
    job = cluster.submit(copy_job(source, tmp_path / "out"), "copy")
    for restarts in range(1, DEATHS_FROM_OUTSIDE_MAX + 3):
        assert not cluster.wait_for_checkpoint(job).summary.ended_ms
        cluster.kill_slot(0)
        cluster.wait_until(lambda n=restarts: job.describe().restarts >= n, "the job to start again")  # type: ignore[misc]
    job.wait()
    assert job.status() is JobStatus.FINISHED
    history = [error.message for error in job.describe().exception_history]
    assert all("which ran Source: numbers (1/1), reduce" in m and "was killed by SIGKILL" in m for m in history), (
        history
    )
    check(source, tmp_path / "out")


def test_a_slot_that_is_frozen_alone_is_killed_and_the_job_goes_on(cluster: MiniCluster, tmp_path: Path) -> None:
    source = SequenceSource(4, 5000, rows_per_second=4000)
    job = cluster.submit(copy_job(source, tmp_path / "out"), "copy")
    cluster.wait_for_checkpoint(job)
    (frozen,) = cluster.slots_of(0)
    os.kill(frozen, signal.SIGSTOP)
    job.wait()
    details = job.describe()
    assert details.restarts == 1, "by the frozen slot alone"
    (error,) = details.exception_history
    assert "was frozen for" in error.message and "which ran Source: numbers (1/1), reduce" in error.message
    assert error.operator.startswith("Source: numbers (1/1), reduce")
    check(source, tmp_path / "out")
