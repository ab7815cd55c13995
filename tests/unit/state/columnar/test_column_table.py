"""Column tables against a dict, and what checkpoints do with them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.errors import IncompatibleStateError, JobGraphError
from millstream.core.keys import table_key_groups
from millstream.taskmanager.state.backend import RestoredKeyed
from millstream.taskmanager.state.chunks import RowChunk
from millstream.taskmanager.state.columnar.backend import ColumnarBackend
from millstream.taskmanager.state.columnar.table import ColumnTable
from tests.unit.state.columnar.columnar_checkpoints import Context, Stored, listed, taken

INT_KEY = pa.schema([("k", pa.int64())])
TEXT_KEY = pa.schema([("k", pa.string())])
TWO_KEYS = pa.schema([("day", pa.date32()), ("name", pa.string())])
VALUES = pa.schema([("total", pa.int64()), ("note", pa.string())])
DAY = datetime.date(2024, 2, 28)

KEYS: list[tuple[pa.Schema, st.SearchStrategy[Any]]] = [
    (INT_KEY, st.tuples(st.none() | st.integers(-4, 12))),
    (TEXT_KEY, st.tuples(st.none() | st.text("ab", max_size=3))),
    (pa.schema([("k", pa.float64())]), st.tuples(st.none() | st.sampled_from([0.0, 1.5, -2.0]))),
    (TWO_KEYS, st.tuples(st.none() | st.dates(DAY, datetime.date(2024, 3, 2)), st.none() | st.text("a", max_size=2))),
    (pa.schema([("k", pa.decimal128(9, 1))]), st.tuples(st.none() | st.decimals(-1, 1, places=1))),
    (pa.schema([("k", pa.list_(pa.int64()))]), st.tuples(st.none() | st.lists(st.integers(0, 1), max_size=2))),
]


def key_columns(schema: pa.Schema, keys: list[Any]) -> list[pa.Array]:
    return [pa.array([key[i] for key in keys], field.type) for i, field in enumerate(schema)]


def put(table: ColumnTable, keys: list[Any], totals: list[int | None]) -> None:
    slots, _ = table.lookup(key_columns(table.key_schema, keys), len(keys))
    table.touch(slots)
    table.column("total").set(slots, pa.array(totals, pa.int64()))
    table.column("note").set(slots, pa.array([None if total is None else f"n{total}" for total in totals], pa.string()))


def content(table: ColumnTable) -> dict[Any, Any]:
    """By key, the total; the notes say the same."""
    found: dict[Any, Any] = {}
    for *key, total, note in listed(table.contents()):
        assert note == (None if total is None else f"n{total}")
        found[frozen(key)] = total
    assert len(found) == len(table)
    return found


def frozen(key: Any) -> Any:
    return tuple(tuple(part) if isinstance(part, list) else part for part in key)


@pytest.mark.parametrize(("schema", "keys"), KEYS, ids=[str(schema.types) for schema, _ in KEYS])
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_a_chain_of_checkpoints_restores_what_was_there(
    schema: pa.Schema, keys: st.SearchStrategy[Any], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stored = Stored(tmp_path_factory.mktemp("state"))
    backend = ColumnarBackend(Context())
    table = backend.table("t", schema, VALUES)
    model: dict[Any, Any] = {}
    capture, snapshot, at_barrier = None, None, dict[Any, Any]()
    for step in range(1, data.draw(st.integers(2, 12))):
        action = data.draw(st.sampled_from(["put", "put", "remove", "barrier", "restore"]))
        batch = data.draw(st.lists(keys, max_size=8))
        if action == "put":
            totals = data.draw(st.lists(st.none() | st.integers(0, 9), min_size=len(batch), max_size=len(batch)))
            put(table, batch, totals)
            model.update(zip(map(frozen, batch), totals, strict=True))
        elif action == "remove":
            slots = table.find(key_columns(schema, batch), len(batch))
            assert [slot >= 0 for slot in slots.tolist()] == [frozen(key) in model for key in batch]
            table.remove(slots[slots >= 0])
            for key in batch:
                model.pop(frozen(key), None)
        elif action == "barrier":
            capture, at_barrier, begun = backend.capture(step, full=False), dict(model), step
        elif capture is not None:
            snapshot = stored.finish(capture, begun)
            capture = None
            restored = ColumnarBackend(Context())
            restored.restore(stored.read([snapshot], begun, Context()))
            assert content(restored.table("t", schema, VALUES)) == at_barrier
            if data.draw(st.booleans()):
                backend.confirm(begun)
            elif data.draw(st.booleans()):  # the job goes back to that checkpoint
                backend, model = restored, at_barrier
                table = backend._tables["t"]  # type: ignore[assignment]
        assert content(table) == model


@pytest.mark.parametrize("schema", [INT_KEY, TEXT_KEY])
def test_an_incremental_checkpoint_writes_what_changed(schema: pa.Schema, tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    backend = ColumnarBackend(Context())
    table = backend.table("t", schema, VALUES)
    keys = [(n if schema is INT_KEY else f"key {n}",) for n in range(50_000)]
    put(table, keys, list(range(50_000)))
    stored.store(backend, 1)
    backend.confirm(1)
    put(table, keys[:10], [0] * 10)
    table.remove(table.find(key_columns(schema, keys[10:20])))
    second = stored.store(backend, 2)
    assert stored.written_bytes[2] < stored.written_bytes[1] / 50
    restored = ColumnarBackend(Context())
    restored.restore(stored.read([second], 2, Context()))
    again = restored.table("t", schema, VALUES)
    assert content(again) == content(table) and len(again) == 49_990
    put(again, keys[:1], [7])
    restored_third = stored.store(restored, 3)
    assert [run.full for run in restored_third.operators[0].runs] == [True, False, False]


def test_what_a_failed_checkpoint_held_is_in_the_next_one(tmp_path: Path) -> None:
    stored, backend = Stored(tmp_path), ColumnarBackend(Context())
    table = backend.table("t", INT_KEY, VALUES)
    put(table, [(1,), (2,), (3,)], [1, 2, 3])
    stored.store(backend, 1)
    backend.confirm(1)
    for failed in range(2, 14):  # more than are remembered one by one
        put(table, [(1,), (10 + failed,)], [failed, failed])
        table.remove(table.find([pa.array([2 if failed == 2 else 9 + failed])]))
        stored.store(backend, failed)
    state = stored.store(backend, 14)
    assert [run.full for run in state.operators[0].runs] == [True, False]
    restored = ColumnarBackend(Context())
    restored.restore(stored.read([state], 14, Context()))
    assert content(restored.table("t", INT_KEY, VALUES)) == content(table) == {(1,): 13, (3,): 3, (23,): 13}


def test_a_key_that_was_only_looked_up_is_a_row(tmp_path: Path) -> None:
    stored, backend = Stored(tmp_path), ColumnarBackend(Context())
    table = backend.table("t", INT_KEY, VALUES)
    put(table, [(1,)], [1])
    stored.store(backend, 1)
    backend.confirm(1)
    table.lookup([pa.array([7])])
    restored = ColumnarBackend(Context())
    restored.restore(stored.read([stored.store(backend, 2)], 2, Context()))
    assert content(restored.table("t", INT_KEY, VALUES)) == {(1,): 1, (7,): None}


def test_rows_are_as_of_the_barrier_however_they_change_while_they_are_taken(tmp_path: Path) -> None:
    backend = ColumnarBackend(Context())
    table = backend.table("t", INT_KEY, VALUES)
    put(table, [(n,) for n in range(60_000)], [1] * 60_000)
    capture = backend.capture(1, full=True)
    assert capture.advance()
    put(table, [(n,) for n in range(0, 60_000, 7)], [2] * len(range(0, 60_000, 7)))
    table.remove(np.arange(59_000, 60_000))
    put(table, [(n,) for n in range(70_000, 71_000)], [3] * 1000)
    chunks = taken(capture)
    rows = [row for chunk in chunks for row in listed(chunk.rows)]
    assert sorted(row[1] for row in rows) == list(range(60_000)) and {row[2] for row in rows} == {1}


def test_keys_that_came_and_went_leave_nothing() -> None:
    backend = ColumnarBackend(Context())
    table = backend.table("t", INT_KEY, VALUES)
    put(table, [(1,), (2,)], [1, 2])
    table.remove(table.find([pa.array([1])]))
    backend._tables["t"].changes.take(0, np.ones(2, np.bool_), 2, full=False)
    (gone,) = [backend._tables["t"].changes.take(1, np.ones(2, np.bool_), 2, full=False)]
    assert gone == []


def test_state_goes_to_the_owner_of_its_key_group(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    keys = [(DAY + datetime.timedelta(n % 5), f"name {n}") for n in range(1000)]
    groups = table_key_groups(key_columns(TWO_KEYS, keys)[:1], 16)
    states = []
    for index in range(2):
        context = Context(index, 2)
        backend = ColumnarBackend(context)
        table = backend.table("t", TWO_KEYS, VALUES, partition_keys=1)
        mine = [key for key, group in zip(keys, groups, strict=True) if group in context.groups]
        put(table, mine, list(range(len(mine))))
        states.append(stored.store(backend, index))
    found: list[Any] = []
    for index in range(3):
        context = Context(index, 3)
        backend = ColumnarBackend(context)
        for which, state in enumerate(states):
            backend.restore(RestoredKeyed(stored.read([state], which, context).chunks))
        table = backend.table("t", TWO_KEYS, VALUES, partition_keys=1)
        own = list(content(table))
        assert set(own) == {key for key, group in zip(keys, groups, strict=True) if group in context.groups}
        found += own
    assert len(found) == 1000


def test_a_table_nobody_declared_travels_on(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    backend = ColumnarBackend(Context())
    put(backend.table("t", TEXT_KEY, VALUES, partition_keys=1), [("a",), (None,)], [1, 2])
    first = stored.store(backend, 1)
    middle = ColumnarBackend(Context())
    middle.restore(RestoredKeyed(stored.read([first], 1, Context()).chunks))
    assert middle.entries() == 2
    last = ColumnarBackend(Context())
    last.restore(stored.read([stored.store(middle, 2)], 2, Context()))
    assert content(last.table("t", TEXT_KEY, VALUES)) == {("a",): 1, (None,): 2}


def test_without_key_columns_there_is_one_row(tmp_path: Path) -> None:
    backend = ColumnarBackend(Context())
    table = backend.table("t", pa.schema([]), VALUES)
    assert table.find([], 2).tolist() == [-1, -1]
    slots, new = table.lookup([], 3)
    assert (slots.tolist(), new.tolist()) == ([0, 0, 0], [0])
    put(table, [(), ()], [1, 2])
    stored = Stored(tmp_path)
    restored = ColumnarBackend(Context())
    restored.restore(stored.read([stored.store(backend, 1)], 1, Context()))
    again = restored.table("t", pa.schema([]), VALUES)
    assert content(again) == {(): 2}
    backend.confirm(1)
    table.remove(np.array([0]))
    assert not len(table)
    restored = ColumnarBackend(Context())
    restored.restore(stored.read([stored.store(backend, 2)], 2, Context()))
    assert content(restored.table("t", pa.schema([]), VALUES)) == {}


def test_rows_expire() -> None:
    context = Context()
    table = ColumnarBackend(context).table("t", TEXT_KEY, VALUES, ttl_ms=100)
    put(table, [("a",), ("b",)], [1, 2])
    context.clock.advance(60)
    put(table, [("b",)], [3])
    context.clock.advance(40)
    assert (table.find([pa.array(["a", "b"])]) >= 0).tolist() == [False, True]
    slots, new = table.lookup([pa.array(["b", "a", "a"])])
    assert new.tolist() == [1] and table.rows(slots[1:]).column("total").null_count == 2
    context.clock.advance(60)
    assert len(table.expire()) == 1 and content(table) == {("a",): None}


def test_times_of_rows_are_restored(tmp_path: Path) -> None:
    context, stored = Context(), Stored(tmp_path)
    backend = ColumnarBackend(context)
    put(backend.table("t", INT_KEY, VALUES, ttl_ms=100), [(1,)], [1])
    context.clock.advance(50)
    state = stored.store(backend, 1)
    restored = ColumnarBackend(context)
    restored.restore(stored.read([state], 1, context))
    table = restored.table("t", INT_KEY, VALUES, ttl_ms=100)
    context.clock.advance(49)
    assert table.find([pa.array([1])]).tolist() == [0]
    context.clock.advance(1)
    assert table.find([pa.array([1])]).tolist() == [-1]


def test_other_columns_are_refused(tmp_path: Path) -> None:
    stored = Stored(tmp_path)
    backend = ColumnarBackend(Context())
    put(backend.table("t", INT_KEY, VALUES), [(1,)], [1])
    state = stored.store(backend, 1)
    restored = ColumnarBackend(Context(), "GroupAggregate")
    restored.restore(stored.read([state], 1, Context()))
    with pytest.raises(IncompatibleStateError, match=r"'t' of GroupAggregate .* by \(k int64\) of \(total int64, note"):
        restored.table("t", TEXT_KEY, VALUES)
    with pytest.raises(IncompatibleStateError, match="value state 'count'"):
        backend.restore(RestoredKeyed([RowChunk("count", "value", False, False, [1], [1], [])]))
    with pytest.raises(JobGraphError, match="twice"):
        backend.table("t", INT_KEY, VALUES)
