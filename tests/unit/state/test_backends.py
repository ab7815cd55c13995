"""The backends against a model of plain dicts, over checkpoints that build upon each other, restores and evictions."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from millstream.core.api.state import ListStateDescriptor, MapStateDescriptor, ValueStateDescriptor
from millstream.core.errors import CheckpointError, JobGraphError
from millstream.core.keys import key_group
from millstream.taskmanager.state import capture, runs
from millstream.taskmanager.state.backend import RestoredKeyed
from millstream.taskmanager.state.heap import HeapStateBackend
from millstream.taskmanager.state.rocksdb import RocksStateBackend
from tests.unit.state.backends import EVERYTHING, MAX_PARALLELISM, Checkpoints, everything, new_backend, restored_from

KINDS = ["memory", "rocksdb"]
KEYS: list[Any] = [*range(40), *(f"k{i}" for i in range(40)), *((i, f"t{i}") for i in range(10)), 1.5, None]


class Driven:
    """Three states of one backend, and what they should hold."""

    def __init__(self, backend: HeapStateBackend, model: dict[tuple[str, Any], Any] | None = None) -> None:
        self.backend = backend
        self.model: dict[tuple[str, Any], Any] = {} if model is None else model
        self.value: Any = backend.state(ValueStateDescriptor("value"))
        self.list: Any = backend.state(ListStateDescriptor("list"))
        self.map: Any = backend.state(MapStateDescriptor("map"))

    def batch(self, chance: random.Random, size: int = 8) -> None:
        keys = [chance.choice(KEYS) for _ in range(size)]
        self.backend.touch(keys)
        for key in keys:
            self.backend.current_key = key
            self.change(key, chance)
        if chance.random() < 0.5:
            self.window(chance)

    def change(self, key: Any, chance: random.Random) -> None:
        number, model = chance.randrange(1000), self.model
        match chance.randrange(6):
            case 0:
                self.value.update(number)
                model["value", key] = number
            case 1:
                self.value.clear()
                model.pop(("value", key), None)
            case 2:
                self.list.add(number)
                model["list", key] = [*model.get(("list", key), []), number]
            case 3:
                self.list.clear()
                model.pop(("list", key), None)
            case 4:
                self.map.put(number % 3, number)
                model["map", key] = {**model.get(("map", key), {}), number % 3: number}
            case 5:
                held = self.value.value()
                assert held == model.get(("value", key)), key

    def window(self, chance: random.Random) -> None:
        key, namespace, number = chance.choice(KEYS), ("w", chance.randrange(3)), chance.randrange(1000)
        self.backend.focus(key)
        state: Any = self.backend.state(ValueStateDescriptor("value"), namespace)
        assert state.value() == self.model.get(("window", (namespace, key)))
        if number % 5:
            state.update(number)
            self.model["window", (namespace, key)] = number
        else:
            state.clear()
            self.model.pop(("window", (namespace, key)), None)

    def check(self, groups: range = EVERYTHING) -> None:
        for key in KEYS:
            mine = key_group(key, MAX_PARALLELISM) in groups
            self.backend.focus(key)
            expected = [self.model.get((name, key)) if mine else None for name in ("value", "list", "map")]
            assert self.value.value() == expected[0], key
            assert list(self.list.get()) == (expected[1] or []), key
            assert dict(self.map.items()) == (expected[2] or {}), key
            for number in range(3):
                namespace = ("w", number)
                held = self.backend.state(ValueStateDescriptor("value"), namespace).value()  # type: ignore[attr-defined]
                assert held == (self.model.get(("window", (namespace, key))) if mine else None), key

    def copy(self) -> dict[tuple[str, Any], Any]:
        return {name: list(held) if isinstance(held, list) else held for name, held in self.model.items()}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.param


def small(backend: HeapStateBackend, rows: int = 12) -> HeapStateBackend:
    """With a cache that does not hold the test's keys."""
    if isinstance(backend, RocksStateBackend):
        backend._rows_max = rows
        backend._measure = lambda: None  # type: ignore[method-assign]
    return backend


@pytest.mark.parametrize("seed", range(6))
def test_checkpoints_build_upon_each_other(kind: str, seed: int, tmp_path: Path) -> None:
    build_upon_each_other(kind, random.Random(seed), Checkpoints(tmp_path), 12)


@pytest.mark.parametrize("seed", range(12))
def test_runs_are_merged_and_chains_begin_again(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_MERGED_RUNS", 2)
    monkeypatch.setattr(runs, "RUNS_MAX", 3 + seed % 3)
    monkeypatch.setattr(capture, "CHUNK_ROWS", 7)
    build_upon_each_other("memory", random.Random(seed), Checkpoints(tmp_path), 40)


def build_upon_each_other(kind: str, chance: random.Random, checkpoints: Checkpoints, count: int) -> None:
    driven = Driven(small(new_backend(kind)))
    for number in range(1, count + 1):
        for _ in range(chance.randrange(6)):
            driven.batch(chance)
        state, model = checkpoints.store(driven.backend, number), driven.copy()
        if chance.random() < 0.7:
            driven.backend.confirm(number)
        driven.batch(chance)
        if chance.random() < 0.5:
            restored = small(new_backend(kind))
            restored.restore(checkpoints.read(state, number))
            again = Driven(restored, model)
            again.check()
            if chance.random() < 0.5:  # go on from there, as after a failure
                driven.backend.close()
                driven = again
            else:
                restored.close()
    driven.check()
    driven.backend.close()


@pytest.mark.parametrize("to", KINDS)
def test_state_moves_between_backends_and_to_two_subtasks(kind: str, to: str, tmp_path: Path) -> None:
    chance, checkpoints = random.Random(3), Checkpoints(tmp_path)
    driven = Driven(new_backend(kind))
    for _ in range(20):
        driven.batch(chance)
    state = checkpoints.store(driven.backend, 1)
    for half in (range(5), range(5, MAX_PARALLELISM)):
        backend = small(new_backend(to, groups=half))
        backend.restore(checkpoints.read(state, 1, half))
        Driven(backend, driven.model).check(half)
        backend.close()
    driven.backend.close()


def test_databases_of_several_subtasks_become_one(tmp_path: Path) -> None:
    chance = random.Random(5)
    parts = [range(5), range(5, 11), range(11, MAX_PARALLELISM)]
    whole = Driven(new_backend("memory"))
    for _ in range(30):
        whole.batch(chance)
    rows = everything(whole.backend)
    databases = []
    for number, part in enumerate(parts):
        backend = new_backend("rocksdb", groups=part)
        backend.restore(restored_from(rows, part))
        checkpoints = Checkpoints(tmp_path / str(number))
        held = checkpoints.read(checkpoints.store(backend, 1), 1, part).databases
        databases += [database._replace(groups=part) for database in held]
        backend.close()
    for groups in (EVERYTHING, range(3, 13)):
        backend = small(new_backend("rocksdb", groups=groups))
        backend.restore(RestoredKeyed(databases=databases))
        Driven(backend, whole.model).check(groups)
        backend.close()


def test_a_restored_database_has_the_memory_of_a_new_one(tmp_path: Path) -> None:
    """RocksDB keeps settings of a database beside it, but a cache belongs to the slot."""
    checkpoints, backend = Checkpoints(tmp_path), new_backend("rocksdb", memory_bytes=1 << 25)
    restored = new_backend("rocksdb", memory_bytes=1 << 25)
    assert isinstance(backend, RocksStateBackend) and isinstance(restored, RocksStateBackend)
    Driven(backend).batch(random.Random(1))
    restored.restore(checkpoints.read(checkpoints.store(backend, 1), 1))
    for database in (backend.db, restored.db):
        assert database.property_int_value("rocksdb.block-cache-capacity") == 1 << 24
    backend.close()
    restored.close()


def test_rows_change_while_they_are_taken(kind: str) -> None:
    """What is taken is what was there at the barrier, whatever happens between the slices."""
    chance = random.Random(7)
    driven = Driven(new_backend(kind, memory_bytes=1 << 24))
    for _ in range(40):
        driven.batch(chance)
    before = driven.copy()
    capture = driven.backend.capture(1, True)
    while capture.advance():
        driven.batch(chance)
    driven.batch(chance)
    chunks = list(capture.rows())
    capture.ended()
    driven.check()
    restored = new_backend("memory")
    restored.restore(restored_from(chunks))
    Driven(restored, before).check()
    driven.backend.close()


def test_a_small_change_makes_a_small_checkpoint(kind: str, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    backend = new_backend(kind, memory_bytes=1 << 26)
    state: Any = backend.state(ValueStateDescriptor("value"))
    for start in range(0, 50_000, 1000):
        keys = list(range(start, start + 1000))
        backend.touch(keys)
        for key in keys:
            backend.current_key = key
            state.update(f"{key:0100}")
    checkpoints.store(backend, 1)
    backend.confirm(1)
    backend.focus(77)
    state.update("changed")
    second = checkpoints.store(backend, 2)
    assert checkpoints.written[2] < checkpoints.written[1] / 20, checkpoints.written
    restored = new_backend(kind)
    restored.restore(checkpoints.read(second, 2))
    again: Any = restored.state(ValueStateDescriptor("value"))
    for key, expected in ((77, "changed"), (78, f"{78:0100}"), (50_000, None)):
        restored.focus(key)
        assert again.value() == expected
    backend.close()
    restored.close()


def test_a_savepoint_is_nothing_to_build_upon(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    backend = new_backend("memory")
    state: Any = backend.state(ValueStateDescriptor("value"))
    for number in (1, 2, 3):
        backend.focus(number)
        state.update(number)
        if number == 2:
            assert everything(backend, 2)
        else:
            stored = checkpoints.store(backend, number)
        backend.confirm(number)
    restored = new_backend("memory")
    restored.restore(checkpoints.read(stored, 3))
    again: Any = restored.state(ValueStateDescriptor("value"))
    for number in (1, 2, 3):
        restored.focus(number)
        assert again.value() == number


def test_changes_of_many_failed_checkpoints_are_all_in_the_next(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    backend = new_backend("memory")
    state: Any = backend.state(ValueStateDescriptor("value"))
    for number in range(1, 31):
        backend.focus(number)
        state.update(number)
        stored = checkpoints.store(backend, number)
        if number == 1:
            backend.confirm(number)
    restored = new_backend("memory")
    restored.restore(checkpoints.read(stored, 30))
    assert restored.entries() == 30 and len(stored.operators[0].runs) == 2


def test_chains_of_changes_are_cut(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    backend = new_backend("memory")
    state: Any = backend.state(ValueStateDescriptor("value"))
    lengths = []
    for number in range(1, 200):
        backend.focus(number % 10)
        state.update(number)
        lengths.append(len(checkpoints.store(backend, number).operators[0].runs))
        backend.confirm(number)
    assert max(lengths) <= 12 and lengths.count(2) >= 5  # the full run, and what changed since
    backend.focus(1)
    state.update("x" * (3 << 20))
    assert len(checkpoints.store(backend, 200).operators[0].runs) > 1
    backend.confirm(200)
    assert len(checkpoints.store(backend, 201).operators[0].runs) == 1


def test_a_value_that_cannot_be_saved_is_named(kind: str) -> None:
    import threading

    backend = new_backend(kind)
    state: Any = backend.state(ValueStateDescriptor("locks"))
    backend.focus("k")
    state.update(threading.Lock())
    capture = backend.capture(1, True)
    with pytest.raises(CheckpointError, match=r"state 'locks' .*_thread\.lock, that of key 'k'"):
        while capture.advance():
            pass


def test_one_name_stays_one_kind_of_state_after_a_restore(kind: str, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    backend = new_backend(kind)
    state: Any = backend.state(ValueStateDescriptor("x"))
    backend.focus("k")
    state.update(1)
    restored = new_backend(kind)
    restored.restore(checkpoints.read(checkpoints.store(backend, 1), 1))
    with pytest.raises(JobGraphError, match="'x' is declared as value state and as map state"):
        restored.state(MapStateDescriptor("x"))
        restored.focus("k")
    backend.close()
    restored.close()


def test_everything_is_everything(kind: str) -> None:
    driven = Driven(new_backend(kind))
    chance = random.Random(5)
    for _ in range(30):
        driven.batch(chance)
    found = {
        (chunk.name if not chunk.spaced else "window", key): stored
        for chunk in everything(driven.backend)
        for key, stored in zip(chunk.keys, chunk.stored, strict=True)
    }
    assert found == driven.model
    driven.backend.close()
