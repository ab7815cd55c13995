"""The buffer of a collect sink: in order, exactly once whatever is repeated, and bounded."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.errors import UserError
from millstream.jobmanager.coordinators.collect import BUFFER_BYTES_MAX, RESPONSE_BYTES_MAX, CollectCoordinator


def test_asking_again_with_the_same_token_gives_the_same_again() -> None:
    collector = CollectCoordinator(1)
    assert collector.take(0) == ([], 0, False)
    assert collector.offer(b"one") and collector.offer(b"two")
    assert collector.take(0) == collector.take(0) == ([b"one", b"two"], 2, False)
    assert collector.offer(b"three")
    assert collector.take(1) == ([b"two", b"three"], 3, False)


@pytest.mark.parametrize("token", [0, 3, -1])
def test_a_token_beyond_what_is_held_names_what_is(token: int) -> None:
    collector = CollectCoordinator(1)
    collector.offer(b"one")
    collector.offer(b"two")
    collector.take(1)
    with pytest.raises(UserError, match=f"held from 1 to 2; {token} was asked for"):
        collector.take(token)
    assert collector.take(1) == ([b"two"], 2, False)


def test_a_full_buffer_refuses_until_batches_are_acknowledged() -> None:
    collector = CollectCoordinator(1)
    half = bytes(BUFFER_BYTES_MAX // 2)
    assert collector.offer(half) and collector.offer(half)
    assert not collector.offer(b"x")
    collector.take(0)
    assert not collector.offer(b"x"), "a fetch that may have got lost makes no room"
    collector.take(1)
    assert collector.offer(b"x")
    assert not collector.offer(half)


def test_a_batch_larger_than_the_buffer_passes_alone() -> None:
    collector = CollectCoordinator(1)
    huge = bytes(BUFFER_BYTES_MAX + 1)
    assert collector.offer(huge)
    assert not collector.offer(b"x")
    assert collector.take(0) == ([huge], 1, False)
    assert collector.take(1) == ([], 1, False)
    assert collector.offer(b"x")


def test_a_response_is_bounded_and_only_the_last_is_the_end() -> None:
    collector = CollectCoordinator(1)
    third = bytes(RESPONSE_BYTES_MAX // 2 - 1)
    for _ in range(3):
        assert collector.offer(third)
    collector.end(0)
    assert collector.take(0) == ([third, third], 2, False)
    assert collector.take(2) == ([third], 3, True)


def test_the_end_needs_every_subtask_and_counts_each_once() -> None:
    collector = CollectCoordinator(2)
    collector.end(0)
    collector.end(0)
    assert collector.take(0) == ([], 0, False)
    collector.end(1)
    assert collector.take(0) == ([], 0, True)


@pytest.mark.parametrize("what", ["offer", "end", "wake", "time"])
def test_waiting_ends_with_a_change_or_at_the_timeout(what: str) -> None:
    async def run() -> None:
        collector = CollectCoordinator(1)
        waiting = asyncio.ensure_future(collector.wait(0.01 if what == "time" else 60))
        await asyncio.wait([waiting], timeout=0)
        assert not waiting.done()
        match what:
            case "offer":
                collector.offer(b"x")
            case "end":
                collector.end(0)
            case "wake":
                collector.wake()
        async with asyncio.timeout(10):
            await waiting

    asyncio.run(run())


@given(st.lists(st.one_of(st.binary(max_size=3), st.booleans()), max_size=30))
def test_a_client_that_loses_responses_still_gets_each_batch_once(steps: list[bytes | bool]) -> None:
    """Bytes are offered; True is a fetch that arrives, False one whose response is lost."""
    collector = CollectCoordinator(1)
    got: list[bytes] = []
    for step in [*steps, True]:
        if isinstance(step, bytes):
            assert collector.offer(step)
            continue
        batches, token, _ = collector.take(len(got))
        if step:
            got += batches
            assert token == len(got)
    assert got == [step for step in steps if isinstance(step, bytes)]
