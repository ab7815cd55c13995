"""Logs in memory and with most entries on disk against a list, and what checkpoints do with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.errors import InvariantViolation
from millstream.taskmanager.operators.table.aggregates.accumulator import Stores
from millstream.taskmanager.operators.table.aggregates.value_log import ValueLog
from millstream.taskmanager.state.columnar.backend import ColumnarBackend
from millstream.taskmanager.state.columnar.entry_table import EntryTable
from millstream.taskmanager.state.columnar.pages import Pages
from millstream.taskmanager.state.columnar.table import ColumnTable
from tests.unit.state.columnar.columnar_checkpoints import Context, Stored, listed, spilling

KEY = pa.schema([("k0", pa.string())])
KINDS = [pa.string(), pa.int64()]
KEYS = ["a", "b", None, "c"]
Entry = tuple[str | None, int]


@pytest.fixture(autouse=True)
def pages_in_memory() -> Iterator[None]:
    before, Pages.frames_min = Pages.frames_min, 2
    yield
    Pages.frames_min = before


class Log:
    """A value log in a backend, as operators have it."""

    def __init__(self, backend: ColumnarBackend) -> None:
        self.groups = ColumnTable("groups", KEY, pa.schema([]), clock=Context().clock, tracks_changes=False)

        def made(name: str, keys: list[pa.Field], values: list[pa.Field]) -> ColumnTable:
            table = backend.table(name, pa.schema([*KEY, *keys]), pa.schema(values), partition_keys=1)
            live = table.live_slots()
            self.groups.lookup(table.columns_at(live, ["k0"]), len(live))
            return table

        self.log = ValueLog(Stores(self.groups, made), "log", KINDS)

    def append(self, entries: list[Entry]) -> None:
        keys = [pa.array([key for key, _ in entries], pa.string())]
        owners, _ = self.groups.lookup(keys, len(entries))
        texts = pa.array([f"value {number}" for _, number in entries])
        self.log.append(owners, keys, [texts, pa.array([number for _, number in entries], pa.int64())])

    def of_all(self) -> dict[str | None, list[int]]:
        """By key, its values, the oldest first."""
        owners, _ = self.groups.lookup([pa.array(KEYS, pa.string())], len(KEYS))
        entries, positions = self.log.of(owners)
        found: dict[str | None, list[int]] = {key: [] for key in KEYS}
        texts, numbers = (column.to_pylist() for column in self.log.values(entries))
        for position, text, number in zip(positions.tolist(), texts, numbers, strict=True):
            assert text == f"value {number}"
            found[KEYS[position]].append(number)
        return found


ENTRIES = st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 20)), max_size=60)
ACTIONS = st.sampled_from(["append", "append", "take back", "forget", "replace", "barrier", "restore"])


@pytest.mark.parametrize("on_disk", [False, True])
@settings(deadline=None, max_examples=25)
@given(steps=st.lists(st.tuples(ACTIONS, ENTRIES, st.booleans()), max_size=12))
def test_a_log_is_a_list(on_disk: bool, steps: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("state")
    stored = Stored(directory / "storage")
    context = spilling(directory / "work") if on_disk else Context()
    opened = [ColumnarBackend(context, logs={"log": ["v1"]})]
    log, model = Log(opened[0]), dict[str | None, list[int]]((key, []) for key in KEYS)
    capture, at_barrier, begun, captured = None, model, 0, opened[0]
    for step, (action, entries, choice) in enumerate(steps, 1):
        if action == "append":
            log.append(entries)
            for key, number in entries:
                model[key].append(number)
        elif action == "take back":
            keys = pa.array([key for key, _ in entries], pa.string())
            owners, _ = log.groups.lookup([keys], len(entries))
            texts = pa.array([f"value {number}" for _, number in entries], pa.string())
            log.log.take_back(owners, [texts, pa.array([number for _, number in entries], pa.int64())])
            for key, number in entries:
                if number in model[key]:
                    model[key].remove(number)
        elif action == "forget":
            owners, _ = log.groups.lookup([pa.array(["a"])], 1)
            found, _ = log.log.of(owners)
            log.log.forget(found[::2])
            model["a"] = model["a"][1::2]
        elif action == "replace":
            owners, _ = log.groups.lookup([pa.array(["b"])], 1)
            found, _ = log.log.of(owners)
            log.log.replace(found[1:], 0, [pa.array(["value 7"] * len(found[1:])), pa.array([7] * len(found[1:]))])
            model["b"] = [*model["b"][:1], *([7] * len(model["b"][1:]))]
        elif action == "barrier":
            captured = opened[-1]
            capture, begun = captured.capture(step, full=choice), step
            at_barrier = {key: list(values) for key, values in model.items()}
        elif capture is not None and captured is opened[-1]:
            state = stored.finish(capture, begun)
            capture = None
            again = ColumnarBackend(context, logs={"log": ["v1"]})
            again.restore(stored.read([state], begun, context))
            restored = Log(again)
            assert restored.of_all() == at_barrier
            if choice:
                opened[-1].confirm(begun)
                again.close()
            else:  # the job goes back to that checkpoint
                opened.append(again)
                log, model = restored, at_barrier
        assert log.of_all() == model
        assert len(log.log.table) == sum(map(len, model.values()))
    for backend in opened:
        backend.close()
    assert not list((directory / "work").glob("*"))


def test_entries_saved_in_memory_go_to_pages_at_another_parallelism(tmp_path: Path) -> None:
    stored = Stored(tmp_path / "storage")
    backend = ColumnarBackend(Context(), logs={"log": ["v1"]})
    log = Log(backend)
    log.append([(f"key {number % 50}", number) for number in range(2000)])
    state = stored.store(backend, 1, full=True)
    rows = []
    for index in (0, 1):
        context = spilling(tmp_path / "work", index, 2)
        part = ColumnarBackend(context, logs={"log": ["v1"]})
        part.restore(stored.read([state], 1, context))
        table = Log(part).log.table
        assert 500 < len(table) < 1500
        rows += listed(table.contents())
        part.close()
    assert sorted(rows) == sorted(listed(log.log.table.contents()))


def test_entries_have_no_index(tmp_path: Path) -> None:
    backend = ColumnarBackend(Context(), logs={"log": ["v1"]})
    table = Log(backend).log.table
    assert isinstance(table, EntryTable)
    with pytest.raises(InvariantViolation, match="3 entries of a log"):
        table.find([pa.array(["a", "b", "c"]), pa.array(np.arange(3))])
