"""Checkpoints, recovery and rescaling with a large keyed state.

    .venv/bin/python benchmarks/large_state.py [--keys 10000000] [--backend memory] [--backend rocksdb] [--seconds 30]

A job first gives each key a value of 100 bytes that hardly compress, then changes one key in a hundred between two
checkpoints, one a second. From what the JobManager reports: the size of the state, what each later checkpoint wrote,
how long the task stood still for it, and how long it took from trigger to completion. Then the TaskManager with the
state is killed, and the job is rescaled from 1 to 2 to 4 and back.

The function behind the state notes when records come out. A pause lasts from the last record of the old subtasks (or
SIGKILL) until each of the new ones has put out one.
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
import os, random, sys, time
from millstream.datastream import MapFunction, StreamExecutionEnvironment
keys, rate, directory = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
changed = keys // 100
noise = random.Random(7).randbytes(500_000).hex()

def row(n):
    place = n * 7919 % 900_000
    return (n if n < keys else n % changed * 97), n, noise[place : place + 80]

class Pulse(MapFunction):
    def open(self, context):
        self.file = open(f"{directory}/pulse-{os.getpid()}-{time.monotonic_ns()}", "w", buffering=1)
        self.noted_s = 0.0
    def map(self, row):
        now_s = time.monotonic()
        if now_s > self.noted_s + 0.01:
            self.file.write(f"{now_s} {row[1]}\\n")
            self.noted_s = now_s
        return row
    def close(self):
        self.file.close()

env = StreamExecutionEnvironment.get_execution_environment()
env.enable_checkpointing("1 s")
env.configure({"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "100",
               "restart-strategy.fixed-delay.delay": "50 ms"})
rows = env.from_sequence(0, 10**12, rows_per_second=rate).map(row)
rows.key_by(lambda row: row[0]).reduce(lambda a, b: b).uid("state").map(Pulse()).discard()
env.execute("large")
"""
SETTINGS = {"heartbeat.interval": "500 ms", "heartbeat.timeout": "2 s"}


class Cluster:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
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

    def taskmanager_of(self, pid: int) -> psutil.Process:
        process = psutil.Process(pid)
        while process.cmdline()[-1:] != ["millstream.taskmanager"]:
            parent = process.parent()
            assert parent is not None
            process = parent
        return process

    def pulses(self) -> dict[Path, tuple[float, float]]:
        """When each instance of the function behind the state had its first and latest record, monotonic seconds."""
        return {path: (lines[0][0], lines[-1][0]) for path, lines in self._noted().items()}

    def records(self) -> int:
        """So many have come out."""
        return max((int(lines[-1][1]) for lines in self._noted().values()), default=0)

    def _noted(self) -> dict[Path, list[list[float]]]:
        """What the instances wrote: first and last line, each the time and the number of a record."""
        found = {}
        for path in self.directory.glob("pulse-*"):
            lines = path.read_text().split("\n")[:-1]  # the last may be unfinished
            if lines:
                found[path] = [[float(text) for text in line.split()] for line in (lines[0], lines[-1])]
        return found


@contextmanager
def cluster(taskmanagers: int, slots: int) -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory() as directory:
        made = Cluster(Path(directory))
        settings = [f"-D{key}={value}" for key, value in {"jobmanager.rpc.port": "0", **SETTINGS}.items()]
        made.run("cluster", "start", *settings, "--taskmanagers", str(taskmanagers), "--slots", str(slots))
        try:
            yield made
        finally:
            made.run("cluster", "stop")


def until(condition: Callable[[], Any], what: str, timeout_s: float = 900.0, every_s: float = 0.05) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        found = condition()
        if found:
            return found
        time.sleep(every_s)
    raise SystemExit(f"waited in vain for {what}")


def incremental(backend: str, keys: int, rate: int, seconds: int) -> None:
    with cluster(3, 2) as made:
        settings = ["-D", f"state.backend.type={backend}"]
        job = [str(made.job), str(keys), str(rate), str(made.directory)]
        made.run("run", "-q", "-d", "-p", "1", *settings, *job)
        until(lambda: made.records() > keys, "the state", every_s=1)
        before = made.checkpoints()["triggered"]
        until(lambda: made.checkpoints()["completed"] > before + 2, "checkpoints of all of it", every_s=1)
        seen: dict[int, dict[str, Any]] = {}
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            for checkpoint in made.checkpoints()["history"]:
                if checkpoint["status"] == "COMPLETED" and checkpoint["checkpoint_id"] > before + 2:
                    seen[checkpoint["checkpoint_id"]] = checkpoint
            time.sleep(2)
        state_bytes = seen[max(seen)]["state_bytes"]
        print(f"{backend}: {keys:,} keys, {state_bytes / 1e9:.2f} GB of state, load {os.getloadavg()[0]:.1f}")
        full = [c for c in seen.values() if c["written_bytes"] > c["state_bytes"] * 0.9]
        _figures("incremental", [c for c in seen.values() if c not in full])
        _figures("full", full)
        _killed(made)
        for parallelism in (2, 4, 2):
            _settle(made)
            _rescaled(made, parallelism)


def _figures(kind: str, checkpoints: list[dict[str, Any]]) -> None:
    if checkpoints:
        print(f"  {len(checkpoints)} {kind} checkpoints")
        _line("written, MB", [c["written_bytes"] / 1e6 for c in checkpoints])
        _line("standing still, ms", [c["sync_us_max"] / 1e3 for c in checkpoints])
        _line("writing beside, ms", [c["async_us_max"] / 1e3 for c in checkpoints])
        _line("trigger to completion, ms", [c["ended_ms"] - c["triggered_ms"] for c in checkpoints])


def _killed(made: Cluster) -> None:
    """SIGKILL of the TaskManager that has the state, to records coming out again."""
    newest = max(made.pulses().items(), key=lambda pulse: pulse[1][1])[0]
    victim = made.taskmanager_of(int(newest.name.split("-")[1]))
    killed_s = time.monotonic()
    os.killpg(victim.pid, signal.SIGKILL)
    flowing_s = until(lambda: _all_flow(made, killed_s, 1), "records after the kill")
    print(
        f"  killed TaskManager to records coming out: {flowing_s - killed_s:.2f} s; {_work(made, killed_s)}", flush=True
    )


def _rescaled(made: Cluster, parallelism: int) -> None:
    asked_s = time.monotonic()
    made.run("rescale", "large", "-p", str(parallelism))
    flowing_s = until(lambda: _all_flow(made, asked_s, parallelism), "records after rescaling")
    stopped_s = max(latest for first, latest in made.pulses().values() if first < asked_s)
    print(
        f"  rescaled to {parallelism}: command to records from all {flowing_s - asked_s:.2f} s, "
        f"of which without records {flowing_s - stopped_s:.2f} s; {_work(made, asked_s)}",
        flush=True,
    )


def _work(made: Cluster, since_s: float) -> str:
    """Processor time of the new slots until now: what the restore takes where nothing else runs."""
    pids = {int(path.name.split("-")[1]) for path, (first, _) in made.pulses().items() if first > since_s}
    spent = [f"{sum(psutil.Process(pid).cpu_times()[:2]):.1f}" for pid in pids if psutil.pid_exists(pid)]
    return f"processor time of the new slots {', '.join(spent)} s, load {os.getloadavg()[0]:.1f}"


def _all_flow(made: Cluster, since_s: float, parallelism: int) -> float:
    """When the last of the new instances had its first record; 0 when some have not yet."""
    firsts = sorted(first for first, _ in made.pulses().values() if first > since_s)
    return firsts[parallelism - 1] if len(firsts) >= parallelism else 0.0


def _settle(made: Cluster) -> None:
    """Until two more checkpoints are complete."""
    before = made.checkpoints()["completed"]
    until(lambda: made.checkpoints()["completed"] > before + 1, "more checkpoints", every_s=0.5)


def _line(name: str, values: list[float]) -> None:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"  {name:28} median {statistics.median(ordered):9.1f}   p99 {p99:9.1f}   max {ordered[-1]:9.1f}", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--keys", type=int, default=10_000_000)
    arguments.add_argument("--rate", type=int, default=150_000, help="records a second")
    arguments.add_argument("--seconds", type=int, default=30)
    arguments.add_argument("--backend", action="append", choices=["memory", "rocksdb"])
    options = arguments.parse_args()
    for backend in options.backend or ["memory", "rocksdb"]:
        incremental(backend, options.keys, options.rate, options.seconds)


if __name__ == "__main__":
    main()
