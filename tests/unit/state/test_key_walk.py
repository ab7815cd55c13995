"""The walk over the keys of a snapshot."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from millstream.taskmanager.state.changes import ChangedKeys
from millstream.taskmanager.state.key_walk import KeyWalk

_LISTS = st.lists(st.lists(st.integers(0, 30), unique=True, max_size=12), max_size=5)


@given(_LISTS, st.lists(st.integers(0, 40), unique=True), st.integers(1, 9), st.integers(1, 9))
def test_each_key_comes_once(lists: list[list[int]], base: list[int], cut: int, count: int) -> None:
    walk = KeyWalk(lists, [base[i : i + cut] for i in range(0, len(base), cut)])
    taken: list[int] = []
    while keys := walk.take(count):
        assert len(keys) <= count
        taken += keys
    assert sorted(taken) == sorted({*base, *(key for keys in lists for key in keys)})


@given(st.lists(st.tuples(st.sets(st.integers(0, 20)), st.booleans(), st.booleans())))
def test_what_changed_is_known_back_to_the_last_full_snapshot(steps: list[tuple[set[int], bool, bool]]) -> None:
    changes = ChangedKeys()
    since_confirmed: set[int] = set()
    since_full: set[int] = set()
    for number, (keys, confirmed, full) in enumerate(steps):
        changes.keys |= keys
        since_confirmed |= keys
        since_full |= keys
        assert set().union(*changes.take(number)) == since_confirmed
        assert set().union(*changes.since_full()) == since_full
        if confirmed:
            changes.confirm(number, [] if full else [list(since_confirmed)], anew=full)
            since_confirmed = set()
            since_full = set() if full else since_full
