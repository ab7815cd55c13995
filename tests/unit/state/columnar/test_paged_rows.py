"""Row tables larger than memory against ones in memory, and what checkpoints do with the rows that are on disk."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.clock import ManualClock
from millstream.taskmanager.state.columnar.backend import ColumnarBackend
from millstream.taskmanager.state.columnar.paged_columns import PagedColumnSet
from millstream.taskmanager.state.columnar.pages import Pages
from millstream.taskmanager.state.columnar.rowlist import RowTable
from tests.unit.state.columnar.columnar_checkpoints import Context, Stored, listed, spilling

KEY = pa.schema([("k", pa.int64())])
ROW = pa.schema(
    [
        ("k", pa.int64()),
        ("text", pa.string()),
        ("flag", pa.bool_()),
        ("price", pa.decimal128(10, 2)),
        ("tags", pa.list_(pa.int64())),
        ("count", pa.int64()),
    ]
)
SPILLED = ["k", "text", "flag", "price", "tags"]
TEXTS = [None, "", "a", "some longer text"]


@pytest.fixture(autouse=True)
def pages_in_memory() -> Iterator[None]:
    """So few that pages come and go all the time."""
    before, Pages.frames_min = Pages.frames_min, 3
    yield
    Pages.frames_min = before


def rows_of(seed: int, count: int) -> pa.RecordBatch:
    random = np.random.default_rng(seed)
    numbers = random.integers(0, 9, count)
    nullable = random.random(count) < 0.2
    columns = [
        pa.array(numbers, mask=nullable),
        pa.array([TEXTS[index] for index in random.integers(0, 4, count)], pa.string()),
        pa.array(random.integers(0, 2, count).astype(bool), mask=nullable),
        pa.array(map(Decimal, numbers.tolist()), pa.decimal128(10, 2)),
        pa.array([None if number > 6 else [number, None] for number in numbers.tolist()], pa.list_(pa.int64())),
        pa.array(numbers),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=ROW)


def state_of(table: RowTable) -> list[Any]:
    """All rows by key, in the order in which they came."""
    keys = [pa.array([None, *range(9)], pa.int64())]
    positions, slots = table.rows_of(table.find(keys))
    assert len(table) == len(slots) == len(table.live_slots())
    return list(zip(positions.tolist(), listed(table.gather(slots)), strict=True))


def table_in(backend: ColumnarBackend, ttl_ms: int | None = None) -> RowTable:
    return backend.row_table("t", KEY, ROW, matched=SPILLED, spilled=SPILLED, ttl_ms=ttl_ms)


def in_memory(table: RowTable) -> int:
    return pages_of(table)._taken


def pages_of(table: RowTable) -> Pages:
    columns = table._columns
    assert isinstance(columns, PagedColumnSet)
    return columns._pages


ACTIONS = st.tuples(
    st.sampled_from(["append", "append", "append", "retract", "keys", "oldest", "touch", "barrier", "restore"]),
    st.integers(0, 50),
    st.integers(0, 90),
)


@settings(deadline=None, max_examples=40)
@given(steps=st.lists(ACTIONS, max_size=14))
def test_rows_are_those_of_a_table_in_memory(
    steps: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("state")
    storages = [Stored(directory / name) for name in ("one", "other")]
    contexts = [Context(), spilling(directory / "work")]
    backends = [ColumnarBackend(context) for context in contexts]
    tables = [table_in(backend) for backend in backends]
    opened = list(backends)
    captures: list[Any] = []
    at_barrier, begun = list[Any](), 0
    for number, (action, seed, count) in enumerate(steps, 1):
        batch = rows_of(seed, count)
        keys = [batch.column(0)]
        if action == "append":
            for table in tables:
                slots = table.append(keys, batch)
                assert listed(table.gather(slots)) == listed(batch)
        elif action == "retract":
            found = [table.remove_matching(keys, batch.select(SPILLED)).tolist() for table in tables]
            assert found[0] == found[1]
        elif action == "keys":
            for table in tables:
                table.remove_keys([keys[0].slice(0, 2)])
        elif action == "oldest":
            for table in tables:
                table.remove_rows(np.sort(table.live_slots()[:count]))
        elif action == "touch":
            for table in tables:
                chosen = table.live_slots()[::3]
                table.touch(chosen)
                table.fixed("count").values[chosen] = seed
        elif action == "barrier":
            captures = [backend.capture(number, full=seed % 2 == 0) for backend in backends]
            at_barrier, begun = state_of(tables[0]), number
        elif captures:
            states = [stored.finish(capture, begun) for stored, capture in zip(storages, captures, strict=True)]
            captures = []
            again = [ColumnarBackend(context) for context in contexts]
            opened += again
            # Each takes what the other saved: both save the same.
            for which, backend, context in zip((1, 0), again, contexts, strict=True):
                backend.restore(storages[which].read([states[which]], begun, context))
            tables_again = [table_in(backend) for backend in again]
            assert state_of(tables_again[0]) == state_of(tables_again[1]) == at_barrier
            if seed % 3 == 0:
                for backend in backends:
                    backend.confirm(begun)
            elif seed % 3 == 1:  # the job goes back to that checkpoint
                backends, tables = again, tables_again
        assert state_of(tables[0]) == state_of(tables[1])
        assert in_memory(tables[1]) <= 3
    for backend in opened:
        backend.close()
    assert not list((directory / "work").glob("*"))


def test_rescaled_subtasks_have_the_rows_of_their_key_groups(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "storage")
    context = spilling(tmp_path / "work")
    backend = ColumnarBackend(context)
    table = table_in(backend)
    for seed in range(20):
        table.append([rows_of(seed, 60).column(0)], rows_of(seed, 60))
    state = stored.store(backend, 1, full=True)
    parts = []
    for index in range(3):
        part = spilling(tmp_path / "work", index, 3)
        restored = ColumnarBackend(part)
        restored.restore(stored.read([state], 1, part))
        again = table_in(restored)
        assert in_memory(again) <= 3
        parts += [row for _, row in state_of(again)]
        restored.close()
    assert sorted(map(repr, parts)) == sorted(repr(row) for _, row in state_of(table))
    backend.close()


def test_pages_that_are_used_stay_and_others_leave(tmp_path: Path) -> None:
    backend = ColumnarBackend(spilling(tmp_path))
    table = table_in(backend)
    Pages.frames_min = 20
    first = table.append([rows_of(1, 32).column(0)], rows_of(1, 32))
    for seed in range(60):
        table.append([rows_of(seed, 32).column(0)], rows_of(seed, 32))
        assert listed(table.gather(first)) == listed(rows_of(1, 32))
        assert pages_of(table)._frame_of[0] >= 0
    assert in_memory(table) <= 20 and len(table) == 61 * 32
    backend.close()
    assert not list(tmp_path.iterdir())


def test_pages_without_rows_are_forgotten_unread(tmp_path: Path) -> None:
    backend = ColumnarBackend(spilling(tmp_path))
    table = table_in(backend)
    for seed in range(30):
        table.append([rows_of(seed, 32).column(0)], rows_of(seed, 32))
    pages = pages_of(table)
    assert pages._stored.sum() >= 27
    table.remove_rows(table.live_slots()[: 25 * 32])
    assert pages._stored.sum() <= 5
    slots = table.append([rows_of(7, 32).column(0)], rows_of(7, 32))
    assert listed(table.gather(slots)) == listed(rows_of(7, 32))
    assert [row for _, row in state_of(table)].count(listed(rows_of(7, 32))[0]) >= 1
    backend.close()


def test_a_full_capture_waits_on_disk(tmp_path: Path) -> None:
    backend = ColumnarBackend(spilling(tmp_path))
    table = table_in(backend)
    for seed in range(30):
        table.append([rows_of(seed, 60).column(0)], rows_of(seed, 60))
    before = sorted(map(repr, listed(table.contents())))
    capture = backend.capture(1, full=True)
    while capture.advance():
        pass
    ((_, part),) = capture._parts
    assert part.batches and not any(isinstance(rows, pa.RecordBatch) for rows in part.batches)
    assert in_memory(table) <= 3
    table.remove_rows(table.live_slots())
    saved = [row[2:] for chunk in capture.rows() for row in listed(chunk.rows)]  # without group and number
    assert sorted(map(repr, saved)) == before
    capture.ended()
    backend.close()


def test_rows_expire_wherever_they_are(tmp_path: Path) -> None:
    clock = ManualClock(1000)
    backend = ColumnarBackend(spilling(tmp_path, clock=clock))
    table = table_in(backend, ttl_ms=100)
    for seed in range(10):
        table.append([rows_of(seed, 40).column(0)], rows_of(seed, 40))
    clock.advance(60)
    table.append([rows_of(99, 40).column(0)], rows_of(99, 40))
    clock.advance(60)
    keys = [pa.array([None, *range(9)], pa.int64())]
    _, slots = table.rows_of(table.find(keys))
    assert sorted(map(repr, listed(table.gather(slots)))) == sorted(map(repr, listed(rows_of(99, 40))))
    while len(table.expire()):
        pass
    assert len(table) == 40
    backend.close()
