"""What Millstream costs before the first record: start-up times, memory and processor use of slots, deployment.

    .venv/bin/python benchmarks/footprint.py

Memory is the proportional set size (pages shared by forks count in parts). Deployment is the time
from ``execute_async`` to RUNNING of a job of 20 subtasks, on slots that wait.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from millstream.local import LocalCluster

MILLSTREAM = str(Path(sys.executable).with_name("millstream"))
IDLE_S = 20.0

THREE = """
from millstream.datastream import StreamExecutionEnvironment
env = StreamExecutionEnvironment.get_execution_environment()
env.from_collection([1, 2, 3]).map(lambda n: n * 10).print()
env.execute()
"""

TWENTY = """
import time
from millstream.datastream import StreamExecutionEnvironment
env = StreamExecutionEnvironment.get_execution_environment()
env.set_parallelism(4)
for _ in range(6):
    stream = env.from_sequence(1, 4)
    for _ in range(4):
        stream = stream.rebalance().map(lambda n: n)
    stream.discard()
    start = time.perf_counter()
    job = env.execute_async("twenty")
    while job.get_job_status().result().name in ("CREATED", "INITIALIZING"):
        time.sleep(0.002)
    print(time.perf_counter() - start)
    job.get_job_execution_result().result()
    time.sleep(1)  # the slots get fresh processes
"""


def command_s(*arguments: str, rounds: int = 5) -> float:
    """Median wall time."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run([MILLSTREAM, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def slots_of(cluster: LocalCluster) -> list[psutil.Process]:
    """The slot processes: children of the fork server."""
    taskmanager = psutil.Process(cluster.process_ids[1])
    return [slot for server in taskmanager.children() for slot in server.children()]


def wait_for_slots(cluster: LocalCluster, number: int) -> list[psutil.Process]:
    deadline = time.monotonic() + 30
    while len(found := slots_of(cluster)) < number or any(p.cpu_times().user == 0 for p in found):
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    time.sleep(1.0)
    return found


def all_pss_mb(cluster: LocalCluster) -> float:
    processes = {p.pid: p for pid in cluster.process_ids for p in [psutil.Process(pid)]}
    for parent in list(processes.values()):
        processes.update({p.pid: p for p in parent.children(recursive=True)})
    return sum(p.memory_full_info().pss for p in processes.values()) / 1e6


def memory_and_idle() -> None:
    totals = {}
    for slots in (1, 2, 8):
        with LocalCluster(taskmanagers=1, slots=slots) as cluster:
            cluster.wait_until_started()
            found = wait_for_slots(cluster, slots)
            totals[slots] = all_pss_mb(cluster)
            if slots == 8:
                before = [sum(p.cpu_times()[:2]) for p in found]
                time.sleep(IDLE_S)
                used = [sum(p.cpu_times()[:2]) - b for p, b in zip(found, before, strict=True)]
                print(f"a slot at rest: {max(used) / IDLE_S * 100:.2f} % of a core (the busiest of 8)")
    print(
        f"cluster with 1 slot: {totals[1]:.0f} MB in all processes; "
        f"each further slot: {(totals[8] - totals[2]) / 6:.1f} MB"
    )


def deployment(directory: str) -> None:
    """The first of the jobs waits for the cluster; the others find slots that wait for them."""
    script = Path(directory) / "twenty.py"
    script.write_text(TWENTY)
    command = [MILLSTREAM, "run", "-q", "--local", "-D", "taskmanager.numberOfTaskSlots=4", str(script)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    _, *times = map(float, done.stdout.split())
    print(f"submit and deploy 20 subtasks on 4 slots: {statistics.median(times):.2f} s, at most {max(times):.2f} s")


def main() -> None:
    print(f"millstream --help: {command_s('--help'):.3f} s")
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "three.py"
        script.write_text(THREE)
        print(f"millstream run --local of a three-record job: {command_s('run', '--local', '-q', str(script)):.2f} s")
        deployment(directory)
    memory_and_idle()


if __name__ == "__main__":
    main()
