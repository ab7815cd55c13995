"""Column tables larger than memory against a dict, and what checkpoints do with the rows that are on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.clock import ManualClock
from millstream.core.errors import InvariantViolation
from millstream.taskmanager.state.backend import RestoredKeyed
from millstream.taskmanager.state.columnar.backend import ColumnarBackend
from millstream.taskmanager.state.columnar.spilling_table import SpillingTable
from tests.unit.state.columnar.columnar_checkpoints import Context, Stored, listed, spilling, taken
from tests.unit.state.columnar.test_column_table import (
    INT_KEY,
    KEYS,
    TEXT_KEY,
    VALUES,
    content,
    frozen,
    key_columns,
    put,
)


@pytest.fixture(autouse=True)
def rows_in_memory() -> Iterator[None]:
    """So few that rows come and go all the time."""
    before, SpillingTable.rows_min = SpillingTable.rows_min, 4
    yield
    SpillingTable.rows_min = before


def table_in(backend: ColumnarBackend, schema: pa.Schema, ttl_ms: int | None = None) -> SpillingTable:
    table = backend.table("t", schema, VALUES, ttl_ms=ttl_ms, spillable=True)
    assert isinstance(table, SpillingTable)
    return table


def restored_from(stored: Stored, states: list[Any], number: int, context: Context) -> ColumnarBackend:
    backend = ColumnarBackend(context)
    backend.restore(stored.read(states, number, context))
    return backend


def in_memory(table: SpillingTable) -> int:
    return len(table) - table._cold_only


@pytest.mark.parametrize(("schema", "keys"), KEYS, ids=[str(schema.types) for schema, _ in KEYS])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_a_chain_of_checkpoints_restores_what_was_there(
    schema: pa.Schema, keys: st.SearchStrategy[Any], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("state")
    stored, opened = Stored(directory / "storage"), list[ColumnarBackend]()

    def started() -> ColumnarBackend:
        opened.append(ColumnarBackend(spilling(directory / "work")))
        return opened[-1]

    backend = started()
    table: Any = table_in(backend, schema)
    model: dict[Any, Any] = {}
    capture, at_barrier, begun = None, dict[Any, Any](), 0
    for step in range(1, data.draw(st.integers(2, 14))):
        action = data.draw(st.sampled_from(["put", "put", "put", "remove", "barrier", "restore"]))
        batch = data.draw(st.lists(keys, max_size=6))
        if action == "put":
            totals = data.draw(st.lists(st.none() | st.integers(0, 9), min_size=len(batch), max_size=len(batch)))
            put(table, batch, totals)
            model.update(zip(map(frozen, batch), totals, strict=True))
            assert in_memory(table) <= max(4, len(batch))
        elif action == "remove":
            slots = table.find(key_columns(schema, batch), len(batch))
            assert [slot >= 0 for slot in slots.tolist()] == [frozen(key) in model for key in batch]
            table.remove(slots[slots >= 0])
            for key in batch:
                model.pop(frozen(key), None)
        elif action == "barrier":
            full = data.draw(st.booleans())
            capture, at_barrier, begun = backend.capture(step, full), dict(model), step
        elif capture is not None:
            state = stored.finish(capture, begun)
            capture = None
            restored = started()
            restored.restore(stored.read([state], begun, spilling(directory)))
            again = restored.table("t", schema, VALUES, spillable=data.draw(st.booleans()))
            assert content(again) == at_barrier
            if data.draw(st.booleans()):
                backend.confirm(begun)
            elif data.draw(st.booleans()):  # the job goes back to that checkpoint
                backend, model, table = restored, at_barrier, again
                assert len(table) == len(model)
                if not isinstance(table, SpillingTable):
                    break
        assert content(table) == model and len(table) == len(model)
    for each in opened:
        each.close()
    assert not list((directory / "work").glob("*"))


def test_rows_leave_memory_and_come_back(tmp_path: Path) -> None:
    backend = ColumnarBackend(spilling(tmp_path))
    table = table_in(backend, TEXT_KEY)
    keys = [(f"key {n}",) for n in range(500)]
    for start in range(0, 500, 50):
        put(table, keys[start : start + 50], list(range(start, start + 50)))
    assert in_memory(table) <= 50 and len(table) == backend.entries() == 500
    slots = table.find(key_columns(TEXT_KEY, [("key 3",), ("nobody",), ("key 499",), ("key 3",)]))
    assert slots[1] == -1 and slots[0] == slots[3]
    assert table.rows(slots[[0, 2]]).column("total").to_pylist() == [3, 499]
    assert content(table) == {key: number for number, key in enumerate(keys)}
    backend.close()
    assert not list(tmp_path.iterdir())


def test_rows_that_are_in_use_stay(tmp_path: Path) -> None:
    table = table_in(ColumnarBackend(spilling(tmp_path)), INT_KEY)
    SpillingTable.rows_min = 20
    hot = [(n,) for n in range(5)]
    for number in range(100):
        put(table, [*hot, (100 + number,), (1000 + number,)], [number] * 7)
        put(table, hot, [number] * 5)
    before = table._cold_only
    assert (table._index.find([pa.array([0, 1, 2, 3, 4])], 5) >= 0).all() and before >= 180
    table.close()


def test_slots_of_all_rows_are_not_to_be_had(tmp_path: Path) -> None:
    table = table_in(ColumnarBackend(spilling(tmp_path)), INT_KEY)
    with pytest.raises(InvariantViolation, match="all slots of table 't'"):
        table.live_slots()
    table.close()


def test_an_incremental_checkpoint_has_rows_that_left_before_it(tmp_path: Path) -> None:
    stored, context = Stored(tmp_path / "storage"), spilling(tmp_path / "work")
    backend = ColumnarBackend(context)
    table = table_in(backend, INT_KEY)
    for start in range(0, 2000, 100):
        put(table, [(n,) for n in range(start, start + 100)], [1] * 100)
    stored.store(backend, 1)
    backend.confirm(1)
    for start in (0, 500, 900):
        put(table, [(start,), (start + 1,)], [2, 2])
        slots = table.find([pa.array([start + 2])])
        table.remove(slots)
    second = stored.store(backend, 2)
    assert [run.full for run in second.operators[0].runs] == [True, False]
    assert stored.written_bytes[2] < stored.written_bytes[1]
    again = restored_from(stored, [second], 2, context)
    assert content(table_in(again, INT_KEY)) == content(table)
    assert len(table) == 1997
    for each in (backend, again):
        each.close()


def test_what_a_failed_checkpoint_held_is_in_the_next_one(tmp_path: Path) -> None:
    stored, context = Stored(tmp_path / "storage"), spilling(tmp_path / "work")
    backend = ColumnarBackend(context)
    table = table_in(backend, INT_KEY)
    put(table, [(n,) for n in range(20)], [0] * 20)
    stored.store(backend, 1)
    backend.confirm(1)
    for failed in range(2, 14):  # more than are remembered one by one
        put(table, [(failed,), (100 + failed,)], [failed, failed])
        table.remove(table.find([pa.array([98 + failed])]))
        stored.store(backend, failed)
    state = stored.store(backend, 14)
    assert [run.full for run in state.operators[0].runs] == [True, False]
    again = restored_from(stored, [state], 14, context)
    assert content(table_in(again, INT_KEY)) == content(table)
    for each in (backend, again):
        each.close()


def test_a_log_longer_than_the_table_is_dropped_for_a_full_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millstream.taskmanager.state.columnar.changes._GONE_MIN_ROWS", 10)
    stored, context = Stored(tmp_path / "storage"), spilling(tmp_path / "work")
    backend = ColumnarBackend(context)
    table = table_in(backend, INT_KEY)
    put(table, [(n,) for n in range(20)], [0] * 20)
    stored.store(backend, 1)
    backend.confirm(1)
    for number in range(10):
        put(table, [(n,) for n in range(20)], [number] * 20)
    assert table.changes.lost
    second = stored.store(backend, 2)  # and is not confirmed
    put(table, [(1,)], [77])
    third = stored.store(backend, 3)
    assert [[run.full for run in state.operators[0].runs] for state in (second, third)] == [[True], [True]]
    again = restored_from(stored, [third], 3, context)
    assert content(table_in(again, INT_KEY)) == content(table)
    for each in (backend, again):
        each.close()


def test_a_full_capture_is_as_of_the_barrier_however_rows_move_while_it_is_taken(tmp_path: Path) -> None:
    backend = ColumnarBackend(spilling(tmp_path))
    table = table_in(backend, INT_KEY)
    SpillingTable.rows_min = 400
    for start in range(0, 1000, 100):
        put(table, [(n,) for n in range(start, start + 100)], [1] * 100)
    capture = backend.capture(1, full=True)
    for start in range(0, 1000, 100):
        put(table, [(n,) for n in range(start, start + 100)], [2] * 100)
        put(table, [(n,) for n in range(5000 + start, 5100 + start)], [3] * 100)
    table.remove(table.find([pa.array(np.arange(300, 400))]))
    rows = [row for chunk in taken(capture) for row in listed(chunk.rows)]
    assert sorted(row[1] for row in rows) == list(range(1000)) and {row[2] for row in rows} == {1}
    backend.close()


def test_state_moves_between_parallelisms_and_backends(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "storage")
    backend = ColumnarBackend(spilling(tmp_path / "work"))
    table = table_in(backend, INT_KEY)
    for start in range(0, 1000, 100):
        put(table, [(n,) for n in range(start, start + 100)], list(range(start, start + 100)))
    state = stored.store(backend, 1, full=True)
    found: dict[Any, Any] = {}
    for index in range(3):
        context = spilling(tmp_path / "work", index, 3) if index else Context(index, 3)
        part = ColumnarBackend(context)
        part.restore(RestoredKeyed(stored.read([state], 1, context).chunks))
        rows = content(part.table("t", INT_KEY, VALUES, spillable=True))
        assert rows and not rows.keys() & found.keys()
        found |= rows
        part.close()
    assert found == {(n,): n for n in range(1000)}
    backend.close()


def test_rows_on_disk_expire(tmp_path: Path) -> None:
    clock = ManualClock(1000)
    stored, context = Stored(tmp_path / "storage"), spilling(tmp_path / "work", clock=clock)
    backend = ColumnarBackend(context)
    table = table_in(backend, INT_KEY, ttl_ms=100)
    put(table, [(n,) for n in range(100)], [1] * 100)
    stored.store(backend, 1)
    backend.confirm(1)
    clock.advance(60)
    put(table, [(n,) for n in range(90, 100)], [2] * 10)
    put(table, [(n,) for n in range(200, 204)], [3] * 4)
    clock.advance(40)
    slots, new = table.lookup([pa.array([5, 95])])
    assert new.tolist() == [0] and table.rows(slots).column("total").to_pylist() == [None, 2]
    assert table.find([pa.array([6])]).tolist() == [-1]
    for _ in range(3):
        table.expire()
    assert len(table) == 15
    second = stored.store(backend, 2)
    again = restored_from(stored, [second], 2, context)
    restored = table_in(again, INT_KEY, ttl_ms=100)
    assert set(content(restored)) == set(content(table)) == {(5,), *((n,) for n in (*range(90, 100), *range(200, 204)))}
    clock.advance(60)
    assert (restored.find([pa.array([5, 95, 200])]) >= 0).tolist() == [True, False, False]
    for each in (backend, again):
        each.close()


def test_rows_get_a_time_to_live_when_they_are_restored(tmp_path: Path) -> None:
    clock = ManualClock(1000)
    stored, context = Stored(tmp_path / "storage"), spilling(tmp_path / "work", clock=clock)
    backend = ColumnarBackend(context)
    put(table_in(backend, INT_KEY), [(n,) for n in range(50)], [1] * 50)
    state = stored.store(backend, 1)
    clock.advance(1000)
    again = restored_from(stored, [state], 1, context)
    table = table_in(again, INT_KEY, ttl_ms=100)
    clock.advance(99)
    assert (table.find([pa.array([0, 49])]) >= 0).all()
    clock.advance(1)
    assert (table.find([pa.array([1, 48])]) < 0).all()
    for each in (backend, again):
        each.close()
