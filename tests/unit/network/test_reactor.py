"""The reactor calls back for ready descriptors, forgets what is unregistered, and wakes up from other threads."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator

import pytest

from millstream.taskmanager.network.reactor import Reactor


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor()
    yield made
    made.close()


def test_ready_descriptors_are_called_back(reactor: Reactor) -> None:
    near, far = socket.socketpair()
    with near, far:
        seen: list[int] = []
        reactor.register(near.fileno(), select.EPOLLIN, seen.append)
        assert reactor.poll(0) == 0
        far.send(b"x")
        assert reactor.poll(5.0) == 1 and seen == [select.EPOLLIN]
        reactor.modify(near.fileno(), select.EPOLLOUT)
        assert reactor.poll(5.0) == 1 and seen[-1] == select.EPOLLOUT
        reactor.unregister(near.fileno())
        reactor.unregister(near.fileno())
        assert reactor.poll(0) == 0


def test_descriptor_unregistered_by_an_earlier_callback_is_left_alone(reactor: Reactor) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def first_come(number: int) -> None:
        called.append(number)
        reactor.unregister(pairs[1 - number][0].fileno())

    for number, (near, far) in enumerate(pairs):
        reactor.register(near.fileno(), select.EPOLLIN, lambda events, number=number: first_come(number))
        far.send(b"x")
    reactor.poll(5.0)
    assert len(called) == 1
    for pair in pairs:
        for sock in pair:
            sock.close()


def test_wake_up_from_another_thread(reactor: Reactor) -> None:
    thread = threading.Thread(target=reactor.wake_up)
    thread.start()
    assert reactor.poll(30.0) == 1
    thread.join()
    reactor.wake_up()
    reactor.wake_up()
    assert reactor.poll(30.0) == 1
    assert reactor.poll(0) == 0, "several wake-ups are one"
