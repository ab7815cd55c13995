"""An event loop in virtual time, on which many simulated processes live.

Everything that happens is a callback, and belongs to one ``SimProcess``: the context variable ``PROCESS`` says which,
and tasks and timers inherit it from whoever makes them. Callbacks of one process run in order, as asyncio promises;
which process is next is drawn from the seed. When nobody has anything to do, the clock jumps to the next timer.

A process that is killed runs no further callback, not even a ``finally``: that is what SIGKILL is. One that is frozen
runs none until it is thawed; what became due meanwhile then comes at once.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import random
import sys
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, Final

CALLBACKS_AT_ONE_TIME_MAX: Final = 200_000
"""So many without the clock moving mean that something goes round in circles."""
SAME_TIME_S: Final = 1e-9
TASKS_MAX: Final = 4096
"""Known at a time; then those that are done are forgotten."""


@dataclass(eq=False)
class SimProcess:
    """``machine`` names where it runs: what it sends to processes of the same machine meets no network."""

    name: str
    machine: str
    loop: SimLoop
    alive: bool = True
    frozen: bool = False
    ready: deque[SimHandle] = field(default_factory=deque)
    on_kill: list[Callable[[], None]] = field(default_factory=list)
    """What the machine does when the process has gone: closes its sockets, tells its parent."""
    on_start_over: Callable[[], None] = lambda: None
    waiting: dict[object, Callable[[], None]] = field(default_factory=dict)
    """Calls that it is to answer, and what their callers are told when it cannot."""

    def __post_init__(self) -> None:
        self.context = Context()
        self.context.run(PROCESS.set, self)

    def soon(self, callback: Callable[..., object], *arguments: Any) -> SimHandle:
        return self.loop.call_soon(callback, *arguments, context=self.context)

    def later(self, delay_s: float, callback: Callable[..., object], *arguments: Any) -> SimHandle:
        return self.loop.call_later(delay_s, callback, *arguments, context=self.context)

    def run(self, coroutine: Any) -> None:
        """Begin a coroutine as a task of this process. It must not raise."""

        async def whole() -> None:
            try:
                await coroutine
            except Exception as error:
                self.loop.fail(error)

        self.soon(lambda: self.loop.create_task(whole()))

    def kill(self) -> None:
        if self.alive:
            self.alive = False
            self.ready.clear()
            for action in [*self.on_kill, *self.waiting.values()]:
                action()
            self.waiting.clear()


PROCESS: ContextVar[SimProcess] = ContextVar("PROCESS")


class ProcessReplaced(BaseException):
    """Unwinds the callback in which a process was replaced by a new one; the process does nothing more."""


class SimHandle:
    """A callback that waits for its turn; also the handle of a timer."""

    __slots__ = ("_arguments", "_callback", "_context", "_when_s", "process")

    def __init__(self, process: SimProcess, callback: Any, arguments: tuple[Any, ...], context: Context, when_s: float):
        self.process = process
        self._callback = callback
        self._arguments = arguments
        self._context = context
        self._when_s = when_s

    def cancel(self) -> None:
        self._callback = None
        self._arguments = ()

    def cancelled(self) -> bool:
        return self._callback is None

    def when(self) -> float:
        return self._when_s

    def run(self) -> None:
        if self._callback is not None:
            self._context.run(self._callback, *self._arguments)


class SimLoop(asyncio.AbstractEventLoop):
    """``now_s`` is virtual. ``world``: the process of the simulator itself, for what nobody else does."""

    def __init__(self, generator: random.Random) -> None:
        self.now_s = 0.0
        self.callbacks = 0
        self.trace = 0
        """A hash over who ran when, in order."""
        self.failure: BaseException | None = None
        self._draw = generator.random
        self._timers: list[tuple[float, int, SimHandle]] = []
        self._number = 0
        self._ready: list[SimProcess] = []
        self._names: dict[SimProcess, int] = {}
        self._tasks: list[tuple[asyncio.Task[Any], SimProcess]] = []
        self._stopping = False
        self.world = SimProcess("world", "world", self)

    # -- what the simulator calls ------------------------------------------------------------------------------------

    def fail(self, error: BaseException) -> None:
        """End the run: something that must hold does not."""
        if self.failure is None:
            self.failure = error
        self._stopping = True

    def stop(self) -> None:
        self._stopping = True

    def run(self, until_s: float) -> None:
        """Until ``stop``, ``fail``, or that time. Raises what ``fail`` was given."""
        asyncio._set_running_loop(self)
        try:
            while not self._stopping and self.now_s < until_s:
                self._run_ready()
                if not self._advance():
                    break
        finally:
            asyncio._set_running_loop(None)
        if self.failure is not None:
            raise self.failure

    def abandon(self) -> None:
        """Forget everything. Tasks that have not ended are closed, and whatever they say to that is for nobody."""
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            warnings.simplefilter("ignore", RuntimeWarning)  # of coroutines that were never begun
            for task, _ in self._tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                if task.done() and not task.cancelled():
                    task.exception()
            self._tasks.clear()
            self._timers.clear()
            self._ready.clear()
            self.world.ready.clear()
            gc.collect()
        finally:
            sys.unraisablehook = hook

    def kill_all(self) -> None:
        """Nobody does anything any more."""
        for process in self._names:
            process.alive = False

    def freeze(self, process: SimProcess) -> None:
        process.frozen = True
        if process in self._ready:
            self._ready.remove(process)

    def thaw(self, process: SimProcess) -> None:
        process.frozen = False
        if process.ready and process.alive:
            self._ready.append(process)

    # -- the engine --------------------------------------------------------------------------------------------------

    def _run_ready(self) -> None:
        ready, draw = self._ready, self._draw
        limit = self.callbacks + CALLBACKS_AT_ONE_TIME_MAX
        trace = self.trace
        while ready and not self._stopping:
            position = int(draw() * len(ready)) if len(ready) > 1 else 0
            process = ready[position]
            queue = process.ready
            if not queue:
                ready[position] = ready[-1]
                ready.pop()
                continue
            handle = queue.popleft()
            if not queue:
                ready[position] = ready[-1]
                ready.pop()
            self.callbacks += 1
            trace = (trace * 1_000_003 + self._identity(process)) & 0xFFFFFFFFFFFF
            handle.run()
            if self.callbacks > limit:
                raise AssertionError(f"{process.name} goes round in circles at {self.now_s:.6f} s")
        self.trace = trace

    def _identity(self, process: SimProcess) -> int:
        return self._names.setdefault(process, len(self._names))

    def _advance(self) -> bool:
        """To the next timer, and all that are due then. False when there is none."""
        timers = self._timers
        while timers and (timers[0][2].cancelled() or not timers[0][2].process.alive):
            heapq.heappop(timers)
        if not timers:
            return False
        self.now_s = max(self.now_s, timers[0][0])
        self.trace = (self.trace * 1_000_003 + int(self.now_s * 1e9)) & 0xFFFFFFFFFFFF
        due_s = self.now_s + SAME_TIME_S
        while timers and timers[0][0] <= due_s:
            handle = heapq.heappop(timers)[2]
            if not handle.cancelled():
                self._make_ready(handle)
        return True

    def _make_ready(self, handle: SimHandle) -> None:
        process = handle.process
        if process.alive:
            if not process.ready and not process.frozen:
                self._ready.append(process)
            process.ready.append(handle)

    # -- what asyncio calls ------------------------------------------------------------------------------------------

    def time(self) -> float:
        return self.now_s

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> SimHandle:  # type: ignore[override]
        context = copy_context() if context is None else context
        handle = SimHandle(context.get(PROCESS, self.world), callback, args, context, self.now_s)
        self._make_ready(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    def call_later(self, delay: float, callback: Any, *args: Any, context: Context | None = None) -> SimHandle:  # type: ignore[override]
        return self.call_at(self.now_s + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Context | None = None) -> SimHandle:  # type: ignore[override]
        context = copy_context() if context is None else context
        handle = SimHandle(context.get(PROCESS, self.world), callback, args, context, when)
        self._number += 1
        heapq.heappush(self._timers, (when, self._number, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:  # type: ignore[override]
        task = asyncio.Task(coro, loop=self, name=name or "task", context=context)
        # One of a dead process stays until the end: collecting it would run its ``finally``.
        self._tasks.append((task, PROCESS.get(self.world)))
        if len(self._tasks) > TASKS_MAX:
            self._prune()
        return task

    def _prune(self) -> None:
        """Forget tasks that are done. Nobody can have taken the error of one whose process has died."""
        for task, process in self._tasks:
            if not process.alive and task.done() and not task.cancelled():
                task.exception()
        self._tasks = [(task, process) for task, process in self._tasks if not task.done()]

    def run_in_executor(self, executor: Executor | None, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        from tests.sim.worker import SimExecutor

        chosen = executor if isinstance(executor, SimExecutor) else SimExecutor()
        return chosen.begin(func, *args)

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Nobody took the error of a task: in a simulation that ends the run."""
        error = context.get("exception")
        if isinstance(error, ProcessReplaced):
            return
        if isinstance(error, BaseException):
            self.fail(error)
        else:
            self.fail(AssertionError(str(context)))

    def _timer_handle_cancelled(self, handle: Any) -> None:
        """Cancelled timers are dropped when they come up."""
