"""Credit is conserved whatever the order of events, buffers stay within the budget, and nothing gets stuck."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from millstream.core.errors import ConfigError, InvariantViolation
from millstream.taskmanager.network.credit import (
    CREDIT_MAX,
    AssemblyAccount,
    BufferBudget,
    FloatingPool,
    ReceiverCredit,
    SenderCredit,
)
from millstream.taskmanager.network.frames import FrameError


class _Channel:
    """Both accounts of one channel and the wire between them."""

    def __init__(self, exclusive: int, pool: FloatingPool) -> None:
        self.sender = SenderCredit()
        self.receiver = ReceiverCredit(exclusive, pool)
        self.waiting = 0
        self.frames: deque[int] = deque()
        self.credits: deque[int] = deque([exclusive])
        self.received = 0
        self.closed = False

    def announce(self) -> None:
        number = self.receiver.announce()
        if number:
            self.credits.append(number)


class CreditMachine(RuleBasedStateMachine):
    """Producers with growing backlogs, a wire that delivers late, and consumers that take when they like."""

    @initialize(
        channels=st.integers(1, 4), exclusive=st.integers(1, 3), floating=st.integers(0, 8), spare=st.integers(0, 10)
    )
    def start(self, channels: int, exclusive: int, floating: int, spare: int) -> None:
        self.budget = BufferBudget(channels * exclusive + spare)
        self.budget.reserve(channels * exclusive, "a gate", 1024)
        self.floating = floating
        self.pool = FloatingPool(self.budget, floating, channels)
        self.channels = [_Channel(exclusive, self.pool) for _ in range(channels)]
        self.late_reservation = 0

    def pick(self, number: int) -> _Channel:
        return self.channels[number % len(self.channels)]

    @rule(number=st.integers(0, 3), frames=st.integers(1, 20))
    def produce(self, number: int, frames: int) -> None:
        self.pick(number).waiting += frames

    @rule(number=st.integers(0, 3))
    def send(self, number: int) -> None:
        channel = self.pick(number)
        if channel.sender.available and channel.waiting and not channel.closed:
            channel.sender.spend()
            channel.waiting -= 1
            channel.frames.append(channel.waiting)

    @rule(number=st.integers(0, 3))
    def deliver_frame(self, number: int) -> None:
        channel = self.pick(number)
        if channel.frames:
            backlog = channel.frames.popleft()
            if not channel.closed:
                channel.receiver.received(backlog)
                channel.received += 1
                channel.announce()

    @rule(number=st.integers(0, 3))
    def deliver_credit(self, number: int) -> None:
        channel = self.pick(number)
        if channel.credits:
            channel.sender.grant(channel.credits.popleft())

    @rule(number=st.integers(0, 3), buffers=st.integers(1, 3))
    def consume(self, number: int, buffers: int) -> None:
        channel = self.pick(number)
        buffers = min(buffers, channel.receiver.held)
        if buffers:
            channel.receiver.consumed(buffers)
            channel.announce()

    @precondition(lambda self: self.budget.free > 0 and not self.late_reservation)
    @rule(data=st.data())
    def another_gate_reserves(self, data: st.DataObject) -> None:
        """Buffers that are only lent do not keep a new gate from its own."""
        available = self.budget.total - self.budget.reserved
        self.late_reservation = data.draw(st.integers(1, available))
        self.budget.reserve(self.late_reservation, "another gate", 1024)

    @rule(number=st.integers(0, 3))
    def close(self, number: int) -> None:
        channel = self.pick(number)
        if not channel.closed and len([c for c in self.channels if not c.closed]) > 1:
            channel.closed = True
            channel.receiver.close()

    @invariant()
    def credit_is_conserved(self) -> None:
        for channel in getattr(self, "channels", []):
            channel.receiver.check()
            if not channel.closed:
                on_the_way = len(channel.frames) + sum(channel.credits)
                assert channel.receiver.outstanding == channel.sender.available + on_the_way

    @invariant()
    def lent_buffers_are_accounted(self) -> None:
        if hasattr(self, "channels"):
            lent = sum(channel.receiver.floating for channel in self.channels)
            assert lent == self.budget.lent == self.floating - self.pool.borrowable
            held = sum(channel.receiver.held for channel in self.channels)
            assert held + self.late_reservation <= max(self.budget.total, self.budget.reserved + self.budget.lent)

    def teardown(self) -> None:
        """When consumers go on, every frame arrives: no credit was lost."""
        for channel in getattr(self, "channels", []):
            if channel.closed:
                continue
            for _ in range(100_000):
                number = self.channels.index(channel)
                self.deliver_credit(number)
                self.send(number)
                self.deliver_frame(number)
                self.consume(number, 1)
                if not (channel.waiting or channel.frames or channel.receiver.held):
                    break
            assert channel.waiting == 0 and not channel.frames and channel.receiver.held == 0


TestCredit = CreditMachine.TestCase
TestCredit.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


def test_frame_without_credit_is_refused() -> None:
    credit = ReceiverCredit(1, FloatingPool(BufferBudget(1), 0, 1))
    credit.received(0)
    with pytest.raises(FrameError, match="without credit"):
        credit.received(0)


@pytest.mark.parametrize("number", [0, CREDIT_MAX + 1, 2**32 - 1])
def test_impossible_grants_are_refused(number: int) -> None:
    with pytest.raises(FrameError, match="granted a credit"):
        SenderCredit().grant(number)


def test_spending_without_credit_is_a_broken_promise() -> None:
    with pytest.raises(InvariantViolation):
        SenderCredit().spend()


def test_too_few_buffers_name_the_setting_and_the_size() -> None:
    budget = BufferBudget(10)
    budget.reserve(8, "a gate", 1024)
    with pytest.raises(ConfigError, match=r"needs 4 network buffers.*taskmanager\.memory\.network\.size.*12288"):
        budget.reserve(4, "an input", 1024)


def test_fast_consumer_keeps_its_share_of_floating_buffers() -> None:
    budget = BufferBudget(10)
    budget.reserve(2, "a gate", 1024)
    credit = ReceiverCredit(2, FloatingPool(budget, 8, 1))
    credit.received(backlog=8)
    credit.announce()
    lent = credit.floating
    credit.consumed()
    assert lent == 7 and credit.floating == 7
    budget.reserve(8, "another gate", 1024)  # now buffers are short: what comes free goes back
    credit.backlog = 0
    credit.received(backlog=0)
    credit.consumed()
    assert credit.floating == 6


def test_assembly_is_bounded() -> None:
    account = AssemblyAccount(100)
    assert account.take(60) and not account.take(41) and account.take(40)
    account.give(100)
    assert account.bytes == 0
