"""Results are exact through crashes and savepoints; ``tests/chaos`` has the faults that come at random times."""

from __future__ import annotations

import csv
import itertools
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

COUNT = """
import sys
env.enable_checkpointing("100 ms")
env.configure({{"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.attempts": "1000",
               "restart-strategy.fixed-delay.delay": "50 ms"}})
def add(a, b):
    return a[0], a[1] + b[1], a[2] + b[2]
pairs = env.from_sequence(1, {records}, rows_per_second={rate}).rebalance().map(lambda n: (n % 10, 1, n))
pairs.key_by(lambda t: t[0]).reduce(add).uid("count").write_csv("{out}")
env.execute("count")
"""


def check_counts(out: Path, records: int) -> None:
    """Every key's running count goes 1, 2, 3, ... and its sum is that of the numbers so far, each row once."""
    rows: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for file in out.glob("part-*"):
        with file.open(newline="") as stream:
            for row in csv.reader(stream):
                if row[0].isdigit():
                    rows[int(row[0])].append((int(row[1]), int(row[2])))
    for key in range(10):
        numbers = [n for n in range(1, records + 1) if n % 10 == key]
        found = sorted(rows[key])
        assert [count for count, _ in found] == list(range(1, len(numbers) + 1)), f"key {key}: {len(found)} rows"
        assert found[-1] == (len(numbers), sum(numbers)), f"key {key}"


def hidden_files(out: Path) -> list[str]:
    return sorted(file.name for file in out.glob(".*"))


def checkpoints_of(shell: Any) -> list[Path]:
    return list(Path(shell.environment["HOME"]).glob(".millstream/checkpoints/*/chk-*"))


LOCAL = ["-D", "execution.checkpointing.local-backup.enabled=true", "-D", "execution.state-recovery.from-local=true"]


@pytest.mark.parametrize("settings", [[], [*LOCAL, "-D", "state.backend.type=rocksdb"]], ids=["plain", "local-copies"])
def test_a_slot_that_dies_costs_nothing(shell: Any, settings: list[str]) -> None:
    text = COUNT.format(records=60_000, rate=30_000, out="out").replace("lambda n: (n % 10, 1, n)", "die_once")
    fatal = (
        "import os, pathlib\n"
        "def die_once(n):\n"
        "    if n == 30_000 and not pathlib.Path('died').exists():\n"
        "        pathlib.Path('died').touch()\n"
        "        os._exit(9)\n"
        "    return n % 10, 1, n\n"
    )
    shell.run_job(fatal.replace("'died'", repr(str(shell.directory / "died"))) + text, "-p", "2", *settings).expect(0)
    assert (shell.directory / "died").exists()
    check_counts(shell.directory / "out", 60_000)
    assert hidden_files(shell.directory / "out") == [] and checkpoints_of(shell) == []


@pytest.mark.parametrize("which", [4, 5, 6, 7])
def test_a_disk_that_loses_what_was_written_costs_no_record(shell: Any, which: int) -> None:
    """An error of fsync: of state it ends the checkpoint, and of a sink's file the attempt, which has lost records."""
    marker = shell.directory / "lost"
    shell.environment["MILLSTREAM_FAILPOINTS"] = f"files.sync=io-error@{which}:{marker}"
    tolerant = ("-D", "execution.checkpointing.tolerable-failed-checkpoints=1")
    shell.run_job(COUNT.format(records=30_000, rate=30_000, out="out"), "-p", "1", *tolerant).expect(0)
    assert marker.exists()
    check_counts(shell.directory / "out", 30_000)
    assert hidden_files(shell.directory / "out") == [] and checkpoints_of(shell) == []


def test_savepoint_stop_and_go_on_with_more_subtasks(shell: Any, cluster: Any, until: Callable[..., Any]) -> None:
    out = shell.directory / "out"
    script = shell.script(COUNT.format(records=100_000, rate=10_000, out=out))
    savepoints = f"execution.checkpointing.savepoint-dir={shell.directory / 'of-the-job'}"
    shell.run("run", "-q", "-d", "-p", "1", "-D", savepoints, script).expect(0)
    until(lambda: out.exists() and list(out.glob("part-*")), "committed results")
    kept = shell.run("savepoint", "count").expect(0).out.strip()
    assert Path(kept).parent == shell.directory / "of-the-job"
    shown = json.loads(shell.run("checkpoints", "count", "--output", "json").expect(0).out)
    completed = [checkpoint for checkpoint in shown["history"] if checkpoint["status"] == "COMPLETED"]
    assert shown["completed"] >= len(completed) > 0 and completed[0]["state_bytes"] > 0 and shown["restarts"] == 0
    assert "COMPLETED" in shell.run("checkpoints", "count").expect(0).out
    title, header, *parts = shell.run("checkpoints", "count", "--subtasks").expect(0).out.splitlines()
    assert "COMPLETED" in title and "ASYNC" in header and "IN FLIGHT" in header
    assert len(parts) == len(completed[0]["subtasks"]) > 0 and all("ms" in part for part in parts)
    unknown = shell.run("checkpoints", "count", "--subtasks", "--id", "99999").expect(1)
    assert "has no checkpoint 99999 among the last ones" in unknown.err
    elsewhere = f"execution.checkpointing.savepoint-dir={shell.directory / 'kept'}"
    last = shell.run("stop", "count", "-D", elsewhere).expect(0).out.strip()
    assert Path(last).parent == shell.directory / "kept"
    assert cluster.jobs()[0]["status"] == "FINISHED" and Path(kept, "MANIFEST").exists()
    held = json.loads(shell.run("savepoint", "show", last, "--output", "json").expect(0).out)
    assert held["kind"] == "savepoint" and held["job_name"] == "count"
    (counter,) = [operator for operator in held["operators"] if operator["name"] == "reduce"]
    assert "reduced" in counter["states"] and counter["bytes"] > 0
    assert "reduce" in shell.run("savepoint", "show", last).expect(0).out
    shell.run("savepoint", "delete", kept).expect(0)
    assert not Path(kept).exists()
    assert "there is no checkpoint" in shell.run("savepoint", "show", str(shell.directory)).err
    shell.run("run", "-q", "-p", "3", "--from-savepoint", last, script).expect(0)
    check_counts(out, 100_000)


def test_savepoints_that_do_not_fit_are_refused_before_anything_runs(
    shell: Any, cluster: Any, until: Callable[..., Any]
) -> None:
    out = shell.directory / "out"
    text = COUNT.format(records=10**9, rate=10_000, out=out)
    shell.run("run", "-q", "-d", "-p", "1", shell.script(text)).expect(0)
    until(lambda: out.exists() and list(out.glob("part-*")), "committed results")
    path = Path(shell.run("stop", "count", "--savepoint-dir", str(shell.directory / "kept")).expect(0).out.strip())

    renamed = shell.script(text.replace('uid("count")', 'uid("other")'), "renamed.py")
    refused = shell.run("run", "-q", "-d", "--from-savepoint", str(path), renamed)
    assert refused.code != 0 and "reduce" in refused.err and "--allow-non-restored-state" in refused.err
    accepted = shell.run("run", "-q", "-d", "--from-savepoint", str(path), "--allow-non-restored-state", renamed)
    accepted.expect(0)
    shell.run("cancel", "count").expect(0)

    state = next(file for file in path.glob("*.state") if file.stat().st_size > 100)
    whole = state.read_bytes()
    state.write_bytes(whole[:-1])
    torn = shell.run("run", "-q", "-d", "--from-savepoint", str(path), shell.script(text))
    assert torn.code != 0 and state.name in torn.err and "torn" in torn.err
    state.unlink()
    missing = shell.run("run", "-q", "-d", "--from-savepoint", str(path), shell.script(text))
    assert missing.code != 0 and state.name in missing.err and "missing" in missing.err
    state.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    damaged = shell.run("run", "-q", "--from-savepoint", str(path), shell.script(text))
    assert damaged.code != 0 and state.name in damaged.err and "damaged" in damaged.err
    elsewhere = shell.run("run", "-q", "-d", "--from-savepoint", str(shell.directory), shell.script(text))
    assert elsewhere.code != 0 and "there is no checkpoint" in elsewhere.err
    running = [job for job in cluster.jobs() if job["status"] not in ("CANCELED", "FAILED", "FINISHED")]
    assert running == [], json.dumps(running)


def test_a_job_that_stops_without_committing_says_so_and_its_savepoint_commits(
    shell: Any, start_cluster: Callable[..., Any], until: Callable[..., Any]
) -> None:
    shell.environment["MILLSTREAM_FAILPOINTS"] = f"commit.publish=error:{shell.directory / 'failed'}"
    cluster = start_cluster(1, 1)
    out = shell.directory / "out"
    text = COUNT.format(records=60_000, rate=10_000, out=out).replace('"100 ms"', '"1 h"')
    script = shell.script(text)
    shell.run("run", "-q", "-d", "-p", "1", script).expect(0)
    until(lambda: out.exists() and hidden_files(out), "results on their way")
    stopped = shell.run("stop", "count", "--savepoint", str(shell.directory / "kept")).expect(1)
    assert "The savepoint is complete, but the job is FAILED" in stopped.err and "commit.publish" in stopped.err
    assert cluster.jobs()[0]["status"] == "FAILED" and not list(out.glob("part-*"))
    shell.run("run", "-q", "-p", "1", "--from-savepoint", stopped.out.strip(), script).expect(0)
    check_counts(out, 60_000)


def test_a_job_that_sets_no_interval_takes_that_of_the_cluster(
    shell: Any, start_cluster: Callable[..., Any], until: Callable[..., Any]
) -> None:
    start_cluster(1, 1, "-D", "execution.checkpointing.interval=100ms")
    out = shell.directory / "out"
    text = COUNT.format(records=10**9, rate=10_000, out=out).replace('env.enable_checkpointing("100 ms")', "")
    assert "enable_checkpointing" not in text
    shell.run("run", "-q", "-d", "-p", "1", shell.script(text)).expect(0)
    until(lambda: list(out.glob("part-*")), "files committed by checkpoints")
    shell.run("cancel", "count").expect(0)


def test_a_job_that_fails_after_the_savepoint_of_its_drain_is_not_started_again(
    shell: Any, start_cluster: Callable[..., Any], until: Callable[..., Any]
) -> None:
    """From the checkpoint before the savepoint it would write again what sinks have committed with the savepoint."""
    shell.environment["MILLSTREAM_FAILPOINTS"] = f"commit.published=error:{shell.directory / 'failed'}"
    cluster = start_cluster(1, 1)
    out = shell.directory / "out"
    text = COUNT.format(records=10**9, rate=10_000, out=out).replace('"100 ms"', '"1 h"')
    shell.run("run", "-q", "-d", "-p", "1", shell.script(text)).expect(0)
    until(lambda: out.exists() and hidden_files(out), "results on their way")
    stopped = shell.run("stop", "count", "--drain", "--savepoint", str(shell.directory / "kept")).expect(1)
    assert "The savepoint is complete, but the job is FAILED" in stopped.err
    assert "not started again: it was being stopped" in stopped.err and stopped.out.strip() in stopped.err
    assert cluster.jobs()[0]["status"] == "FAILED" and len(list(out.glob("part-*"))) == 1


def test_what_a_cancelled_job_prepared_for_a_checkpoint_that_never_was_is_removed(
    shell: Any, start_cluster: Callable[..., Any], until: Callable[..., Any]
) -> None:
    shell.environment["MILLSTREAM_FAILPOINTS"] = "files.write=delay:60000ms"
    start_cluster(1, 1)
    out = shell.directory / "out"
    shell.run("run", "-q", "-d", "-p", "1", shell.script(COUNT.format(records=10**9, rate=10_000, out=out))).expect(0)
    until(lambda: out.exists() and len(hidden_files(out)) > 1, "a file that waits for its checkpoint, and the next one")
    shell.run("cancel", "count").expect(0)
    until(lambda: not hidden_files(out), "the files to go")
    assert not list(out.glob("part-*"))


def test_a_poison_record_ends_in_failed_with_its_message(shell: Any) -> None:
    text = COUNT.format(records=50_000, rate=20_000, out="out").replace("lambda n: (n % 10, 1, n)", "poisoned")
    poison = "def poisoned(n):\n    return n % 10, 1 // (n - 20_000), n\n"
    done = shell.run_job(poison + text, "-p", "2").expect(1)
    assert "ZeroDivisionError" in done.err and "20000" in done.err
    assert "not started again: it failed 4 times at this line with this record" in done.err


def test_a_row_that_cannot_be_read_is_not_read_again_and_again(shell: Any) -> None:
    (shell.directory / "rows.csv").write_text("a,b\n1,2\n1,x\n")
    text = """
from typing import NamedTuple
class Pair(NamedTuple):
    a: int
    b: int
env.enable_checkpointing("100 ms")
env.read_csv("rows.csv", schema=Pair).print()
env.execute()
"""
    done = shell.run_job(text, "-p", "1").expect(1)
    assert "rows.csv" in done.err and "not started again: the same would happen again" in done.err


@pytest.mark.parametrize("backend", ["memory", "rocksdb"])
def test_a_value_that_cannot_be_saved_ends_the_job_with_operator_state_and_type(shell: Any, backend: str) -> None:
    text = """
import threading
from millstream.datastream.functions import KeyedProcessFunction
from millstream.datastream.state import ValueStateDescriptor
class Lock(KeyedProcessFunction):
    def open(self, context):
        self.locks = context.get_state(ValueStateDescriptor("locks"))
    def process_element(self, value, ctx):
        self.locks.update(threading.Lock())
        yield value
env.enable_checkpointing("100 ms")
env.from_sequence(1, 10**6, rows_per_second=5000).key_by(lambda n: n % 5).process(Lock()).name("locker").discard()
env.execute()
"""
    done = shell.run_job(text, "-p", "1", "-D", f"state.backend.type={backend}").expect(1)
    assert "locker" in done.err and "the state 'locks' holds a value of type _thread.lock" in done.err
    assert "not started again: the same would happen again" in done.err


def test_windows_and_timers_survive(shell: Any) -> None:
    """A windowed sum with event time, killed in the middle, equals the sum of each window."""
    text = """
import os, pathlib
from millstream.common import WatermarkStrategy
from millstream.datastream.window import TumblingEventTimeWindows
env.enable_checkpointing("100 ms")
env.configure({"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.delay": "50 ms",
               "restart-strategy.fixed-delay.attempts": "5"})
def die_once(n):
    if n == 20_000 and not pathlib.Path("DIED").exists():
        pathlib.Path("DIED").touch()
        os._exit(9)
    return n % 7, n
times = WatermarkStrategy.for_bounded_out_of_orderness("10 ms").with_timestamp_assigner(lambda t, _: t[1])
rows = env.from_sequence(0, 39_999, rows_per_second=20_000).map(die_once).assign_timestamps_and_watermarks(times)
windows = rows.key_by(lambda t: t[0]).window(TumblingEventTimeWindows.of("1 s"))
windows.reduce(lambda a, b: (a[0], a[1] + b[1])).write_csv("out")
env.execute()
""".replace("DIED", str(shell.directory / "died"))
    shell.run_job(text, "-p", "2").expect(0)
    assert (shell.directory / "died").exists()
    found = []
    for file in (shell.directory / "out").glob("part-*"):
        with file.open(newline="") as stream:
            found += [(int(row[0]), int(row[1])) for row in csv.reader(stream) if row[0].isdigit()]
    numbers = range(40_000)
    expected = [
        (key, sum(n for n in numbers[start : start + 1000] if n % 7 == key))
        for start, key in itertools.product(range(0, 40_000, 1000), range(7))
    ]
    assert sorted(found) == sorted(expected)
