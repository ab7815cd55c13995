"""``millstream run`` on the embedded cluster: results, errors, interruption, and what is left behind."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import MILLSTREAM, assert_nothing_left, environment, millstream, start, wait_until

pytestmark = pytest.mark.integration

HEAD = """
from millstream.datastream import StreamExecutionEnvironment
env = StreamExecutionEnvironment.get_execution_environment()
"""
THREE = (
    HEAD
    + """
env.set_parallelism(1)
env.from_collection([1, 2, 3]).map(lambda n: n * 10).print()
result = env.execute("three")
print("ran", result.get_net_runtime() >= 0)
"""
)
ENDLESS = (
    HEAD
    + """
from millstream.datastream.connectors.number_seq import NumberSequenceSource
from millstream.common import WatermarkStrategy
import pathlib, time

def slow(n):
    pathlib.Path("started").touch()
    time.sleep(0.01)
    return n

numbers = env.from_source(NumberSequenceSource(0, 10**12), WatermarkStrategy.no_watermarks(), "numbers")
numbers.map(slow).disable_chaining().print()
env.execute("endless")
"""
)


def script(home: Path, text: str, name: str = "job.py") -> str:
    (home / name).write_text(text)
    return name


def test_three_records(home: Path) -> None:
    done = millstream(home, "run", "--local", script(home, THREE))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert sorted(line.split("> ")[-1] for line in lines[:3]) == ["10", "20", "30"]
    assert lines[3] == "ran True", "what tasks print comes before what follows execute"
    assert "FINISHED" in done.stderr
    assert_nothing_left(home)


def test_quiet_prints_results_only(home: Path) -> None:
    done = millstream(home, "run", "--local", "--quiet", script(home, THREE))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 4


def test_several_jobs_of_one_script_share_the_cluster(home: Path) -> None:
    text = (
        HEAD
        + """
for limit in (3, 4):
    env = StreamExecutionEnvironment.get_execution_environment()
    values = env.from_collection(list(range(limit))).map(lambda n: n + 1).execute_and_collect()
    print(sorted(values))
"""
    )
    done = millstream(home, "run", "--local", "-q", "-p", "2", script(home, text))
    assert done.stdout == "[1, 2, 3]\n[1, 2, 3, 4]\n", done.stderr


def test_local_modules_travel_with_the_job(home: Path) -> None:
    (home / "shapes").mkdir()
    (home / "shapes" / "__init__.py").write_text("")
    (home / "shapes" / "area.py").write_text("def square(n):\n    return n * n\n")
    text = (
        HEAD
        + "from shapes.area import square\nprint(list(env.from_collection([3]).map(square).execute_and_collect()))\n"
    )
    done = millstream(home, "run", "--local", "-q", script(home, text))
    assert done.stdout == "[9]\n", done.stderr


def test_an_error_in_a_function_names_the_place_and_shows_no_stack_of_ours(home: Path) -> None:
    text = (
        HEAD
        + """
def invert(n):
    return 1 / n

env.from_collection([2, 0]).map(invert).print()
env.execute()
"""
    )
    done = millstream(home, "run", "--local", "-q", script(home, text))
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr and "job.py" in done.stderr and "line 6" in done.stderr
    assert "invert" in done.stderr
    assert "/millstream/client/" not in done.stderr and "/millstream/taskmanager/" not in done.stderr
    assert_nothing_left(home)


def test_what_cannot_be_pickled_is_named(home: Path) -> None:
    text = (
        HEAD
        + """
import threading
lock = threading.Lock()
env.from_collection([1]).map(lambda n: (lock, n)).print()
env.execute()
"""
    )
    done = millstream(home, "run", "--local", "-q", script(home, text))
    assert done.returncode == 1
    assert "lock" in done.stderr and "Traceback" not in done.stderr


def test_a_script_that_raises_before_execute(home: Path) -> None:
    done = millstream(home, "run", "--local", script(home, HEAD + "raise RuntimeError('mine')\n"))
    assert done.returncode == 1
    assert done.stderr.endswith("RuntimeError: mine\n") and "/millstream/client/" not in done.stderr
    assert_nothing_left(home)


def test_a_job_larger_than_a_cluster_of_fixed_size_is_refused_with_the_numbers(home: Path) -> None:
    text = HEAD + "env.from_collection([1]).rebalance().map(str).set_parallelism(5).print()\nenv.execute()\n"
    done = millstream(home, "run", "--local", "-q", "-D", "taskmanager.numberOfTaskSlots=2", script(home, text))
    assert done.returncode == 1
    assert "5" in done.stderr and "2" in done.stderr and "slots" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_cancels_the_job_and_leaves_nothing(home: Path, number: signal.Signals) -> None:
    running = start(home, "run", "--local", script(home, ENDLESS))
    try:
        wait_until((home / "started").exists, "the job runs")
        os.kill(running.pid, number)
        _, errors = running.communicate(timeout=60)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == 130
    assert "Cancelling job 'endless'" in errors and "Traceback" not in errors
    assert_nothing_left(home)


def test_an_interrupt_while_the_cluster_starts_leaves_nothing(home: Path) -> None:
    running = start(home, "run", "--local", script(home, ENDLESS))
    try:
        wait_until(lambda: bool(list((home / "tmp").glob("millstream-*"))), "the cluster's directory appears")
        os.kill(running.pid, signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    finally:
        running.kill()
        running.communicate()
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    assert_nothing_left(home)


def test_a_terminal_gets_a_live_table_and_the_printed_lines(home: Path) -> None:
    master, terminal = pty.openpty()
    running = subprocess.Popen(
        [*MILLSTREAM, "run", "--local", script(home, THREE)],
        cwd=home,
        env=environment(home, TERM="xterm-256color", COLUMNS="120", LINES="40"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    try:
        while True:
            try:
                read = os.read(master, 65536)
            except OSError:  # the other side is closed
                break
            if not read:
                break
            shown += read
        running.wait(60)
    finally:
        running.kill()
        running.wait()
        os.close(master)
    text = shown.decode()
    assert running.returncode == 0, text
    for word in ("back-pressured", "watermark", "10", "20", "30", "ran True"):
        assert word in text
    assert_nothing_left(home)


def test_info_shows_the_plan_without_running(home: Path) -> None:
    text = THREE.replace("map(lambda n: n * 10)", "map(lambda n: n * 10).key_by(lambda n: n % 2).reduce(max)")
    done = millstream(home, "info", "-p", "3", script(home, text))
    assert done.returncode == 0, done.stderr
    assert "Job 'three'" in done.stdout and "--hash-->" in done.stdout and "job.py:" in done.stdout
    as_json = millstream(home, "info", "--output", "json", "job.py")
    assert '"exchange": "hash"' in as_json.stdout
    assert_nothing_left(home)


def test_plain_python_uses_an_embedded_cluster_too(home: Path) -> None:
    command = [sys.executable, script(home, THREE)]
    done = subprocess.run(command, cwd=home, env=environment(home), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "ran True"
    assert_nothing_left(home)
