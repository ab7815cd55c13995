"""Checkpoints, recovery and rescaling with a large keyed state.

    .venv/bin/python benchmarks/large_state.py [--keys 10000000] [--backend memory] [--backend rocksdb] [--seconds 30]

A job first gives each key a value of 100 bytes, then changes one key in a hundred between two checkpoints, one a
second. From what the JobManager reports: the size of the state, what each later checkpoint wrote, how long the task
stood still for it, and how long it took from trigger to completion. Then the slot with the state is killed, and the job
is rescaled from 1 to 2 to 4 and back.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

MILLSTREAM = str(Path(sys.executable).with_name("millstream"))
JOB = """
import sys
from millstream.datastream import StreamExecutionEnvironment
env = StreamExecutionEnvironment.get_execution_environment()
keys, changed = int(sys.argv[1]), int(sys.argv[1]) // 100
env.enable_checkpointing("1 s")
env.configure({"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "100",
               "restart-strategy.fixed-delay.delay": "50 ms"})
def row(n):
    key = n if n < keys else n % changed * 97
    return key, n, "%080d" % n
rows = env.from_sequence(0, 10**12, rows_per_second=int(sys.argv[2])).map(row)
rows.key_by(lambda row: row[0]).reduce(lambda a, b: b).uid("state").discard()
env.execute("large")
"""


class Cluster:
    def __init__(self, directory: Path) -> None:
        self.environment = {**os.environ, "HOME": str(directory)}
        self.job = directory / "job.py"
        self.job.write_text(JOB)

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [MILLSTREAM, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            log = next(Path(self.environment["HOME"]).glob(".millstream/cluster/jobmanager.log"), None)
            told = "" if log is None else "\n".join(log.read_text().splitlines()[-8:])
            raise SystemExit(f"{' '.join(arguments)}: {done.stderr}{told}")
        return done.stdout

    def checkpoints(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("checkpoints", "large", "--output", "json"))
        return found

    def status(self) -> str:
        jobs = json.loads(self.run("list", "--output", "json"))
        return str(jobs[0]["status"]) if jobs else ""

    def slots(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("HOME") == self.environment["HOME"]:
                    found.append(process)
            except psutil.Error:
                continue
        return found


@contextmanager
def cluster(taskmanagers: int, slots: int) -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory() as directory:
        made = Cluster(Path(directory))
        made.run(
            "cluster",
            "start",
            "-D",
            "jobmanager.rpc.port=0",
            "--taskmanagers",
            str(taskmanagers),
            "--slots",
            str(slots),
        )
        try:
            yield made
        finally:
            made.run("cluster", "stop")


def until(condition: Callable[[], Any], what: str, timeout_s: float = 900.0) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise SystemExit(f"waited in vain for {what}")


def filled(made: Cluster, keys: int, rate: int) -> None:
    """Until every key has its value, and a checkpoint holds them all."""
    started_s = time.monotonic()
    until(lambda: time.monotonic() - started_s > keys / rate, "the state")
    before = made.checkpoints()["completed"]
    until(lambda: made.checkpoints()["completed"] > before + 1, "checkpoints of all of it")


def incremental(backend: str, keys: int, rate: int, seconds: int) -> None:
    with cluster(2, 2) as made:
        settings = ["-D", f"state.backend.type={backend}"]
        made.run("run", "-q", "-d", "-p", "1", *settings, str(made.job), str(keys), str(rate))
        filled(made, keys, rate)
        seen: dict[int, dict[str, Any]] = {}
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            for checkpoint in made.checkpoints()["history"]:
                if checkpoint["status"] == "COMPLETED":
                    seen[checkpoint["checkpoint_id"]] = checkpoint
            time.sleep(0.5)
        full = max(seen)
        print(f"{backend}: {keys:,} keys, {seen[full]['state_bytes'] / 1e9:.2f} GB of state, {len(seen)} checkpoints")
        _line("written, MB", [c["written_bytes"] / 1e6 for c in seen.values()])
        _line("standing still, ms", [c["sync_us_max"] / 1e3 for c in seen.values()])
        _line("writing beside, ms", [c["async_us_max"] / 1e3 for c in seen.values()])
        _line("trigger to completion, ms", [c["ended_ms"] - c["triggered_ms"] for c in seen.values()])
        _recovered(made)
        for parallelism in (2, 4, 2):
            if parallelism * 2 > 8:
                break
            started_s = time.monotonic()
            made.run("rescale", "large", "-p", str(parallelism))
            print(f"  rescaled to {parallelism} in {time.monotonic() - started_s:.2f} s, command to running")


def _recovered(made: Cluster) -> None:
    """SIGKILL of the slot that does the work, to a running job again."""
    victim = max(made.slots(), key=lambda process: process.memory_info().rss)
    started_s = time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    until(lambda: made.status() != "RUNNING", "the failure")
    until(lambda: made.status() == "RUNNING", "the restart")
    print(f"  running again {time.monotonic() - started_s:.2f} s after SIGKILL of the slot with the state")
    before = made.checkpoints()["completed"]
    until(lambda: made.checkpoints()["completed"] > before, "the next checkpoint")
    print(f"  next complete checkpoint {time.monotonic() - started_s:.2f} s after it")


def _line(name: str, values: list[float]) -> None:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"  {name:28} median {statistics.median(ordered):9.1f}   p99 {p99:9.1f}   max {ordered[-1]:9.1f}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--keys", type=int, default=10_000_000)
    arguments.add_argument("--rate", type=int, default=100_000, help="records a second")
    arguments.add_argument("--seconds", type=int, default=30)
    arguments.add_argument("--backend", action="append", choices=["memory", "rocksdb"])
    options = arguments.parse_args()
    for backend in options.backend or ["memory", "rocksdb"]:
        incremental(backend, options.keys, options.rate, options.seconds)


if __name__ == "__main__":
    main()
