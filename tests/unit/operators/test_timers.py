"""Timer queues: unique timers, order, deletion, and snapshots by key group."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from millstream.core.keys import key_group
from millstream.taskmanager.timers import KeyedTimers, TimerQueue


def drain(queue: TimerQueue, now_ms: int) -> list[tuple[int, object, object]]:
    due = []
    while (timer := queue.pop_due(now_ms)) is not None:
        due.append(timer)
    return due


def test_due_timers_come_by_time_then_by_registration_and_once() -> None:
    queue = TimerQueue()
    for time_ms, key in [(20, "b"), (10, "z"), (10, "a"), (20, "b"), (10, "z"), (30, "c")]:
        queue.add(time_ms, key)
    assert len(queue) == 4
    assert queue.first_ms() == 10
    assert drain(queue, 9) == []
    assert drain(queue, 20) == [(10, "z", None), (10, "a", None), (20, "b", None)]
    queue.add(10, "late")
    assert drain(queue, 20) == [(10, "late", None)]
    queue.remove(30, "c")
    queue.remove(30, "never there")
    assert queue.first_ms() is None


def test_keys_of_types_that_do_not_compare() -> None:
    queue = TimerQueue()
    for key in ("a", 1, (1, "x"), None):
        queue.add(5, key, "window")
    assert [key for _, key, _ in drain(queue, 5)] == ["a", 1, (1, "x"), None]


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "remove", "pop"]), st.integers(0, 10), st.integers(0, 3)), max_size=80
)


@given(STEPS)
def test_a_queue_is_a_sorted_set(steps: list[tuple[str, int, int]]) -> None:
    queue = TimerQueue()
    model: dict[tuple[int, int], int] = {}
    for number, (action, time_ms, key) in enumerate(steps):
        if action == "add":
            queue.add(time_ms, key)
            model.setdefault((time_ms, key), number)
        elif action == "remove":
            queue.remove(time_ms, key)
            model.pop((time_ms, key), None)
        else:
            due = sorted((t, order, k) for (t, k), order in model.items() if t <= time_ms)
            assert drain(queue, time_ms) == [(t, k, None) for t, _, k in due]
            model = {timer: order for timer, order in model.items() if timer[0] > time_ms}
        queue.check()
        assert len(queue) == len(model)
        assert queue.first_ms() == min((t for t, _ in model), default=None)


def test_a_timeout_moved_by_each_record_costs_no_memory() -> None:
    queue = TimerQueue()
    for time_ms in range(10_000):
        queue.remove(time_ms - 1, "k")
        queue.add(time_ms, "k")
        assert len(queue._heap) < 100
    queue.check()
    assert drain(queue, 10_000) == [(9_999, "k", None)]


def test_the_task_is_asked_once_for_each_earlier_time() -> None:
    asked: list[int] = []
    timers = KeyedTimers(asked.append)
    for time_ms in (50, 60, 40, 45, 40):
        timers.add_processing(time_ms, "k")
    assert asked == [50, 40]
    assert timers.pop_processing(39) is None
    assert timers.pop_processing(45) == (40, "k", None)
    assert timers.pop_processing(45) == (45, "k", None)
    assert timers.pop_processing(45) is None
    assert asked == [50, 40, 50]


def test_a_snapshot_moves_by_key_group_and_keeps_the_order() -> None:
    timers = KeyedTimers(lambda wall_ms: None)
    keys = [f"k{i}" for i in range(20)]
    for number, key in enumerate(keys):
        timers.event.add(5, key, ("w", number))
        timers.add_processing(100 + number, key)
    snapshot = timers.snapshot(8)
    timers.event.add(1, "later")
    assert set(snapshot) == {key_group(key, 8) for key in keys}
    asked: list[int] = []
    restored = KeyedTimers(asked.append)
    restored.restore(dict(sorted(snapshot.items())))
    assert min(asked) == 100
    assert restored.snapshot(8) == snapshot, "nothing more, and nothing twice"
    due = drain(restored.event, 5)
    assert sorted(due, key=repr) == sorted([(5, key, ("w", n)) for n, key in enumerate(keys)], key=repr)
    assert len(restored.processing) == 20
    for group in snapshot:
        own = [key for _, key, _ in due if key_group(key, 8) == group]
        assert own == [key for key in keys if key_group(key, 8) == group]
