"""WindowTimers: due in order of time and registration, unique, deletable, bounded; restored in the same order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from millstream.core.api.windows import TimeWindow
from millstream.taskmanager.operators.windowing.window_timers import WindowTimers

a, b = TimeWindow(0, 10), TimeWindow(10, 20)


def test_order_of_time_then_registration_and_once_each() -> None:
    timers = WindowTimers()
    for time_ms, key, window in [(9, "y", a), (9, "x", a), (5, "x", b), (9, "y", a)]:
        timers.add(time_ms, key, window)
    assert timers.next_time_ms() == 5
    assert [(t[0], t[2]) for t in timers.due(9)] == [(5, "x"), (9, "y"), (9, "x")]
    assert timers.next_time_ms() is None


def test_timers_added_while_firing_fire_too() -> None:
    timers = WindowTimers()
    timers.add(1, "k", a)
    fired = []
    for time_ms, _, key, window in timers.due(3):
        fired.append(time_ms)
        timers.add(time_ms + 1, key, window)
    assert fired == [1, 2, 3]
    assert len(timers) == 1


def test_deleted_timers_do_not_pile_up() -> None:
    timers = WindowTimers()
    for time_ms in range(10_000):
        timers.add(time_ms, "k", a)
        timers.remove(time_ms - 1, "k", a)
        timers.check()
    assert len(timers) == 1
    assert len(timers._heap) < 200


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.sampled_from("xy"), st.sampled_from([a, b])), max_size=60)
)
def test_like_a_sorted_list(steps: list[tuple[bool, int, str, TimeWindow]]) -> None:
    timers, model = WindowTimers(), {}
    for number, (add, time_ms, key, window) in enumerate(steps):
        if add:
            timers.add(time_ms, key, window)
            model.setdefault((time_ms, key, window), number)
        else:
            timers.remove(time_ms, key, window)
            model.pop((time_ms, key, window), None)
        timers.check()
    expected = sorted(model, key=lambda timer: (timer[0], model[timer]))
    restored = WindowTimers()
    restored.restore(timers.all())
    assert [(t[0], t[2], t[3]) for t in timers.due(9)] == expected
    assert [(t[0], t[2], t[3]) for t in restored.due(9)] == expected
