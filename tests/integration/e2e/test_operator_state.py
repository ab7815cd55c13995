"""Operator state and broadcast state survive crashes, and find their owners at another parallelism."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

SETTINGS = """
from millstream.datastream.functions import *
from millstream.datastream.state import *
env.enable_checkpointing("100 ms")
env.configure({"restart-strategy.type": "fixed-delay", "restart-strategy.fixed-delay.delay": "50 ms"})
"""

NUMBERED = (
    SETTINGS
    + """
import os, pathlib
died = pathlib.Path("MARKER")

class Numbered(MapFunction, CheckpointedFunction):
    def initialize_state(self, context):
        store = context.get_operator_state_store()
        self.state = store.get_list_state(ListStateDescriptor("count"))
        self.all = store.get_union_list_state(ListStateDescriptor("all"))
        self.count = sum(self.state)
        self.restored = context.get_restored_checkpoint_id() or 0
        assert context.is_restored() == (self.restored > 0)
        assert len(list(self.all)) == (2 if self.restored else 0)

    def open(self, runtime_context):
        self.index = runtime_context.get_index_of_this_subtask()

    def snapshot_state(self, context):
        assert context.checkpoint_id > self.restored
        self.state.update([self.count])
        self.all.update([self.index])

    def map(self, n):
        if n == 30_000 and not died.exists():
            died.touch()
            os._exit(9)
        self.count += 1
        return self.index, self.count, n, self.restored

env.from_sequence(1, 60_000, rows_per_second=30_000).rebalance().map(Numbered()).write_csv("out")
env.execute("numbered")
"""
)

RATED = (
    SETTINGS
    + """
RATES = MapStateDescriptor("rates")

class Rated(KeyedBroadcastProcessFunction):
    def open(self, runtime_context):
        self.count = runtime_context.get_state(ValueStateDescriptor("count"))

    def process_element(self, n, ctx):
        self.count.update((self.count.value() or 0) + 1)
        yield ctx.get_current_key(), self.count.value(), n, ctx.get_broadcast_state(RATES).get("rate") or 0

    def process_broadcast_element(self, rate, ctx):
        ctx.get_broadcast_state(RATES).put("rate", rate)

rates = env.from_collection([7]).uid("rates").broadcast(RATES)
numbers = env.from_sequence(1, 60_000, rows_per_second=10_000).uid("numbers").key_by(lambda n: n % 10)
numbers.connect(rates).process(Rated()).uid("rated").write_csv("OUT").uid("sink")
env.execute("rated")
"""
)


def rows_in(out: Path) -> list[tuple[int, ...]]:
    rows = []
    for file in out.glob("part-*"):
        with file.open(newline="") as stream:
            rows += [tuple(map(int, row)) for row in csv.reader(stream) if row[0].isdigit()]
    return rows


def test_operator_state_survives_a_slot_that_dies(run_job: Callable[..., Any], shell: Any) -> None:
    run_job(NUMBERED.replace("MARKER", str(shell.directory / "died")), "-p", "2").expect(0)
    rows = rows_in(shell.directory / "out")
    assert (shell.directory / "died").exists() and any(restored for _, _, _, restored in rows)
    assert sorted(n for _, _, n, _ in rows) == list(range(1, 60_001))
    for index in (0, 1):
        counts = sorted(count for subtask, count, _, _ in rows if subtask == index)
        assert counts == list(range(1, len(counts) + 1))


def test_broadcast_state_reaches_the_subtasks_that_a_savepoint_adds(
    shell: Any, cluster: Any, until: Callable[..., Any]
) -> None:
    out = shell.directory / "out"
    script = shell.script(RATED.replace("OUT", str(out)))
    shell.run("run", "-q", "-d", "-p", "1", script).expect(0)
    until(lambda: out.exists() and any(rate for _, _, _, rate in rows_in(out)), "results that know the rate")
    for parallelism in ("3", "2"):
        kept = shell.run("stop", "rated", "--savepoint-dir", str(shell.directory / "kept")).expect(0).out.strip()
        before = len(rows_in(out))
        detached = ["-d"] if parallelism == "3" else []
        shell.run("run", "-q", *detached, "-p", parallelism, "--from-savepoint", kept, script).expect(0)
        until(lambda before=before: len(rows_in(out)) > before, f"results at parallelism {parallelism}")
    rows = rows_in(out)
    assert sorted(n for _, _, n, _ in rows) == list(range(1, 60_001))
    known_from = min(n for _, _, n, rate in rows if rate)
    assert {rate for _, _, n, rate in rows if n >= known_from} == {7}
    counts = defaultdict(list)
    for key, count, _, _ in rows:
        counts[key].append(count)
    assert all(sorted(found) == list(range(1, 6_001)) for found in counts.values()) and len(counts) == 10
