"""A TaskManager as a process: what it leaves behind, whom it talks to, what it survives."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]


def family_of(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def listening_ports(processes: list[psutil.Process]) -> set[int]:
    found = set()
    for process in processes:
        for connection in process.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                found.add(connection.laddr.port)
    return found


def test_sigkill_leaves_no_orphans(cluster: Any, until: Callable[..., Any]) -> None:
    victim = cluster.taskmanagers()[0]
    family = family_of(victim)
    assert len(family) >= 4, "a fork server and two slots"
    victim.kill()
    until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family), "its children to end")


def test_sigterm_ends_it_cleanly_and_the_jobmanager_knows_at_once(cluster: Any, until: Callable[..., Any]) -> None:
    victim = cluster.taskmanagers()[0]
    family = family_of(victim)
    victim.terminate()
    until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in family), "it to end")
    status = json.loads(cluster.command("cluster", "status", "--output", "json").out)
    assert len(status["taskmanagers"]) == 1 and status["slots_total"] == 2


def test_it_registers_again_at_a_jobmanager_that_was_restarted(cluster: Any, until: Callable[..., Any]) -> None:
    (jobmanager,) = [p for p in cluster.processes() if "millstream.jobmanager" in p.cmdline()]
    command, environment = jobmanager.cmdline(), jobmanager.environ()
    address = cluster.settings[1].partition("=")[2]
    jobmanager.kill()
    jobmanager.wait(10)
    restarted = psutil.Popen(command, env=environment, stdout=-3, stderr=-3, start_new_session=True)
    try:
        script = cluster.shell.script("env.from_sequence(1, 100).rebalance().map(lambda n: n).print()\nenv.execute()\n")
        run = ("run", "-q", "--jobmanager", f"127.0.0.1:{address}", "-p", "4", script)
        until(lambda: cluster.command(*run).code == 0, "a job to run on the TaskManagers that came back", 60)
    finally:
        restarted.terminate()
        restarted.wait(20)


def test_a_wrong_secret_is_refused_in_clear_words(cluster: Any) -> None:
    port = cluster.settings[1].partition("=")[2]
    done = cluster.command(
        "taskmanager", "-D", f"jobmanager.rpc.port={port}", "-D", "security.secret=" + "ab" * 32,
        "-D", "metrics.taskmanager.port=-1",
    )  # fmt: skip
    assert done.code not in (0, None) and "secret" in done.err and "Traceback" not in done.err


def test_a_function_that_hangs_is_given_up(
    shell: Any, start_cluster: Callable[..., Any], until: Callable[..., Any]
) -> None:
    cluster = start_cluster(1, 1, "-D", "task.cancellation.timeout=1 s")
    hang = (
        "import time\nfrom pathlib import Path\n"
        f"def hang(n):\n    Path('{shell.directory}/hangs').touch()\n    time.sleep(3600)\n"
    )
    script = shell.script(hang + "env.from_sequence(1, 10).map(hang).print()\nenv.execute('hangs')\n")
    shell.run("run", "-q", "-d", script).expect(0)
    until((shell.directory / "hangs").exists, "the function to hang")
    cluster.command("cancel", "hangs").expect(0)
    assert cluster.jobs()[0]["status"] == "CANCELED"
    done = shell.run("run", "-q", shell.script("env.from_sequence(1, 3).print()\nenv.execute()\n", "next.py"))
    assert done.code == 0, "the slot has a fresh process"


def test_garbage_on_every_port_does_no_harm(shell: Any, cluster: Any, until: Callable[..., Any]) -> None:
    text = (
        "rows = env.from_sequence(1, 60_000, rows_per_second=20_000).rebalance().map(lambda n: (n % 5, n))"
        ".key_by(lambda t: t[0])\n"
    )
    script = shell.script(text + "with rows.sum(1).execute_and_collect('sums') as found:\n    print(max(found)[1])\n")
    chance = random.Random(5)
    with shell.start("run", "-q", "-p", "4", script) as process:
        until(lambda: any(job["status"] == "RUNNING" for job in cluster.jobs()), "the job to run")
        ports = listening_ports(cluster.processes())
        assert len(ports) >= 3
        while process.poll() is None:
            for port in ports:
                try:
                    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                        connection.sendall(chance.randbytes(chance.choice([1, 10, 100, 5000])))
                except OSError:
                    continue
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert int(out.split()[-1]) == sum(n for n in range(1, 60_001) if n % 5 == 4)


def test_documented_metrics_are_served(shell: Any, until: Callable[..., Any]) -> None:
    ports = []
    for _ in range(2):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    script = shell.script(
        "from millstream.common import WatermarkStrategy\n"
        "from millstream.datastream.window import TumblingEventTimeWindows\n"
        "times = WatermarkStrategy.for_monotonous_timestamps().with_timestamp_assigner(lambda n, _: n)\n"
        "rows = env.from_sequence(1, 10**15, rows_per_second=2000).assign_timestamps_and_watermarks(times)\n"
        "rows.key_by(lambda n: n % 5).window(TumblingEventTimeWindows.of('100 ms')).reduce(lambda a, b: a).discard()\n"
        "env.enable_checkpointing('200 ms')\nenv.execute('metered')\n"
    )
    settings = ("-D", f"metrics.jobmanager.port={ports[0]}", "-D", f"metrics.taskmanager.port={ports[1]}")

    def served(port: int) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
                return str(response.read().decode())
        except OSError:
            return ""

    documented = set(re.findall(r"`(millstream_\w+)`", (ROOT / "docs/reference/metrics.md").read_text()))
    with shell.start("run", "-q", "--local", "-p", "2", *settings, script) as process:
        try:
            missing: set[str] = documented

            def all_there() -> bool:
                nonlocal missing
                text = served(ports[0]) + served(ports[1])
                missing = {name for name in documented if not re.search(rf"^{name}(_total)?[{{ ]", text, re.M)}
                return not missing

            try:
                until(all_there, "all documented metrics", 20)
            except AssertionError:
                assert not missing, f"documented but not served: {sorted(missing)}"
            labels = re.search(r"^millstream_task_records_in_total\{(.*?)\}", served(ports[1]), re.M)
            assert labels is not None and all(f'{name}="' in labels.group(1) for name in ("job", "vertex", "subtask"))
        finally:
            os.kill(process.pid, signal.SIGINT)
            process.communicate(timeout=60)
