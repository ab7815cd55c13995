"""Simulated threads: work that may pause in the middle while the rest of the world goes on.

Each piece of work runs in a greenlet. Where the product would block (at the disk), the simulated disk calls ``pause``:
the greenlet is left, and entered again when the virtual time has passed, unless its process was killed meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextvars import copy_context
from typing import Any, Final

from greenlet import GreenletExit, getcurrent, greenlet

from tests.sim.loop import PROCESS, SimLoop


class Worker(greenlet):
    """``loop`` and the greenlet to return to."""

    home: greenlet


_LEFT: Final[set[Worker]] = set()


def start(work: Callable[[], None]) -> None:
    """Run ``work`` until its first pause."""
    worker = Worker(work)
    worker.gr_context = copy_context()
    _enter(worker)


def _enter(worker: Worker) -> None:
    if PROCESS.get().alive:
        worker.home = getcurrent()
        worker.switch()


def pause(seconds: float) -> None:
    """Let virtual time pass. Outside of a worker, where nothing could go on meanwhile, none passes."""
    worker = getcurrent()
    if not isinstance(worker, Worker):
        return
    process = PROCESS.get()
    if process.alive:
        process.later(seconds, _enter, worker)
        _LEFT.add(worker)
        worker.home.switch()
        _LEFT.discard(worker)
    if not process.alive:
        raise GreenletExit


def abandon() -> None:
    """End those that nobody enters any more: their processes are dead, and no garbage collector sees what they hold."""
    while _LEFT:
        worker = _LEFT.pop()
        worker.parent = getcurrent()
        worker.throw(GreenletExit)


class SimExecutor(Executor):
    """One thread of the process that makes it: pieces of work follow each other."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self._queue: deque[Callable[[], None]] = deque()
        self._busy = False
        self._loop: SimLoop = asyncio.get_running_loop()  # type: ignore[assignment]

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """The result is for nobody: the product only uses ``run_in_executor`` where it waits."""
        self.begin(fn, *args, **kwargs)
        return Future()

    def begin(self, fn: Any, /, *args: Any, **kwargs: Any) -> asyncio.Future[Any]:
        done: asyncio.Future[Any] = self._loop.create_future()

        def work() -> None:
            try:
                result = fn(*args, **kwargs)
            except GreenletExit:
                raise
            except BaseException as error:
                answer = (done.set_exception, error)
            else:
                answer = (done.set_result, result)
            if not done.done():
                answer[0](answer[1])
                if answer[0] == done.set_exception:
                    done.exception()  # it is not for the log: who waits gets it anyway
            self._next()

        self._queue.append(work)
        if not self._busy:
            self._busy = True
            PROCESS.get().soon(self._next)
        return done

    def _next(self) -> None:
        if self._queue:
            PROCESS.get().soon(start, self._queue.popleft())
        else:
            self._busy = False

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """What was asked for is still done."""
