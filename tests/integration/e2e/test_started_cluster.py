"""`millstream cluster start`, and jobs on it: results equal a plain-Python computation; jobs are cancelled."""

import contextlib
import csv
import json
import math
import os
import re
import signal
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]


def flights_reference(directory: Path) -> dict[tuple[str, str], tuple[int, int, float | None, float | None]]:
    delays: dict[tuple[str, str], list[int]] = defaultdict(list)
    flights: Counter[tuple[str, str]] = Counter()
    for file in directory.glob("*.csv"):
        with file.open(newline="") as stream:
            for row in csv.DictReader(stream):
                key = (f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}", row["carrier"])
                flights[key] += 1
                if row["dep_delay"] not in ("", "NA"):
                    delays[key].append(int(row["dep_delay"]))
    expected = {}
    for key, count in flights.items():
        own = sorted(delays[key])
        mean = round(sum(own) / len(own), 2) if own else None
        p90 = float(own[math.ceil(0.9 * len(own)) - 1]) if own else None
        expected[key] = (count, count - len(own), mean, p90)
    return expected


def number(text: str) -> float | None:
    return float(text) if text else None


def stop_in_the_middle(cluster: Any, until: Callable[..., Any], directory: Path) -> str:
    """The only job's savepoint. It stands still from its start until the savepoint has begun."""
    until(lambda: any(job["status"] == "RUNNING" for job in cluster.jobs()), "the job to run")
    family = [member for tm in cluster.taskmanagers() for member in (tm, *tm.children(recursive=True))]
    for member in family:
        member.suspend()
    try:
        [job] = cluster.jobs()
        with cluster.shell.start("stop", job["job_id"], "--savepoint", str(directory)) as stopping:
            shown = ("checkpoints", job["job_id"], "--output", "json")
            until(lambda: json.loads(cluster.command(*shown).expect(0).out)["triggered"], "the savepoint to begin")
            for member in family:
                member.resume()
            out, err = stopping.communicate(timeout=100)
        assert stopping.returncode == 0, err
    finally:
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):  # slots of a job that has ended
                member.resume()
    return str(out.strip())


@pytest.mark.parametrize("disturbance", ["none", "a TaskManager killed", "stopped and continued by four"])
def test_the_flights_job_equals_a_plain_computation(
    cluster: Any, tmp_path: Path, disturbance: str, until: Callable[..., Any]
) -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("flights", ROOT / "examples" / "flights.py")
    assert spec is not None and spec.loader is not None
    flights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(flights)
    source = flights.extract_csv(tmp_path / "csv")
    example = str(ROOT / "examples" / "flights.py")
    paths = ("--input", str(source), "--output", str(tmp_path / "out"))
    if disturbance == "stopped and continued by four":
        settings = ("-D", "execution.checkpointing.interval=1 min")
        with cluster.shell.start("run", "-p", "1", *settings, example, *paths) as process:
            savepoint = stop_in_the_middle(cluster, until, tmp_path / "savepoints")
            process.communicate(timeout=100)
        assert not list((tmp_path / "out").glob(".*")), "what the savepoint holds is committed, the rest removed"
        cluster.command("run", "--from-savepoint", savepoint, "-p", "4", *settings, example, *paths).expect(0)
    elif disturbance == "a TaskManager killed":
        settings = (
            "-D", "execution.checkpointing.interval=50 ms",
            "-D", "restart-strategy.exponential-delay.initial-backoff=50 ms",
        )  # fmt: skip
        with cluster.shell.start("run", "-p", "2", *settings, example, *paths) as process:
            until(lambda: cluster.checkpoints(), "a checkpoint")
            cluster.busy_taskmanager().kill()
            _, err = process.communicate(timeout=100)
        assert process.returncode == 0 and "RESTARTING" in err, err
    else:
        cluster.command("run", "-p", "4", example, *paths).expect(0)
    found = {}
    for file in (tmp_path / "out").glob("*.csv"):
        with file.open(newline="") as stream:
            for row in csv.DictReader(stream):
                figures = int(row["flights"]), int(row["cancelled"]), number(row["mean_delay_min"])
                assert (row["day"], row["carrier"]) not in found, "a window was committed twice"
                found[(row["day"], row["carrier"])] = (*figures, number(row["p90_delay_min"]))
    expected = flights_reference(source)
    assert sum(figures[0] for figures in expected.values()) == 336_776
    assert found == expected


def test_the_word_count_equals_a_plain_computation(cluster: Any, tmp_path: Path) -> None:
    words = re.sub(r"[^a-z ]", " ", (ROOT / "README.md").read_text().lower()).split()
    text = tmp_path / "text.txt"
    text.write_text("\n".join(" ".join(words[i : i + 7]) for i in range(0, len(words), 7)) + "\n")
    script = cluster.shell.script(
        "import sys\nenv.set_parallelism(3)\n"
        "counts = env.read_text(sys.argv[1]).flat_map(lambda line: [(w, 1) for w in line.split()])"
        ".key_by(lambda p: p[0]).sum(1)\n"
        "last = {}\n"
        "with counts.execute_and_collect('word count') as rows:\n"
        "    for word, count in rows:\n        last[word] = max(count, last.get(word, 0))\n"
        "import json\nprint('COUNTS ' + json.dumps(last))\n"
    )
    done = cluster.command("run", script, str(text)).expect(0)
    [line] = [line for line in done.out.splitlines() if line.startswith("COUNTS ")]
    assert json.loads(line.removeprefix("COUNTS ")) == Counter(words)


def test_jobs_are_listed_and_cancelled_by_name_and_id(cluster: Any, until: Callable[..., Any]) -> None:
    script = cluster.shell.script(
        "from millstream.connectors.sequence import DataGeneratorSource\nenv.set_parallelism(1)\n"
        "env.from_source(DataGeneratorSource(None, rows_per_second=100)).discard()\nenv.execute('endless')\n"
    )
    cluster.command("run", "-d", script).expect(0)
    second = cluster.command("run", "-d", script).expect(0)
    assert "another job named 'endless'" in second.out + second.err
    running = until(
        lambda: [job for job in cluster.jobs() if job["status"] == "RUNNING"][1:] and cluster.jobs(), "two running jobs"
    )
    ambiguous = cluster.command("cancel", "endless")
    assert ambiguous.code != 0 and all(job["job_id"] in ambiguous.err for job in running)
    cluster.command("cancel", running[0]["job_id"]).expect(0)
    cluster.command("cancel", "endless").expect(0)
    until(lambda: all(job["status"] == "CANCELED" for job in cluster.jobs()), "both jobs to be cancelled")


def test_a_program_sees_a_job_that_was_stopped_as_finished(cluster: Any, until: Callable[..., Any]) -> None:
    script = cluster.shell.script(
        "from millstream.connectors.sequence import DataGeneratorSource\nenv.set_parallelism(1)\n"
        "numbers = env.from_source(DataGeneratorSource(None, rows_per_second=1000))\n"
        "with numbers.execute_and_collect('endless') as rows:\n    print('rows', len(list(rows)) > 0)\n"
        "print(rows.job.status().name)\n"
    )
    with cluster.shell.start("run", "--quiet", script) as process:
        until(lambda: any(job["status"] == "RUNNING" for job in cluster.jobs()), "the job to run")
        cluster.command("stop", "endless").expect(0)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.splitlines() == ["rows True", "FINISHED"]


def test_a_killed_taskmanager_fails_its_job_and_is_named(cluster: Any, until: Callable[..., Any]) -> None:
    script = cluster.shell.script(
        "from millstream.connectors.sequence import DataGeneratorSource\nenv.set_parallelism(4)\n"
        "env.from_source(DataGeneratorSource(None, rows_per_second=1000)).rebalance().map(lambda n: n).discard()\n"
        "env.execute('victim')\n"
    )
    with cluster.shell.start("run", "--quiet", script) as process:
        until(lambda: any(job["status"] == "RUNNING" for job in cluster.jobs()), "the job to run")
        victim = next(p for p in cluster.processes() if "millstream.taskmanager" in p.cmdline()[-1:])
        victim.kill()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "TaskManager" in err and ("lost" in err or "connection" in err), err


def test_interrupt_cancels_the_job(cluster: Any, until: Callable[..., Any]) -> None:
    script = cluster.shell.script(
        "from millstream.connectors.sequence import DataGeneratorSource\n"
        "env.from_source(DataGeneratorSource(None, rows_per_second=100)).discard()\nenv.execute('interrupted')\n"
    )
    with cluster.shell.start("run", "--quiet", script) as process:
        until(lambda: any(job["status"] == "RUNNING" for job in cluster.jobs()), "the job to run")
        os.kill(process.pid, signal.SIGINT)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert process.returncode == 130
    until(lambda: cluster.jobs()[0]["status"] == "CANCELED", "the job to be cancelled")
