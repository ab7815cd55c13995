"""What savepoints hold: read by DuckDB and the state API, made of data, and gone on with by changed programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from millstream.datastream.state import ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor
from millstream.state import Savepoint, SavepointWriter

PROGRAM = """
from pathlib import Path
env.enable_checkpointing("1 h")
numbers = env.from_sequence(1, 10**9, rows_per_second=10_000)
numbers.map(lambda n: n).write_csv("out")
job = env.execute_async("endless")
job.wait_until_running(60)
path = job.trigger_savepoint("kept").result()
print("first", Path(path, "MANIFEST").exists(), Path(path).parent.name, job.status().name)
last = job.stop_with_savepoint(False, "kept").result()
print("last", Path(last, "MANIFEST").exists(), job.status().name, len(list(Path("out").glob("part-*"))) > 0)
"""

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

COUNT = """
from dataclasses import dataclass
import dataclasses
from millstream.datastream.functions import KeyedProcessFunction
from millstream.datastream.state import ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor

@dataclass
class Seen:
{fields}

class Count(KeyedProcessFunction):
    def open(self, context):
        self.seen = context.get_state(ValueStateDescriptor("seen"))
        self.last = context.get_list_state(ListStateDescriptor("last"))
        self.names = context.get_map_state(MapStateDescriptor("names"))

    def process_element(self, value, ctx):
        seen = self.seen.value() or Seen(0, 0)
        seen = dataclasses.replace(seen, number=seen.number + 1, total=seen.total + value)
        self.seen.update(seen)
        self.last.update([*self.last.get(), value][-3:])
        self.names.put("last", value)
        yield "%d,%s,%s" % (value % 5, seen.number, seen.total)

env.enable_checkpointing("100 ms")
numbers = env.from_sequence(1, {records}, rows_per_second=5000)
numbers.key_by(lambda n: n % 5).process(Count()).uid("count").write_text("{out}")
env.execute("count")
"""
FIRST = "    number: int\n    total: int\n"


def program(shell: Any, out: Path, fields: str = FIRST, records: int = 1_000_000) -> Any:
    return shell.script(COUNT.format(fields=fields, out=out, records=records))


def stopped(shell: Any, until: Callable[..., Any], *settings: str) -> str:
    """The path of a savepoint of the job."""
    out = shell.directory / "first"
    shell.run("run", "-q", "-d", "-p", "2", *settings, program(shell, out)).expect(0)
    until(lambda: list(out.glob("part-*")), "committed results")
    path: str = shell.run("stop", "count", "--savepoint", str(shell.directory / "kept")).expect(0).out.strip()
    return path


def rows_of(out: Path) -> list[list[float]]:
    lines = [line for file in out.glob("part-*") for line in file.read_text().split()]
    return sorted([float(field) for field in line.split(",")] for line in lines)


@pytest.mark.parametrize("backend", ["memory", "rocksdb"])
def test_duckdb_and_the_state_api_read_a_savepoint(shell: Any, cluster: Any, until: Any, backend: str) -> None:
    path = stopped(shell, until, "-D", f"state.backend.type={backend}")
    savepoint = Savepoint.load(path)
    rows = dict(savepoint.rows("count", "last"))
    assert sorted(rows) == [0, 1, 2, 3, 4] and all(len(last) == 3 for last in rows.values())
    assert {info.name: info.kind for info in savepoint.keyed_states("count")} == {
        "seen": "value",
        "last": "list",
        "names": "map",
    }
    files = f"{path}/*/seen.*.parquet"
    found = duckdb.sql(f"select key, value.number, value.total from '{files}' order by key").fetchall()
    assert [key for key, _, _ in found] == [0, 1, 2, 3, 4]
    assert all(number > 0 and total >= sum(rows[key]) for key, number, total in found)
    table = savepoint.read_keyed_state("count", "seen")
    by_key = sorted(table.to_pylist(), key=lambda row: row["key"])
    assert [(row["key"], row["value"]["number"], row["value"]["total"]) for row in by_key] == found


@pytest.mark.parametrize(("before", "after"), [("memory", "rocksdb"), ("rocksdb", "memory")])
def test_another_backend_more_subtasks_and_a_changed_class(
    shell: Any, cluster: Any, until: Any, before: str, after: str
) -> None:
    path = stopped(shell, until, "-D", f"state.backend.type={before}")
    held = {row["key"]: row["value"] for row in Savepoint.load(path).read_keyed_state("count", "seen").to_pylist()}
    out = shell.directory / "second"
    changed = program(shell, out, "    total: float\n    number: int\n    note: str = ''\n")
    shell.run("run", "-q", "-d", "-p", "3", "-D", f"state.backend.type={after}", "--from-savepoint", path, changed)
    until(lambda: len(rows_of(out)) > 50, "results")
    shell.run("cancel", "count").expect(0)
    for key in range(5):
        numbers = [int(number) for k, number, _ in rows_of(out) if k == key]
        assert numbers == list(range(held[key]["number"] + 1, held[key]["number"] + 1 + len(numbers)))


def test_a_class_that_cannot_be_read_any_more_is_refused(shell: Any, cluster: Any, until: Any) -> None:
    path = stopped(shell, until)
    for fields, told in (
        ("    number: str\n    total: int\n", "field 'number' of Seen was int when the state was saved and is str now"),
        (FIRST + "    note: str\n", "field 'note' of Seen is new since the state was saved: give it a default"),
    ):
        out = shell.directory / "second"
        refused = shell.run("run", "-q", "--from-savepoint", path, program(shell, out, fields)).expect(1)
        assert f"operator 'process': the state 'seen' cannot be restored: {told}" in refused.err
        assert rows_of(out) == []


def test_a_job_starts_from_a_savepoint_made_of_data(shell: Any, cluster: Any, until: Any, tmp_path: Path) -> None:
    import pyarrow as pa

    table = pa.table({"key": [0, 1, 2, 3, 4], "value": [[10], [11], [12], [13], [14]]})
    path = (
        SavepointWriter()
        .with_keyed_state("count", ListStateDescriptor("last"), table)
        .with_keyed_state("count", MapStateDescriptor("names"), [(key, {"first": key}) for key in range(5)])
        .with_keyed_state("count", ValueStateDescriptor("unused"), [(0, "never declared")])
        .write(tmp_path / "made")
    )
    out = shell.directory / "first"
    shell.run("run", "-q", "-d", "-p", "2", "--from-savepoint", path, program(shell, out)).expect(0)
    until(lambda: list(out.glob("part-*")), "committed results")
    kept = shell.run("stop", "count", "--savepoint", str(shell.directory / "kept")).expect(0).out.strip()
    again = Savepoint.load(kept)
    names = dict(again.rows("count", "names"))
    assert all(names[key]["first"] == key and "last" in names[key] for key in range(5))
    assert dict(again.rows("count", "unused")) == {0: "never declared"}, "nobody asked for it, nobody drops it"
    shown = json.loads(shell.run("savepoint", "show", kept, "--output", "json").expect(0).out)
    assert {"seen", "last", "names"} <= {state for operator in shown["operators"] for state in operator["states"]}
    shell.run("savepoint", "delete", kept).expect(0)
    assert not Path(kept).exists() or not list(Path(kept).iterdir())


def test_a_program_takes_savepoints_of_its_job(run_job: Any) -> None:
    done = run_job(PROGRAM, "-p", "1").expect(0)
    assert done.out.splitlines() == ["first True kept RUNNING", "last True FINISHED True"]
