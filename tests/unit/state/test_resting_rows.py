"""Rows that stay encoded after a restore, against a plain dict."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.api.state import StateTtlConfig, ValueStateDescriptor
from millstream.core.keys import key_group
from millstream.core.serde import evolution
from millstream.taskmanager.state import capture, heap, resting_rows
from millstream.taskmanager.state.chunks import EncodedChunk
from millstream.taskmanager.state.heap import HeapStateBackend
from tests.unit.state.backends import EVERYTHING, MAX_PARALLELISM, Checkpoints, everything, new_backend


@dataclass
class Reading:
    sensor: str
    degrees: float


@dataclass(frozen=True)
class Place:
    row: int
    name: str


KEYS: dict[str, Callable[[int], Any]] = {
    "ints": lambda n: n - 40,  # with -1 and -2, whose hashes are equal
    "large ints": lambda n: (n - 100) * ((1 << 56) - 5),
    "texts": lambda n: f"key {n}",
    "tuples": lambda n: (n % 7, f"k{n}"),
    "records": lambda n: Place(n % 7, f"k{n}"),
    "mixed": lambda n: n if n % 2 else f"k{n}",
}
VALUES: dict[str, Callable[[int], Any]] = {
    "numbers": lambda n: n,
    "tuples": lambda n: (n, n / 3, f"text {n} €" * (n % 3), None, n % 2 == 0),
    "records": lambda n: Reading(f"s{n}", n / 7),
    "lists": lambda n: [n, str(n)],
    "sometimes texts": lambda n: n if n % 5 else "five",
}
COUNT = 60
FORMS = [
    ("ints", "tuples"),
    ("texts", "tuples"),
    ("tuples", "records"),
    ("large ints", "numbers"),
    ("records", "records"),
]
"""Of keys and values that can rest."""
NAMES = ("first", "second")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting_rows, "RESTING_ROWS_MIN", 1)
    monkeypatch.setattr(capture, "CHUNK_ROWS", 13)
    monkeypatch.setattr(heap, "_DIVIDED_ROWS", 8)


class Driven:
    """Two states of one backend, and what they should hold."""

    def __init__(self, backend: HeapStateBackend, model: dict[tuple[str, Any], Any] | None = None) -> None:
        self.backend = backend
        self.model = {} if model is None else model

    def batch(self, keys: list[Any], value_of: Callable[[int], Any], chance: random.Random) -> None:
        self.backend.touch(keys)  # before the states are declared, as in a job
        for key in keys:
            self.backend.current_key = key
            name = chance.choice(NAMES)
            state: Any = self.backend.state(ValueStateDescriptor(name))
            assert state.value() == self.model.get((name, key))
            if chance.randrange(3):
                value = value_of(chance.randrange(1000))
                state.update(value)
                self.model[name, key] = value
            else:
                state.clear()
                self.model.pop((name, key), None)

    def check(self, groups: range = EVERYTHING, checkpoint_id: int = 1000) -> None:
        """By a full capture, by the numbers of rows, and one key at a time."""
        expected = {row: value for row, value in self.model.items() if key_group(row[1], MAX_PARALLELISM) in groups}
        found = [
            ((chunk.name, key), stored)
            for chunk in everything(self.backend, checkpoint_id)
            for key, stored in zip(chunk.keys, chunk.stored, strict=True)
        ]
        assert dict(found) == expected and len(found) == len(expected)
        assert self.backend.entries() == len(expected)
        for (name, key), value in expected.items():
            self.backend.focus(key)
            state: Any = self.backend.state(ValueStateDescriptor(name))
            assert state.value() == value
        assert self.backend.entries() == len(expected)


def restored(checkpoints: Checkpoints, stored: Any, number: int, groups: range = EVERYTHING) -> HeapStateBackend:
    backend = new_backend(groups=groups)
    backend.restore(checkpoints.read(stored, number, groups))
    return backend


@settings(max_examples=60)
@given(
    keys=st.sampled_from(sorted(KEYS)),
    values=st.sampled_from(sorted(VALUES)),
    seed=st.integers(0, 1 << 20),
    steps=st.lists(st.sampled_from(["batch", "batch", "store", "restore", "full", "keys", "halves"]), max_size=14),
)
def test_like_a_dict(
    tmp_path_factory: pytest.TempPathFactory, keys: str, values: str, seed: int, steps: list[str]
) -> None:
    chance, checkpoints = random.Random(seed), Checkpoints(tmp_path_factory.mktemp("checkpoints"))
    key_of, value_of = KEYS[keys], VALUES[values]
    driven = Driven(new_backend())
    driven.batch([key_of(n) for n in range(COUNT)], value_of, chance)
    for number, step in enumerate(["restore", *steps], 1):
        chosen = [key_of(chance.randrange(COUNT + 10)) for _ in range(chance.randrange(8))]
        match step:
            case "batch":
                driven.batch(chosen, value_of, chance)
            case "keys":
                name = chance.choice(NAMES)
                listed = driven.backend.keys_of(ValueStateDescriptor(name))
                assert set(listed) == {key for held, key in driven.model if held == name}
                assert len(set(listed)) == len(listed)
            case "full":  # the stream goes on meanwhile
                before = dict(driven.model)
                taking = driven.backend.capture(number, True)
                while taking.advance():
                    driven.batch([key_of(chance.randrange(COUNT))], value_of, chance)
                    if chance.random() < 0.1:
                        driven.backend.table("second", whole=True)
                rows = [chunk for chunk in taking.rows() if not isinstance(chunk, EncodedChunk)]
                taking.ended()
                assert {(c.name, k): v for c in rows for k, v in zip(c.keys, c.stored, strict=True)} == before
            case "halves":
                stored = checkpoints.store(driven.backend, number)
                for half in (range(7), range(7, MAX_PARALLELISM)):
                    Driven(restored(checkpoints, stored, number, half), driven.model).check(half)
            case _:
                full = chance.random() < 0.2
                stored, model = checkpoints.store(driven.backend, number, full), dict(driven.model)
                driven.batch(chosen, value_of, chance)
                if chance.random() < 0.3:
                    driven.backend.table("first", whole=True)
                if chance.random() < 0.8:
                    driven.backend.confirm(number)
                if step == "restore":
                    driven = Driven(restored(checkpoints, stored, number), model)
    driven.check()


@pytest.mark.parametrize(("keys", "values"), FORMS)
def test_only_touched_rows_wake(keys: str, values: str, tmp_path: Path) -> None:
    key_of, value_of = KEYS[keys], VALUES[values]
    checkpoints, backend = Checkpoints(tmp_path), new_backend()
    table = backend.table("reduced")
    everyone = [key_of(n) for n in range(200)]
    backend.touch(everyone)
    table.update(zip(everyone, map(value_of, range(200)), strict=True))
    checkpoints.store(backend, 1)
    backend.confirm(1)
    backend.touch(everyone[:9])
    table[everyone[0]] = value_of(777)
    del table[everyone[1]]
    second = restored(checkpoints, checkpoints.store(backend, 2), 2)
    rows = second.table("reduced")
    assert set(rows) <= set(everyone[:9]) and second.entries() == 199
    second.touch([everyone[1], everyone[50], everyone[0], everyone[50], key_of(1000)])
    assert rows[everyone[50]] == value_of(50) and rows[everyone[0]] == value_of(777) and everyone[1] not in rows
    assert len(rows) <= 10 and second.estimated_bytes() > 0
    assert len(second.table("reduced", whole=True)) == second.entries() == 199


def test_equal_keys_of_other_types_find_the_row(tmp_path: Path) -> None:
    checkpoints, backend = Checkpoints(tmp_path), new_backend()
    backend.touch(list(range(100)))
    backend.table("reduced").update((n, n) for n in range(100))
    second = restored(checkpoints, checkpoints.store(backend, 1), 1)
    second.touch([True, 2.0, 2.5])
    assert second.table("reduced") == {1: 1, 2: 2}


def test_keys_with_equal_hashes_are_told_apart(tmp_path: Path) -> None:
    assert hash(-1) == hash(-2)
    checkpoints, backend = Checkpoints(tmp_path), new_backend()
    backend.touch(list(range(-50, 50)))
    backend.table("reduced").update((n, n) for n in range(-50, 50))
    second = restored(checkpoints, checkpoints.store(backend, 1), 1)
    second.touch([-1])
    assert second.table("reduced") == {-1: -1}
    second.touch([-2])
    assert second.table("reduced") == {-1: -1, -2: -2}


def test_rows_of_a_state_that_has_a_time_to_live_now(tmp_path: Path) -> None:
    checkpoints, backend = Checkpoints(tmp_path), new_backend()
    backend.touch(list(range(100)))
    backend.table("x").update((n, n) for n in range(100))
    second = restored(checkpoints, checkpoints.store(backend, 1), 1)
    descriptor = ValueStateDescriptor("x")
    descriptor.enable_time_to_live(StateTtlConfig.new_builder(1000).build())
    state: Any = second.state(descriptor)
    second.focus(7)
    assert state.value() == 7 and second.entries() == 100


def test_few_rows_wake_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting_rows, "RESTING_ROWS_MIN", 101)
    checkpoints, backend = Checkpoints(tmp_path), new_backend()
    backend.touch(list(range(100)))
    backend.table("reduced").update((n, n) for n in range(100))
    second = restored(checkpoints, checkpoints.store(backend, 1), 1)
    assert second.table("reduced") == {n: n for n in range(100)}


def test_keys_of_a_class_that_the_script_defines_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart from another submission the job's class is not the one that was saved."""

    def defined() -> type:
        @dataclass(frozen=True)
        class Seat:
            row: int

        return Seat

    before, now = defined(), defined()
    checkpoints, backend = Checkpoints(tmp_path), new_backend()
    backend.touch([before(n) for n in range(100)])
    backend.table("reduced").update((before(n), n) for n in range(100))
    stored = checkpoints.store(backend, 1)
    monkeypatch.setitem(evolution._script_classes, f"{now.__module__}:{now.__qualname__}", now)
    second = restored(checkpoints, stored, 1)
    second.touch([now(7)])
    assert second.table("reduced") == {now(7): 7} and second.entries() == 100
