"""A lease from both sides: the owner has stopped believing before a standby takes over, whatever is late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.clock import ManualClock
from millstream.core.errors import FencedError
from millstream.jobmanager.ha.lease import Lease, LeaseWatch, Sighting

TIMEOUT_S = 3.0


def on_loop(work: Callable[[ManualClock, Lease], Any]) -> None:
    async def run() -> None:
        clock = ManualClock()
        result = work(clock, Lease(4, clock, TIMEOUT_S))
        if result is not None:
            await result

    asyncio.run(run())


def test_a_lease_holds_until_its_time_and_not_beyond() -> None:
    def work(clock: ManualClock, lease: Lease) -> None:
        clock.advance(2999)
        lease.check()
        clock.advance(1)
        with pytest.raises(FencedError, match=r"does not lead any more \(epoch 4\)"):
            lease.check()
        with pytest.raises(FencedError):
            lease.renew(clock.monotonic_s() + TIMEOUT_S)
        with pytest.raises(FencedError):
            lease.check()

    on_loop(work)


def test_a_renewed_lease_holds_longer() -> None:
    def work(clock: ManualClock, lease: Lease) -> None:
        clock.advance(2000)
        lease.renew(clock.monotonic_s() + TIMEOUT_S)
        clock.advance(2999)
        lease.check()

    on_loop(work)


def test_who_waits_for_its_end_hears_the_first_reason() -> None:
    async def wait(lease: Lease) -> None:
        assert await lease.wait_until_lost() == "another JobManager leads"

    def work(clock: ManualClock, lease: Lease) -> Any:
        lease.lose("another JobManager leads")
        lease.lose("another reason")
        with pytest.raises(FencedError, match="another JobManager leads"):
            lease.check()
        return wait(lease)

    on_loop(work)


def seen(epoch: int = 1, renewal: int = 0, is_held: bool = True) -> Sighting:
    return Sighting(epoch, renewal, is_held)


def test_a_standby_takes_over_when_there_is_no_owner() -> None:
    assert LeaseWatch(TIMEOUT_S).is_over(0, 0, None)
    watch = LeaseWatch(TIMEOUT_S)
    assert not watch.is_over(0, 0, seen())
    assert watch.is_over(0.1, 0.1, seen(is_held=False))


def test_a_standby_counts_from_when_it_saw_a_renewal_or_another_leader() -> None:
    watch = LeaseWatch(TIMEOUT_S)
    assert not watch.is_over(100, 100, seen(renewal=5))
    assert not watch.is_over(102.9, 102.9, seen(renewal=5))
    assert not watch.is_over(103, 103, seen(renewal=6))
    assert not watch.is_over(105.9, 105.9, seen(renewal=6))
    assert not watch.is_over(106, 106, seen(epoch=2, renewal=6))
    assert watch.is_over(109, 109, seen(epoch=2, renewal=6))


HALVES = st.integers(0, 5).map(lambda halves: halves / 2)


@settings(max_examples=500)
@given(
    renewals=st.lists(st.tuples(HALVES, HALVES), max_size=4),
    looks=st.lists(st.tuples(HALVES, HALVES, HALVES), min_size=2, max_size=8),
)
def test_the_owner_never_believes_in_a_lease_that_a_standby_calls_over(
    renewals: list[tuple[float, float]], looks: list[tuple[float, float, float]]
) -> None:
    """Renewals: pauses, and how long after its start each one becomes visible. Looks: pauses, the time from the start
    of a look to the moment it sees, and from there to its end."""
    now_s, until_s = 0.0, TIMEOUT_S
    visible = [(0.0, 0)]
    for number, (pause_s, delay_s) in enumerate(renewals, 1):
        began_s = now_s + pause_s
        now_s = began_s + delay_s
        if now_s >= until_s:
            break  # the owner finds that it is too late
        visible.append((now_s, number))
        until_s = began_s + TIMEOUT_S
    watch, now_s = LeaseWatch(TIMEOUT_S), 0.0
    for pause_s, before_s, after_s in looks:
        from_s = now_s + pause_s
        moment_s = from_s + before_s
        now_s = moment_s + after_s
        renewal = max(number for at_s, number in visible if at_s <= moment_s)
        if watch.is_over(from_s, now_s, seen(renewal=renewal)):
            assert now_s >= until_s, f"over at {now_s}, but its owner believes in it until {until_s}"
            return
