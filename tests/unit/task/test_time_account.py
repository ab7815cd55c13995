"""Busy, back-pressured and idle time add up to the time that passed."""

from hypothesis import given
from hypothesis import strategies as st

from millstream.taskmanager.task.time_account import TimeAccount, Waiting

STEP = st.tuples(st.sampled_from(["step", "input", "output"]), st.floats(0, 5), st.floats(0, 5))


@given(st.lists(STEP, max_size=50))
def test_nothing_is_lost(steps: list[tuple[str, float, float]]) -> None:
    now = 10.0
    account = TimeAccount(since_s=now)
    busy = 0.0
    for kind, gap, length in steps:
        now += gap
        if kind == "step":
            account.step(now, now + length)
            now += length
            busy += length
        else:
            account.wait(now, Waiting.INPUT if kind == "input" else Waiting.OUTPUT)
    account.settle(now)
    total = account.busy_s + account.backpressured_s + account.idle_s
    assert abs(total - (now - 10.0)) < 1e-6
    assert abs(account.busy_s - busy) < 1e-6


def test_waiting_time_goes_where_the_task_waited() -> None:
    account = TimeAccount(since_s=0.0)
    account.wait(1.0, Waiting.OUTPUT)
    account.wait(4.0, Waiting.OUTPUT)
    account.step(5.0, 5.5)
    account.wait(6.0, Waiting.INPUT)
    account.settle(8.0)
    assert (account.idle_s, account.backpressured_s, account.busy_s) == (3.0, 4.5, 0.5)
