"""Row tables against a list of rows, and what checkpoints do with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.keys import table_key_groups
from millstream.taskmanager.state.backend import RestoredKeyed
from millstream.taskmanager.state.columnar.backend import ColumnarBackend
from millstream.taskmanager.state.columnar.rowlist import RowTable
from tests.unit.state.columnar.columnar_checkpoints import Context, Stored, listed

ROW = pa.schema([("k", pa.int64()), ("text", pa.string()), ("tags", pa.list_(pa.int64()))])
KEYS = [pa.schema([("k", pa.int64())]), pa.schema([("text", pa.string()), ("k", pa.int64())]), pa.schema([])]
ROWS = st.lists(
    st.tuples(st.none() | st.integers(0, 3), st.none() | st.sampled_from(["", "a", "bb"]), st.just([1]) | st.none()),
    max_size=7,
)
Row = tuple[Any, ...]


class Colliding(RowTable):
    hash_mask = 1


def batch_of(rows: list[Row]) -> pa.RecordBatch:
    columns = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(ROW)]
    return pa.RecordBatch.from_arrays(columns, schema=ROW)


def keys_in(batch: pa.RecordBatch, schema: pa.Schema) -> list[pa.Array]:
    return [batch.column(name) for name in schema.names]


def key_of(row: Row, schema: pa.Schema) -> Row:
    return tuple(row[ROW.get_field_index(name)] for name in schema.names)


def check(table: RowTable, model: list[Row], schema: pa.Schema) -> None:
    """All rows of all keys, in the order in which they came."""
    probes = batch_of([(k, text, None) for k in (None, 0, 1, 2, 3) for text in (None, "", "a", "bb")])
    key_slots = table.find(keys_in(probes, schema), probes.num_rows)
    positions, rows = table.rows_of(key_slots)
    found = list(zip(positions.tolist(), listed(table.gather(rows)), strict=True))
    expected = []
    for i, probe in enumerate(listed(probes)):
        expected += [(i, row) for row in model if key_of(row, schema) == key_of(probe, schema)]
    assert repr(found) == repr(expected)
    assert table.counts(key_slots).tolist() == np.bincount(positions, minlength=probes.num_rows).tolist()
    assert len(table) == len(model) == len(table.live_slots())


def remove_from(model: list[Row], rows: list[Row]) -> list[bool]:
    found = []
    for row in rows:
        found.append(row in model)
        if row in model:
            model.remove(row)
    return found


@pytest.mark.parametrize("schema", KEYS, ids=lambda schema: ",".join(schema.names))
@pytest.mark.parametrize("form", [RowTable, Colliding])
@settings(deadline=None, max_examples=40)
@given(steps=st.lists(st.tuples(st.sampled_from(["append", "append", "retract", "keys", "slots"]), ROWS), max_size=10))
def test_rows_come_and_go(form: type[RowTable], schema: pa.Schema, steps: list[tuple[str, list[Row]]]) -> None:
    table, model = form("t", schema, ROW, clock=Context().clock), list[Row]()
    for action, rows in steps:
        batch = batch_of(rows)
        keys = keys_in(batch, schema)
        if action == "append":
            slots = table.append(keys, batch)
            assert listed(table.gather(slots)) == rows
            model += rows
        elif action == "retract":
            assert table.remove_matching(keys, batch).tolist() == remove_from(model, rows)
        elif action == "keys":
            table.remove_keys(keys, len(rows))
            leaving = [key_of(row, schema) for row in rows]
            model = [row for row in model if key_of(row, schema) not in leaving]
        else:
            _, found = table.rows_of(table.find(keys, len(rows)))
            for row in listed(table.gather(np.unique(found[::2]))):
                remove_last_or_first(model, row)
            table.remove_rows(found[::2])
            model = in_table_order(table, model)
        check(table, model, schema)


def remove_last_or_first(model: list[Row], row: Row) -> None:
    """Which of equal rows leaves makes no difference to their multiset."""
    model.remove(row)


def in_table_order(table: RowTable, model: list[Row]) -> list[Row]:
    """Which of equal rows left decides the order of the rest, which the table knows."""
    slots = table.live_slots()
    ordered = listed(table.gather(slots[np.argsort(table._ids[slots])]))
    assert sorted(map(repr, ordered)) == sorted(map(repr, model))
    return ordered


@pytest.mark.parametrize("schema", KEYS, ids=lambda schema: ",".join(schema.names))
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_chain_of_checkpoints_restores_what_was_there(
    schema: pa.Schema, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stored = Stored(tmp_path_factory.mktemp("state"))
    backend = ColumnarBackend(Context())
    table, model = backend.row_table("t", schema, ROW), list[Row]()
    capture, at_barrier, begun = None, list[Row](), 0
    for step in range(1, data.draw(st.integers(2, 14))):
        action = data.draw(st.sampled_from(["append", "append", "retract", "barrier", "restore"]))
        batch = batch_of(data.draw(ROWS))
        rows, keys = listed(batch), keys_in(batch, schema)
        if action == "append":
            table.append(keys, batch)
            model = [*model, *rows]
        elif action == "retract":
            model = list(model)
            assert table.remove_matching(keys, batch).tolist() == remove_from(model, rows)
        elif action == "barrier":
            capture, at_barrier, begun = backend.capture(step, full=False), list(model), step
        elif capture is not None:
            state = stored.finish(capture, begun)
            capture = None
            restored = ColumnarBackend(Context())
            restored.restore(stored.read([state], begun, Context()))
            again = restored.row_table("t", schema, ROW)
            check(again, at_barrier, schema)
            if data.draw(st.booleans()):
                backend.confirm(begun)
            elif data.draw(st.booleans()):  # the job goes back to that checkpoint
                backend, table, model = restored, again, at_barrier
        check(table, model, schema)


def test_rows_of_former_subtasks_are_told_apart(tmp_path: Path) -> None:
    schema, stored = KEYS[0], Stored(tmp_path)
    rows: list[Row] = [(n % 50, f"row {n}", None) for n in range(1000)]
    groups = dict(zip(range(50), table_key_groups([pa.array(range(50))], 16).tolist(), strict=True))
    states = []
    for index in range(2):  # both number their rows from 0
        context = Context(index, 2)
        backend = ColumnarBackend(context)
        table = backend.row_table("t", schema, ROW)
        batch = batch_of([row for row in rows if groups[row[0]] in context.groups])
        table.append([batch.column("k")], batch)
        stored.store(backend, 10 + index)
        backend.confirm(10 + index)
        table.remove_rows(np.arange(0, batch.num_rows, 3))
        states.append((stored.store(backend, 20 + index), 20 + index, listed(table.gather(table.live_slots()))))
    context = Context()
    whole = ColumnarBackend(context)
    chunks = [chunk for state, which, _ in states for chunk in stored.read([state], which, context).chunks]
    whole.restore(RestoredKeyed(chunks))
    table = whole.row_table("t", schema, ROW)
    kept = [row for *_, held in states for row in held]
    assert sorted(listed(table.gather(table.live_slots()))) == sorted(kept) and len(kept) < 700
    positions, slots = table.rows_of(table.find([pa.array([7])]))
    texts = table.gather(slots).column("text").to_pylist()
    assert texts == sorted(texts, key=lambda text: int(text[4:])) and not positions.any()


def test_a_restored_table_goes_on_with_the_same_files(tmp_path: Path) -> None:
    stored, schema = Stored(tmp_path), KEYS[0]
    backend = ColumnarBackend(Context())
    rows: list[Row] = [(1, "a", None), (1, "b", None), (2, "c", None)]
    table = backend.row_table("t", schema, ROW)
    table.append([pa.array([1, 1, 2])], batch_of(rows))
    state = stored.store(backend, 1)
    for step in (2, 3):
        backend = ColumnarBackend(Context())
        backend.restore(stored.read([state], step - 1, Context()))
        table = backend.row_table("t", schema, ROW)
        check(table, rows, schema)
        added = batch_of([(3, f"added {step}", None)])
        table.append([added.column("k")], added)
        assert table.remove_matching([pa.array([rows[0][0]])], batch_of(rows[:1])).all()
        rows = [*rows[1:], *listed(added)]
        state = stored.store(backend, step)
    assert [run.full for run in state.operators[0].runs] == [True, False, False]
    backend = ColumnarBackend(Context())
    backend.restore(stored.read([state], 3, Context()))
    check(backend.row_table("t", schema, ROW), rows, schema)


def test_rows_expire() -> None:
    context = Context()
    table = ColumnarBackend(context).row_table("t", KEYS[0], ROW, ttl_ms=100)
    old, new = batch_of([(1, "old", None)]), batch_of([(1, "new", None)])
    table.append([old.column("k")], old)
    context.clock.advance(60)
    table.append([new.column("k")], new)
    context.clock.advance(40)
    _, slots = table.rows_of(table.find([pa.array([1])]))
    assert table.gather(slots).column("text").to_pylist() == ["new"]
    assert table.remove_matching([old.column("k")], old).tolist() == [False]
    assert len(table.expire()) == 1 and len(table) == 1
    context.clock.advance(60)
    assert len(table.expire()) == 1
    assert table.find([pa.array([1])]).tolist() == [-1]


def test_rows_are_found_by_some_of_their_fields_and_changed_in_place(tmp_path: Path) -> None:
    schema = pa.schema([("id", pa.int64()), ("count", pa.int64())])
    stored, backend = Stored(tmp_path), ColumnarBackend(Context())
    table = backend.row_table("t", KEYS[0], schema, matched=["id"])
    rows = pa.RecordBatch.from_pydict({"id": [5, 6], "count": [0, 0]}, schema)
    table.append([pa.array([1, 1])], rows)
    slots = table.find_matching([pa.array([1, 2])], pa.RecordBatch.from_pydict({"id": [6, 6]}))
    assert slots.tolist() == [1, -1]
    stored.store(backend, 1)
    backend.confirm(1)
    capture = backend.capture(2, full=True)
    table.touch(slots[:1])
    table.fixed("count").values[slots[:1]] += 9
    before = stored.finish(capture, 2)
    backend.confirm(2)
    after = stored.store(backend, 3)
    counts = []
    for state, which in ((before, 2), (after, 3)):
        restored = ColumnarBackend(Context())
        restored.restore(stored.read([state], which, Context()))
        again = restored.row_table("t", KEYS[0], schema, matched=["id"])
        counts.append(again.gather(again.live_slots()).column("count").to_pylist())
    assert sorted(counts[0]) == [0, 0] and sorted(counts[1]) == [0, 9]


def test_a_churning_table_stays_small(tmp_path: Path) -> None:
    backend = ColumnarBackend(Context())
    table = backend.row_table("t", KEYS[1], ROW)
    sizes = []
    for turn in range(20):
        batch = batch_of([(n, f"turn {turn} of row {n}", None) for n in range(2000)])
        keys = keys_in(batch, KEYS[1])
        table.append(keys, batch)
        assert table.remove_matching(keys, batch).all()
        sizes.append(table.estimated_bytes())
    assert sizes[-1] < 1.5 * sizes[3] and not len(table)
