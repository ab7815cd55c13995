"""Jobs that go on with another number of subtasks: asked for, and by themselves as slots come and go."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.e2e.test_recovery import COUNT, check_counts

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ADAPTIVE = [
    "jobmanager.scheduler=adaptive",
    "jobmanager.adaptive-scheduler.submission.resource-stabilization-timeout=500 ms",
    "jobmanager.adaptive-scheduler.executing.resource-stabilization-timeout=500 ms",
    "jobmanager.adaptive-scheduler.executing.cooldown-after-rescaling=1 s",
    "heartbeat.interval=300 ms",
    "heartbeat.timeout=1500 ms",
]
WINDOWS = """
from millstream.common import Time, WatermarkStrategy
from millstream.datastream.window import TumblingEventTimeWindows
env.enable_checkpointing("200 ms")
stamped = env.from_sequence(1, 10_000_000, rows_per_second=20_000).assign_timestamps_and_watermarks(
    WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(lambda n, t: n))
windows = stamped.key_by(lambda n: n % 3).window(TumblingEventTimeWindows.of(Time.hours(10)))
windows.reduce(max).write_text(OUT)
env.execute("drained")
"""


def subtasks(shell: Any) -> int:
    jobs = json.loads(shell.run("list", "--output", "json").expect(0).out)
    return int(jobs[0]["subtasks_total"]) if jobs and jobs[0]["status"] == "RUNNING" else 0


def completed(shell: Any, job: str) -> int:
    return int(json.loads(shell.run("checkpoints", job, "--output", "json").expect(0).out)["completed"])


def test_up_and_down_and_one_vertex_alone(shell: Any, start_cluster: Callable[..., Any], until: Any) -> None:
    start_cluster(2, 2)
    records, out = 80_000, shell.directory / "out"
    script = shell.script(COUNT.format(records=records, rate=10_000, out=out))
    with shell.start("run", "-q", "-p", "2", script) as process:
        try:
            until(lambda: list(out.glob("part-*")), "committed results")
            assert ": 4" in shell.run("rescale", "count", "-p", "4").expect(0).out
            assert "has that parallelism already" in shell.run("rescale", "count", "-p", "4").expect(0).out
            assert ": 3" in shell.run("rescale", "count", "-p", "1", "--vertex", "count=3").expect(0).out
            assert "would need 9 slots, but only 4" in shell.run("rescale", "count", "-p", "9").expect(1).err
            assert "no operator called 'cuont'" in shell.run("rescale", "count", "--vertex", "cuont=2").expect(1).err
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, err
    check_counts(out, records)


def test_a_job_shrinks_when_slots_are_lost_and_grows_when_they_come(
    shell: Any, start_cluster: Callable[..., Any], until: Any
) -> None:
    cluster = start_cluster(2, 1, *(part for setting in ADAPTIVE for part in ("-D", setting)))
    records, out = 150_000, shell.directory / "out"
    script = shell.script(COUNT.format(records=records, rate=10_000, out=out))
    with shell.start("run", "-q", "-p", "2", script) as process:
        try:
            until(lambda: subtasks(shell) == 6, "both subtasks of each vertex")
            until(cluster.checkpoints, "a checkpoint")
            os.killpg(cluster.taskmanagers()[0].pid, signal.SIGKILL)
            until(lambda: subtasks(shell) == 3, "one subtask of each vertex")
            with shell.start("taskmanager", *cluster.settings, "-D", "taskmanager.numberOfTaskSlots=1") as other:
                try:
                    until(lambda: subtasks(shell) == 6, "both subtasks again")
                    _, err = process.communicate(timeout=120)
                finally:
                    other.kill()
        finally:
            process.kill()
    assert process.returncode == 0, err
    check_counts(out, records)


def test_a_drained_job_finishes_with_all_its_windows(shell: Any, start_cluster: Callable[..., Any], until: Any) -> None:
    start_cluster(1, 2)
    out = shell.directory / "out"
    shell.run("run", "-q", "-d", "-p", "2", shell.script(WINDOWS.replace("OUT", repr(str(out))))).expect(0)
    until(lambda: completed(shell, "drained") > 1, "checkpoints")
    shell.run("stop", "drained", "--drain").expect(0)
    jobs = json.loads(shell.run("list", "--all", "--output", "json").expect(0).out)
    assert jobs[0]["status"] == "FINISHED"
    numbers = sorted(int(line) for file in out.glob("part-*") for line in file.read_text().split())
    assert len(numbers) >= 3 and len({n % 3 for n in numbers}) == 3, "a result for each key, though no window had ended"
