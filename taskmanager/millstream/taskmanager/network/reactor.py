"""Waiting for descriptors: a thin layer over epoll.

The task loop owns the only thread that calls ``poll``. Other threads may call ``wake_up`` and ``call_soon``
only.
"""

from __future__ import annotations

import os
import select
from collections import deque
from collections.abc import Callable

Callback = Callable[[int], None]
"""Called with the epoll event mask."""


class Reactor:
    """Calls back for ready descriptors, from inside ``poll``."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        self._soon: deque[Callable[[], None]] = deque()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.register(self._wake_fd, select.EPOLLIN, self._woken)

    def register(self, fd: int, events: int, callback: Callback) -> None:
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def modify(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def unregister(self, fd: int) -> None:
        """Forget ``fd``, which may be closed already."""
        if self._callbacks.pop(fd, None) is not None:
            try:
                self._epoll.unregister(fd)
            except OSError:
                pass  # closing a descriptor removes it from epoll

    def poll(self, timeout_s: float | None) -> int:
        """Wait at most ``timeout_s`` (None: for ever) and run the callbacks of ready descriptors; returns how many."""
        ready = self._epoll.poll(-1 if timeout_s is None else timeout_s)
        for fd, events in ready:
            callback = self._callbacks.get(fd)  # an earlier callback of this round may have removed it
            if callback is not None:
                callback(events)
        return len(ready)

    def wake_up(self) -> None:
        """Make the current or next ``poll`` return soon. Safe from any thread."""
        try:
            os.eventfd_write(self._wake_fd, 1)
        except (BlockingIOError, OSError):
            pass  # the counter is full, so the loop is awake; or the reactor is closed

    def call_soon(self, action: Callable[[], None]) -> None:
        """Run ``action`` from inside the current or next ``poll``. Safe from any thread."""
        self._soon.append(action)
        self.wake_up()

    def close(self) -> None:
        self._callbacks.clear()
        self._epoll.close()
        os.close(self._wake_fd)

    def _woken(self, events: int) -> None:
        try:
            os.eventfd_read(self._wake_fd)
        except BlockingIOError:
            pass
        while self._soon:
            self._soon.popleft()()
