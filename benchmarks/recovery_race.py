"""How soon results come again after a fault: Millstream beside Flink, the same job and the same schedule of faults.

    .venv/bin/python benchmarks/recovery_race.py [--rounds 10] [--default-rounds 5] [--seed 1] [--output FILE]
        [--systems millstream,flink] [--timeouts default,tuned] [--kinds "kill TaskManager,kill JobManager"]

A ``datagen`` table of numbered rows, running figures of each of 100 keys, an exactly-once file sink, a checkpoint a
second; parallelism 2 on three TaskManagers with one slot each, so that one is spare. Each system is a cluster of real
processes. A fault falls at a random moment between two checkpoints of a job that runs smoothly. *Noticed*: the job
leaves RUNNING, or another JobManager answers for it. *First output*: the first committed file that was written after
that. When it is there, what was frozen goes on, and what was killed is started again.

``default``: the timeouts that each system has of itself. ``tuned``: the same for both, below. At the end every
committed row is checked.

Flink: the environment variable FLINK_PYTHON names a Python with apache-flink 2.3 (or ``nexmark/run.py`` has made one
below ``data/``), and ``java`` is on the PATH; without them, Flink is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from race.flink_cluster import FLINK_PYTHON, FlinkCluster, find_flink
from race.job import CHECKPOINT_INTERVAL_S
from race.measuring import Course, run
from race.millstream_cluster import MillstreamCluster
from race.report import table, verdicts
from race.schedule import KILL_SLOT, KINDS, schedule
from race.system import System

ROOT: Final = Path(__file__).resolve().parents[1]
TASKMANAGERS: Final = 3
TUNED: Final = {
    "heartbeat.interval": "1 s",
    "heartbeat.timeout": "5 s",
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": "1000",
    "restart-strategy.fixed-delay.delay": "100 ms",
}
LEASE: Final = "high-availability.lease-timeout"
LEADER_TIMEOUT: Final = "3 s"
"""Tuned: of ZooKeeper sessions and of the file lease."""


def system_of(name: str, timeouts: str, flink: Path | None) -> System:
    tuned = dict(TUNED) if timeouts == "tuned" else {}
    if name == "millstream":
        return MillstreamCluster(TASKMANAGERS, tuned | ({LEASE: LEADER_TIMEOUT} if tuned else {}))
    assert flink is not None
    job = {key: value for key, value in tuned.items() if key.startswith("restart")}
    if tuned:
        tuned["high-availability.zookeeper.client.session-timeout"] = LEADER_TIMEOUT
    return FlinkCluster(flink, TASKMANAGERS, tuned, job, tick_ms=500 if tuned else 2000)


def race(options: argparse.Namespace) -> list[Course]:
    flink = find_flink(ROOT)
    courses: list[Course] = []
    for timeouts in options.timeouts.split(","):
        count = options.rounds if timeouts == "tuned" else options.default_rounds
        for name in options.systems.split(","):
            if name == "flink" and flink is None:
                print(f"Flink is left out: {FLINK_PYTHON} names no Python with apache-flink, or there is no java")
                continue
            kinds = [kind for kind in options.kinds.split(",") if kind in KINDS]
            mine = {kind: count for kind in kinds if kind not in MISSING[name]}
            faults = schedule(options.seed, mine, CHECKPOINT_INTERVAL_S)
            print(f"{name}, {timeouts} timeouts, {len(faults)} faults ...", file=sys.stderr, flush=True)
            with directory(options.keep) as home:
                courses.append(run(system_of(name, timeouts, flink), timeouts, faults, home))
            write(options, courses)
    return courses


def write(options: argparse.Namespace, courses: list[Course]) -> None:
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True, cwd=ROOT
    )
    what = {
        "commit": commit.stdout.strip(),
        "seed": options.seed,
        "processors": os.cpu_count(),
        "tuned": TUNED,
        "leader_timeout": LEADER_TIMEOUT,
        "courses": [course.as_json() for course in courses],
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(what, indent=1))


MISSING: Final = {"flink": (KILL_SLOT,), "millstream": ()}
"""A task of Flink is no process of its own."""


@contextmanager
def directory(keep: bool) -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="race-"))
    try:
        yield home
    finally:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=10, help="faults of each kind with tuned timeouts")
    arguments.add_argument("--default-rounds", type=int, default=5, help="the same with default timeouts")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--systems", default="millstream,flink")
    arguments.add_argument("--timeouts", default="default,tuned")
    arguments.add_argument("--kinds", default=",".join(KINDS))
    arguments.add_argument("--output", type=Path, default=ROOT / "data" / "recovery-race.json")
    arguments.add_argument("--keep", action="store_true", help="leave the directories with logs and output")
    options = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # and end what was started
    courses = race(options)
    print(table(courses))
    print()
    print(verdicts(courses))


if __name__ == "__main__":
    main()
