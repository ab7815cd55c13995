"""The five kinds of keyed state on heap: a model of plain dicts, snapshots by key group, names and kinds."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.api.functions import AggregateFunction
from millstream.core.api.state import (
    AggregatingStateDescriptor,
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millstream.core.errors import ConfigError, JobGraphError
from millstream.core.keys import key_group
from millstream.taskmanager.state.heap import HeapStateBackend
from tests.unit.state.backends import MAX_PARALLELISM, everything, new_backend, restored_from


class Mean(AggregateFunction[float, tuple[float, int], float]):
    def create_accumulator(self) -> tuple[float, int]:
        return (0.0, 0)

    def add(self, value: float, accumulator: tuple[float, int]) -> tuple[float, int]:
        return (accumulator[0] + value, accumulator[1] + 1)

    def get_result(self, accumulator: tuple[float, int]) -> float:
        return accumulator[0] / accumulator[1]


def ttl() -> StateTtlConfig:
    return StateTtlConfig.new_builder("1h").build()


def descriptors(with_ttl: bool) -> dict[str, StateDescriptor]:
    made: dict[str, StateDescriptor] = {
        "value": ValueStateDescriptor("value"),
        "list": ListStateDescriptor("list"),
        "map": MapStateDescriptor("map"),
        "reducing": ReducingStateDescriptor("reducing", lambda a, b: a + b),
        "aggregating": AggregatingStateDescriptor("aggregating", Mean()),
    }
    if with_ttl:
        for descriptor in made.values():
            descriptor.enable_time_to_live(ttl())
    return made


class States:
    """All five kinds over one backend."""

    def __init__(self, backend: HeapStateBackend, with_ttl: bool = False, namespace: Any = None) -> None:
        named = {name: backend.state(d, namespace) for name, d in descriptors(with_ttl).items()}
        self.value: Any = named["value"]
        self.list: Any = named["list"]
        self.map: Any = named["map"]
        self.reducing: Any = named["reducing"]
        self.aggregating: Any = named["aggregating"]

    def view(self) -> tuple[Any, ...]:
        return (
            self.value.value(),
            list(self.list.get()),
            dict(self.map.items()),
            self.reducing.get(),
            self.aggregating.get(),
        )


EMPTY: tuple[Any, ...] = (None, [], {}, None, None)


@pytest.mark.parametrize("with_ttl", [False, True])
@pytest.mark.parametrize("namespace", [None, "window"])
def test_each_key_has_its_own_state(with_ttl: bool, namespace: Any) -> None:
    backend = new_backend()
    states = States(backend, with_ttl, namespace)
    for key, number in [("a", 1), ("b", 10), ("a", 2)]:
        backend.focus(key)
        states.value.update(number)
        states.list.add(number)
        states.map.put(number, str(number))
        states.reducing.add(number)
        states.aggregating.add(number)
    assert states.view() == (2, [1, 2], {1: "1", 2: "2"}, 3, 1.5)
    backend.focus("b")
    assert states.view() == (10, [10], {10: "10"}, 10, 10.0)
    backend.focus("c")
    assert states.view() == EMPTY
    assert backend.entries() == 10
    backend.focus("a")
    for state in (states.value, states.list, states.map, states.reducing, states.aggregating):
        state.clear()
    assert states.view() == EMPTY
    assert backend.entries() == 5


@pytest.mark.parametrize("with_ttl", [False, True])
def test_namespaces_do_not_meet(with_ttl: bool) -> None:
    backend = new_backend()
    backend.focus(("window", "a"))
    States(backend, with_ttl).value.update(1)
    backend.focus("a")
    States(backend, with_ttl, "window").value.update(2)
    States(backend, with_ttl, "other").value.update(3)
    assert [States(backend, with_ttl, n).value.value() for n in (None, "window", "other")] == [None, 2, 3]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "remove", "put_all", "clear", "add", "add_all", "replace", "clear_list"]),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    max_size=60,
)


@given(STEPS, st.booleans())
def test_maps_and_lists_behave_like_dicts_and_lists(steps: list[tuple[str, int, int]], with_ttl: bool) -> None:
    backend = new_backend()
    states = States(backend, with_ttl)
    maps: dict[int, dict[int, int]] = {}
    lists: dict[int, list[int]] = {}
    for action, key, number in steps:
        backend.focus(key)
        own, elements = maps.setdefault(key, {}), lists.setdefault(key, [])
        match action:
            case "put":
                states.map[number] = key
                own[number] = key
            case "remove":
                del states.map[number]
                own.pop(number, None)
            case "put_all":
                states.map.put_all(dict.fromkeys(range(number), number))
                own.update(dict.fromkeys(range(number), number))
            case "clear":
                states.map.clear()
                own.clear()
            case "add":
                states.list.add(number)
                elements.append(number)
            case "add_all":
                states.list.add_all(range(number))
                elements.extend(range(number))
            case "replace":
                states.list.update(range(number))
                elements[:] = range(number)
            case "clear_list":
                states.list.clear()
                elements.clear()
        assert list(states.list) == elements
        assert dict(states.map.items()) == own
        assert sorted(states.map) == sorted(states.map.keys()) == sorted(own)
        assert sorted(states.map.values()) == sorted(own.values())
        assert states.map.is_empty() == (not own)
        assert [n in states.map for n in range(6)] == [n in own for n in range(6)]
        assert [states.map[n] for n in range(6)] == [own.get(n) for n in range(6)]
    assert backend.entries() == sum(map(bool, maps.values())) + sum(map(bool, lists.values()))


def test_state_may_change_while_it_is_read() -> None:
    backend = new_backend()
    states = States(backend)
    states.list.add_all([1, 2, 3])
    states.map.put_all({1: 1, 2: 2})
    assert [states.list.add(element) for element in states.list.get()] == [None] * 3
    for key in states.map.keys():  # noqa: SIM118
        states.map.remove(key)
    assert states.map.is_empty()


@pytest.mark.parametrize("with_ttl", [False, True])
@pytest.mark.parametrize("namespace", [None, ("w", 1)])
def test_a_snapshot_can_be_divided_and_is_untouched_by_later_changes(with_ttl: bool, namespace: Any) -> None:
    backend = new_backend()
    states = States(backend, with_ttl, namespace)
    keys = [f"k{i}" for i in range(40)]
    views = {}
    for i, key in enumerate(keys):
        backend.focus(key)
        states.value.update([i])
        states.list.add_all([i, i + 1])
        states.map.put(i, (i,))
        states.reducing.add(i)
        states.aggregating.add(float(i))
        views[key] = copy.deepcopy(states.view())
    snapshot = everything(backend)
    for key in keys:
        backend.focus(key)
        states.value.value().append("changed")
        states.list.add("changed")
        states.map.put("changed", 1)

    for half in (range(MAX_PARALLELISM // 2), range(MAX_PARALLELISM // 2, MAX_PARALLELISM)):
        taken = new_backend()
        taken.restore(restored_from(snapshot, half))
        entries = taken.entries()
        assert sum(len(chunk.keys) for chunk in everything(taken)) == entries  # before anybody has declared the states
        again = States(taken, with_ttl, namespace)
        assert taken.entries() == entries == 5 * sum(key_group(key, MAX_PARALLELISM) in half for key in keys)
        for key in keys:
            taken.focus(key)
            assert again.view() == (views[key] if key_group(key, MAX_PARALLELISM) in half else EMPTY)


@pytest.mark.parametrize("before", [False, True])
def test_a_time_to_live_may_be_given_or_taken_away_between_runs(before: bool) -> None:
    backend = new_backend()
    states = States(backend, with_ttl=before)
    backend.focus("k")
    states.value.update(7)
    states.list.add_all([1, 2])
    states.map.put("a", 1)
    states.reducing.add(3)
    states.aggregating.add(4.0)
    expected = states.view()
    restored = new_backend()
    restored.restore(restored_from(everything(backend)))
    restored.focus("k")
    assert States(restored, with_ttl=not before).view() == expected


def test_one_name_is_one_kind_of_state() -> None:
    backend = new_backend()
    first = backend.state(ValueStateDescriptor("x"))
    assert backend.state(ValueStateDescriptor("x")) is first
    with pytest.raises(JobGraphError, match="'x' is declared as value state and as list state"):
        backend.state(ListStateDescriptor("x"))
    backend.focus("k")
    first.update(1)  # type: ignore[attr-defined]
    restored = new_backend()
    restored.restore(restored_from(everything(backend)))
    with pytest.raises(JobGraphError, match="'x'"):
        restored.state(MapStateDescriptor("x"))


def test_what_is_no_descriptor_is_refused() -> None:
    with pytest.raises(ConfigError, match="ValueStateDescriptor"):
        new_backend().state(StateDescriptor("x"))
    with pytest.raises(ConfigError, match="needs a name"):
        ValueStateDescriptor("")


def test_size_is_estimated_from_samples() -> None:
    backend = new_backend()
    state: Any = backend.state(ValueStateDescriptor("x"))
    assert backend.estimated_bytes() == 0
    for key in range(1000):
        backend.focus(key)
        state.update("y" * 100)
    assert 100_000 < backend.estimated_bytes() < 200_000
