"""Barriers on several channels: what is blocked, when the snapshot is due."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.elements.control import Barrier
from millstream.taskmanager.checkpointing.alignment import Aligned, BarrierAligner


def barrier(checkpoint_id: int) -> Barrier:
    return Barrier(checkpoint_id, 0)


def test_one_channel_needs_no_waiting() -> None:
    assert BarrierAligner(1).barrier(0, barrier(1), 5.0) == Aligned(barrier(1), 5.0)


def test_channels_are_blocked_until_the_last_barrier() -> None:
    aligner = BarrierAligner(3)
    assert aligner.barrier(1, barrier(7), 1.0) is None and aligner.blocked == {1}
    assert aligner.barrier(0, barrier(7), 2.0) is None and aligner.blocked == {0, 1}
    assert aligner.barrier(2, barrier(7), 3.0) == Aligned(barrier(7), 1.0)
    assert aligner.blocked == set()


def test_an_ended_channel_counts_as_one_with_its_barrier() -> None:
    aligner = BarrierAligner(2)
    assert aligner.ended(0) is None
    assert aligner.barrier(1, barrier(1), 0.0) is not None
    assert BarrierAligner(2).ended(1) is None
    waiting = BarrierAligner(2)
    waiting.barrier(0, barrier(1), 0.0)
    assert waiting.ended(1) == Aligned(barrier(1), 0.0) and waiting.blocked == set()


def test_at_least_once_blocks_nothing() -> None:
    aligner = BarrierAligner(2, exactly_once=False)
    assert aligner.barrier(0, barrier(1), 0.0) is None and aligner.blocked == set()
    assert aligner.barrier(1, barrier(1), 0.0) is not None


def test_a_newer_barrier_ends_the_wait_for_an_older_one() -> None:
    aligner = BarrierAligner(2)
    aligner.barrier(0, barrier(1), 0.0)
    assert aligner.barrier(1, barrier(2), 1.0) is None and aligner.blocked == {1}
    assert aligner.barrier(0, barrier(2), 2.0) == Aligned(barrier(2), 1.0)
    assert aligner.barrier(1, barrier(1), 3.0) is None, "the older one is over"


def test_an_aborted_checkpoint_blocks_nothing_and_stays_aborted() -> None:
    aligner = BarrierAligner(2)
    aligner.barrier(0, barrier(3), 0.0)
    aligner.abort(3)
    assert aligner.blocked == set()
    assert aligner.barrier(1, barrier(3), 1.0) is None and aligner.blocked == set()
    aligner.barrier(0, barrier(4), 2.0)
    aligner.abort(3)
    assert aligner.blocked == {0}, "another one is under way"


@pytest.mark.parametrize("exactly_once", [True, False])
@given(channels=st.integers(1, 4), checkpoints=st.integers(0, 5), seed=st.integers(0, 1000))
def test_every_checkpoint_is_taken_once_and_nothing_behind_a_barrier_gets_in(
    exactly_once: bool, channels: int, checkpoints: int, seed: int
) -> None:
    """Channels are read in any order, as far as they are not blocked; some end early."""
    chance = random.Random(seed)
    queues = [[*range(1, chance.randint(0, checkpoints) + 1), 0] for _ in range(channels)]  # 0 is the end
    longest = max(len(queue) - 1 for queue in queues)
    aligner, taken = BarrierAligner(channels, exactly_once), list[int]()
    passed = [0] * channels
    while any(queues):
        ready = [c for c in range(channels) if queues[c] and c not in aligner.blocked]
        assert ready, "everything is blocked"
        channel = chance.choice(ready)
        if exactly_once:
            assert passed[channel] <= len(taken) or channel not in aligner.blocked
        number = queues[channel].pop(0)
        aligned = aligner.ended(channel) if number == 0 else aligner.barrier(channel, barrier(number), 0.0)
        passed[channel] = number or longest
        if aligned is not None:
            taken.append(aligned.barrier.checkpoint_id)
            if exactly_once:
                assert all(p == taken[-1] or not queues[c] for c, p in enumerate(passed)), (
                    "a channel was ahead or behind"
                )
    assert taken == sorted(set(taken))
    if exactly_once:
        assert taken == list(range(1, longest + 1))
