"""What checkpoints cost, and how long a killed TaskManager interrupts the results.

    .venv/bin/python benchmarks/recovery.py

*Overhead*: the run time of a keyed running sum and of the flights job over the same files with a checkpoint a second
and without, in turn, in memory and in RocksDB; and the processor time of all their processes, start and end included,
which says more on a machine with other work. *Snapshot*: for a number of keys with a tuple each, how
long the task stands still and how long the writing takes, as the JobManager reports it. *Recovery*: from SIGKILL of the
TaskManager that does most of the work to the next committed file, with checkpoints every 200 ms and a restart delay of
50 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from bids import write_bids

ROOT = Path(__file__).resolve().parents[1]
FLIGHTS_REPEATED = 20
MILLSTREAM = str(Path(sys.executable).with_name("millstream"))

HEAD = """
from millstream.datastream import StreamExecutionEnvironment
env = StreamExecutionEnvironment.get_execution_environment()
"""
KEYS = (
    HEAD
    + """
import sys
keys = int(sys.argv[1])
env.enable_checkpointing("5 s")
rows = env.from_sequence(0, 10**12, rows_per_second=400_000).map(lambda n: (n % keys, n))
rows.key_by(lambda row: row[0]).reduce(lambda a, b: b).discard()
env.execute("keys")
"""
)
STEADY = (
    HEAD
    + """
import sys
env.enable_checkpointing("200 ms")
env.configure({"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "100",
               "restart-strategy.fixed-delay.delay": "50 ms"})
rows = env.from_sequence(0, 10**12, rows_per_second=20_000).map(lambda n: (n % 100, n))
rows.key_by(lambda row: row[0]).reduce(lambda a, b: b).write_csv(sys.argv[1])
env.execute("steady")
"""
)


def overhead(rounds: int, bids: int) -> None:
    path = ROOT / "data" / f"bids-{bids}.ndjson"
    if not path.exists():
        write_bids(path, bids)
    keyed_sum, rocksdb = (
        [str(ROOT / "benchmarks" / "keyed_sum_job.py"), str(path)],
        ["-D", "state.backend.type=rocksdb"],
    )
    flights = [str(ROOT / "benchmarks" / "flights_job.py"), str(repeated_flights())]
    variants = {
        "keyed sum (functions, memory)": ([], [*keyed_sum, "python"]),
        "keyed sum (functions, rocksdb)": (rocksdb, [*keyed_sum, "python"]),
        "keyed sum (built-in, memory)": ([], [*keyed_sum, "builtin"]),
        "flights (memory)": ([], flights),
        "flights (rocksdb)": (rocksdb, flights),
    }
    times: dict[str, list[list[float]]] = {name: [[], []] for name in variants}
    spent: dict[str, list[list[float]]] = {name: [[], []] for name in variants}
    for _ in range(rounds):
        for name, (settings, job) in variants.items():
            for place, interval in enumerate(([], ["-D", "execution.checkpointing.interval=1s"])):
                runtime_s, processor_s = measured([*settings, *interval], job)
                times[name][place].append(runtime_s)
                spent[name][place].append(processor_s)
    for name, (without, with_checkpoints) in times.items():
        print(
            f"{name}: {statistics.median(without):.2f} s without, {statistics.median(with_checkpoints):.2f} s with a "
            f"checkpoint a second; ratio {_ratios(without, with_checkpoints)}, "
            f"of processor time {_ratios(*spent[name])}"
        )
    for pattern in ("keyed sum (functions, {})", "flights ({})"):
        backends = zip(times[pattern.format("memory")][0], times[pattern.format("rocksdb")][0], strict=True)
        share = statistics.median(memory / rocks for memory, rocks in backends)
        print(f"{pattern.format('rocksdb')}: {share:.2f} of the rate in memory, both without checkpoints")


def _ratios(before: list[float], after: list[float]) -> str:
    """The median of the rounds' ratios, and the range."""
    ratios = [second / first for first, second in zip(before, after, strict=True)]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def measured(settings: list[str], job: list[str]) -> tuple[float, float]:
    """``(run time, processor time of all processes)``, seconds; the latter without the last fraction of a second."""
    spent: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as output:
        command = [MILLSTREAM, "run", "-q", "--local", "-p", "1", *settings, *job, f"{output}/out"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
            family = psutil.Process(started.pid)
            while started.poll() is None:
                spent.update(_spent(family))
                time.sleep(0.1)
            told = started.stdout.read() if started.stdout else ""
    if started.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return float(told.split()[-1]) / 1000, sum(spent.values())


def _spent(family: psutil.Process) -> Iterator[tuple[int, float]]:
    """``(pid, processor time so far)`` of a process and its descendants, as far as they are still there."""
    with suppress(psutil.Error):
        for process in [family, *family.children(recursive=True)]:
            with suppress(psutil.Error):
                yield process.pid, sum(process.cpu_times()[:2])


def repeated_flights() -> Path:
    """The data of ``examples/flights.py`` with each departure twenty times."""
    directory = ROOT / "data" / f"flights-{FLIGHTS_REPEATED}"
    if not directory.exists():
        runpy.run_path(str(ROOT / "examples" / "flights.py"))["extract_csv"](directory)
        for file in directory.glob("*.csv"):
            header, *rows = file.read_text().splitlines()
            file.write_text("\n".join([header, *(row for row in rows for _ in range(FLIGHTS_REPEATED))]) + "\n")
    return directory


@contextmanager
def cluster(home: Path, taskmanagers: int) -> Iterator[dict[str, str]]:
    environment = {**os.environ, "HOME": str(home)}
    ports = [f"-D{key}=0" for key in ("jobmanager.rpc.port", "metrics.jobmanager.port", "metrics.taskmanager.port")]
    start = [MILLSTREAM, "cluster", "start", "--taskmanagers", str(taskmanagers), "--slots", "2", *ports]
    subprocess.run(
        [*start, "-D", "heartbeat.timeout=2 s", "-D", "heartbeat.interval=500 ms"], check=True, env=environment
    )
    try:
        yield environment
    finally:
        subprocess.run([MILLSTREAM, "cluster", "stop"], check=True, env=environment, capture_output=True)


def snapshots(home: Path, keys: int) -> None:
    (home / "keys.py").write_text(KEYS)
    with cluster(home, 1) as environment:
        run = [MILLSTREAM, "run", "-q", "-d", "-p", "1", str(home / "keys.py"), str(keys)]
        subprocess.run(run, check=True, env=environment, capture_output=True)
        time.sleep(12 + keys / 150_000)  # until all keys have been seen, and a checkpoint after that
        show = [MILLSTREAM, "checkpoints", "keys", "--output", "json"]
        shown = subprocess.run(show, check=True, env=environment, capture_output=True, text=True)
        newest = next(c for c in json.loads(shown.stdout)["history"] if c["status"] == "COMPLETED")
        total_s = (newest["ended_ms"] - newest["triggered_ms"]) / 1000
        print(
            f"{keys:,} keys, {newest['state_bytes'] / 1e6:.0f} MB: the task stands still for "
            f"{newest['sync_us_max'] / 1e6:.3f} s, writing {newest['async_us_max'] / 1e6:.2f} s, all {total_s:.2f} s"
        )


def recovery(home: Path, rounds: int = 3) -> None:
    (home / "steady.py").write_text(STEADY)
    out = home / "out"
    with cluster(home, 1 + rounds) as environment:
        run = [MILLSTREAM, "run", "-q", "-d", "-p", "2", str(home / "steady.py"), str(out)]
        subprocess.run(run, check=True, env=environment, capture_output=True)
        times = []
        for _ in range(rounds):
            time.sleep(3)
            victim = busiest(home)
            os.killpg(victim.pid, signal.SIGKILL)
            killed = time.time()
            while newest_file(out) < killed + 0.3:  # what was complete before may still be committed
                time.sleep(0.01)
            times.append(newest_file(out) - killed)
    print(f"killed TaskManager to the next results: {', '.join(f'{t:.2f}' for t in times)} s")


def newest_file(directory: Path) -> float:
    return max((file.stat().st_mtime for file in directory.glob("part-*")), default=0.0)


def busiest(home: Path) -> psutil.Process:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[-1:] == ["millstream.taskmanager"] and process.environ().get("HOME") == str(home):
                family = [process, *process.children(recursive=True)]
                found.append((sum(sum(member.cpu_times()[:2]) for member in family), process.pid))
        except psutil.Error:
            continue
    return psutil.Process(max(found)[1])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--bids", type=int, default=6_000_000)
    arguments.add_argument("--only-overhead", action="store_true")
    options = arguments.parse_args()
    overhead(options.rounds, options.bids)
    if options.only_overhead:
        return
    for keys in (10_000, 1_000_000):
        with tempfile.TemporaryDirectory() as directory:
            snapshots(Path(directory), keys)
    with tempfile.TemporaryDirectory() as directory:
        recovery(Path(directory))


if __name__ == "__main__":
    main()
