"""Time to live: when values are seen, what renews them, and that state stays as small as what is alive."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.api.state import (
    ListStateDescriptor,
    MapStateDescriptor,
    ReducingStateDescriptor,
    StateDescriptor,
    StateTtlConfig,
    ValueStateDescriptor,
)
from millstream.core.clock import ManualClock
from millstream.core.errors import ConfigError
from millstream.taskmanager.state.chunks import RowChunk
from tests.unit.state.backends import everything, new_backend, restored_from

TTL_MS = 100


class Rig:
    """One state with a time to live of 100 ms."""

    def __init__(
        self, descriptor: StateDescriptor, renews_on_read: bool = False, shows_expired: bool = False, key: Any = "k"
    ) -> None:
        builder = StateTtlConfig.new_builder(TTL_MS)
        if renews_on_read:
            builder.update_ttl_on_read_and_write()
        if shows_expired:
            builder.return_expired_if_not_cleaned_up()
        descriptor.enable_time_to_live(builder.build())
        self.clock = ManualClock(1_000_000)
        self.backend = new_backend(clock=self.clock)
        self.backend.focus(key)
        self.state: Any = self.backend.state(descriptor)


def test_a_value_lives_from_its_last_write() -> None:
    rig = Rig(ValueStateDescriptor("v"))
    rig.state.update(1)
    rig.clock.advance(TTL_MS - 1)
    assert rig.state.value() == 1
    rig.state.update(2)
    rig.clock.advance(TTL_MS - 1)
    assert rig.state.value() == 2
    rig.clock.advance(1)
    assert rig.state.value() is None


def test_reading_renews_only_where_asked_for() -> None:
    for renews in (False, True):
        rig = Rig(ValueStateDescriptor("v"), renews_on_read=renews)
        rig.state.update(1)
        seen = []
        for _ in range(4):
            rig.clock.advance(TTL_MS - 10)
            seen.append(rig.state.value())
        assert seen == ([1, 1, 1, 1] if renews else [1, None, None, None])


def test_an_expired_value_may_be_shown_until_it_is_cleaned_up() -> None:
    rig = Rig(ValueStateDescriptor("v"), shows_expired=True)
    rig.state.update(1)
    rig.clock.advance(TTL_MS)
    assert rig.state.value() == 1
    assert rig.state.value() is None  # the access before has swept it out


def test_a_reducing_state_starts_anew_after_expiry() -> None:
    rig = Rig(ReducingStateDescriptor("r", lambda a, b: a + b))
    rig.state.add(1)
    rig.clock.advance(TTL_MS // 2)
    rig.state.add(2)
    assert rig.state.get() == 3
    rig.clock.advance(TTL_MS)
    rig.state.add(5)
    assert rig.state.get() == 5


def test_elements_of_a_list_expire_one_by_one() -> None:
    rig = Rig(ListStateDescriptor("l"))
    for element in (1, 2, 3):
        rig.state.add(element)
        rig.clock.advance(40)
    assert list(rig.state.get()) == [2, 3]
    rig.state.add(4)
    rig.clock.advance(40)
    assert list(rig.state.get()) == [3, 4]
    rig.clock.advance(TTL_MS)
    assert list(rig.state.get()) == []
    assert rig.backend.entries() == 0


def test_reading_a_list_renews_all_of_it() -> None:
    rig = Rig(ListStateDescriptor("l"), renews_on_read=True)
    rig.state.add_all([1, 2])
    for _ in range(3):
        rig.clock.advance(TTL_MS - 1)
        assert list(rig.state.get()) == [1, 2]


def test_entries_of_a_map_expire_one_by_one() -> None:
    rig = Rig(MapStateDescriptor("m"))
    rig.state.put("old", 1)
    rig.clock.advance(60)
    rig.state.put("new", 2)
    assert dict(rig.state.items()) == {"old": 1, "new": 2}
    rig.clock.advance(60)
    assert dict(rig.state.items()) == {"new": 2}
    assert rig.state.get("old") is None
    assert not rig.state.contains("old")
    rig.state.put("new", 3)
    rig.clock.advance(60)
    assert rig.state.get("new") == 3
    rig.clock.advance(60)
    assert rig.state.is_empty()


def test_reading_a_map_entry_renews_that_entry() -> None:
    rig = Rig(MapStateDescriptor("m"), renews_on_read=True)
    rig.state.put_all({"a": 1, "b": 2})
    rig.clock.advance(60)
    assert rig.state.get("a") == 1
    rig.clock.advance(60)
    assert dict(rig.state.items()) == {"a": 1}
    rig.clock.advance(60)
    assert list(rig.state.keys()) == ["a"]


@pytest.mark.parametrize("kind", ["value", "list", "map", "namespaced"])
def test_state_stays_as_small_as_what_is_alive(kind: str) -> None:
    """Every key is written once and never looked at again; 10 of them live at a time."""
    descriptor = {"list": ListStateDescriptor("s"), "map": MapStateDescriptor("s")}.get(kind, ValueStateDescriptor("s"))
    rig = Rig(descriptor)
    for key in range(2000):
        rig.clock.advance(10)
        rig.backend.focus(key)
        state: Any = rig.backend.state(descriptor, "window") if kind == "namespaced" else rig.state
        match kind:
            case "list":
                state.add(key)
            case "map":
                state.put(key, key)
            case _:
                state.update(key)
        assert rig.backend.entries() <= 11


def test_one_map_of_one_key_stays_as_small_as_what_is_alive() -> None:
    rig = Rig(MapStateDescriptor("m"))
    for number in range(1000):
        rig.clock.advance(10)
        rig.state.put(number, number)
        assert len(list(rig.state.keys())) <= 10
    assert rig.backend.estimated_bytes() < 2000


def test_restored_values_expire_when_they_would_have() -> None:
    rig = Rig(ValueStateDescriptor("v"))
    rig.state.update(1)
    rig.clock.advance(60)
    rig.backend.focus("later")
    rig.state.update(2)
    restored = new_backend(clock=rig.clock)
    restored.restore(restored_from(everything(rig.backend)))
    descriptor = ValueStateDescriptor("v")
    descriptor.enable_time_to_live(StateTtlConfig.new_builder(TTL_MS).build())
    state: Any = restored.state(descriptor)
    rig.clock.advance(60)
    restored.focus("k")
    assert state.value() is None
    restored.focus("later")
    assert state.value() == 2


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 60), st.sampled_from(["read", "write", "clear"])), max_size=80
    ),
    st.booleans(),
)
def test_a_value_is_seen_exactly_while_it_lives(steps: list[tuple[int, int, str]], renews: bool) -> None:
    rig = Rig(ValueStateDescriptor("v"), renews_on_read=renews)
    model: dict[int, tuple[int, int]] = {}
    for number, (key, pause_ms, action) in enumerate(steps):
        rig.clock.advance(pause_ms)
        now_ms = rig.clock.wall_ms()
        rig.backend.focus(key)
        value, expires_ms = model.get(key, (None, 0))
        if action == "read":
            alive = expires_ms > now_ms
            assert rig.state.value() == (value if alive else None)
            if alive and renews and value is not None:
                model[key] = (value, now_ms + TTL_MS)
        elif action == "write":
            rig.state.update(number)
            model[key] = (number, now_ms + TTL_MS)
        else:
            rig.state.clear()
            model.pop(key, None)


def test_a_time_to_live_must_be_positive_and_can_be_switched_off() -> None:
    with pytest.raises(ConfigError, match="positive"):
        StateTtlConfig.new_builder(0).build()
    descriptor = ValueStateDescriptor("v")
    disabled = StateTtlConfig.new_builder("1s").set_update_type(StateTtlConfig.UpdateType.Disabled).build()
    descriptor.enable_time_to_live(disabled)
    assert descriptor.ttl is None


def test_in_rocksdb_values_expire_in_the_database_too() -> None:
    """Rows that have left the cache are seen while they live; one that is read too late leaves the database."""
    keys = range(5000)
    descriptor = ValueStateDescriptor("v")
    descriptor.enable_time_to_live(StateTtlConfig.new_builder(TTL_MS).build())
    clock = ManualClock(1_000_000)
    backend = new_backend("rocksdb", clock=clock, memory_bytes=1 << 16)
    state: Any = backend.state(descriptor)

    def seen(key: int) -> Any:
        backend.focus(key)
        return state.value()

    for key in keys:
        backend.focus(key)
        state.update(key)
    assert len(backend.table("v")) < len(keys), "some have left the cache"
    clock.advance(TTL_MS - 1)
    assert [seen(key) for key in keys] == list(keys)
    backend.focus(7)
    state.update(-7)
    clock.advance(1)
    assert [key for key in keys if seen(key) is not None] == [7]
    left = [key for chunk in everything(backend) if isinstance(chunk, RowChunk) for key in chunk.keys]
    assert left == [7]
    backend.close()
