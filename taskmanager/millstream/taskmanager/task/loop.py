"""The cooperative task loop of a slot process.

``step`` gives every runnable task one step and lets the reactor handle what the network brought, without blocking,
also between two steps when the first was long. ``run`` repeats it and blocks in the reactor only when no task can go
on. Time and descriptors come in as arguments, so a simulator can drive the same loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from millstream.core.clock import Clock
from millstream.taskmanager.network.environment import NetworkEnvironment
from millstream.taskmanager.network.reactor import Reactor
from millstream.taskmanager.task.phase import ENDED, TaskPhase
from millstream.taskmanager.task.task import Task

LOOK_INTERVAL_S: Final = 0.0005
"""Between two looks at the network while there is work: after each long step, and after some short ones.

Slots that send to each other wait for one another for as long as one of them does not look.
"""
SOURCE_REST_S: Final = 0.005
"""A source that would read again sooner lets the other tasks of the slot go on first, while they have work.

Each of its small batches costs them as much as a larger one would: a source that reads a few rows a millisecond could
keep them a queue behind for ever.
"""
SNAPSHOT_S_MAX: Final = 0.01
"""After each step of a task its snapshot takes rows for as long as the step took: at least a slice, at most this long.

A task that is busy takes long steps: with one slice after each, a checkpoint of many rows would wait for a second.
"""


class TaskEvents(Protocol):
    """Who hears of tasks: the slot's control channel, or a simulator."""

    def on_phase(self, task: Task) -> None: ...

    def on_event(
        self, task: Task, operator_id: str, kind: str, payload: bytes, reply: Callable[[bool, bytes], None]
    ) -> None: ...


class TaskLoop:
    """Owns the tasks of one slot process."""

    def __init__(self, reactor: Reactor, network: NetworkEnvironment, clock: Clock, events: TaskEvents) -> None:
        self.reactor = reactor
        self.network = network
        self.tasks: list[Task] = []
        self._clock = clock
        self._events = events
        self._stopped = False
        self._has_inner_work = False
        """Whether a task that is no source did something in the last round."""
        self._look_s = clock.monotonic_s()
        """When to look at the network again."""
        self._periodic: list[tuple[float, Callable[[], None]]] = []
        self._next_periodic_s = clock.monotonic_s()

    def every(self, interval_s: float, action: Callable[[], None]) -> None:
        """Call ``action`` about every ``interval_s`` seconds. One interval is kept for all actions: the shortest."""
        self._periodic.append((interval_s, action))
        self._next_periodic_s = min(self._next_periodic_s, self._clock.monotonic_s() + interval_s)

    def stop(self) -> None:
        """Make ``run`` return."""
        self._stopped = True
        self.reactor.wake_up()

    def run(self) -> None:
        """Step until ``stop``."""
        while not self._stopped:
            if not self.step():
                self._flush_all()
                self._look(self._idle_timeout_s())

    def step(self) -> bool:
        """One round over all tasks. True when at least one did something."""
        progressed = inner_work = False
        clock = self._clock
        now_ms = clock.wall_ms()
        now_s = clock.monotonic_s()
        ended = False
        for task in list(self.tasks):
            started_s = now_s
            if task.is_source and self._has_inner_work and now_s < task.stepped_s + SOURCE_REST_S:
                progressed = True  # it is looked at again in the next round
            elif task.is_runnable(now_ms):
                inner_work = inner_work or not task.is_source
                task.step(now_ms)
                after_s = clock.monotonic_s()
                task.account(now_s, after_s)
                now_s = after_s
                progressed = True
                deadline_s = task.next_flush_s()
                if deadline_s is not None and deadline_s <= now_s and task.phase not in ENDED:
                    task.flush()
            else:
                task.time.wait(now_s, task.waiting())
            slices_until_s = now_s + min(now_s - started_s, SNAPSHOT_S_MAX)
            while task.advance_checkpoints():
                now_s = clock.monotonic_s()
                progressed = True
                if now_s >= slices_until_s:
                    break
            if progressed and now_s >= self._look_s:
                now_s = self._look(0.0)
            ended = ended or task.phase in ENDED
        if ended:
            self.tasks = [task for task in self.tasks if task.phase not in ENDED]
        self._has_inner_work = inner_work
        return progressed

    # -- called by tasks ----------------------------------------------------------------------------------------

    def phase_changed(self, task: Task) -> None:
        self._events.on_phase(task)

    def send_event(
        self, task: Task, operator_id: str, kind: str, payload: bytes, reply: Callable[[bool, bytes], None]
    ) -> None:
        self._events.on_event(task, operator_id, kind, payload, reply)

    def release(self, task: Task) -> None:
        """Give back the network resources of a task that ends."""
        for gate in task.gates:
            self.network.release_gate(gate)
        for partition in task.partitions:
            self.network.release_partition(partition)

    # -- inner --------------------------------------------------------------------------------------------------

    def _look(self, timeout_s: float | None) -> float:
        """At the network, and at what is due; waits at most ``timeout_s``. The time after it."""
        self.reactor.poll(timeout_s)
        now_s = self._clock.monotonic_s()
        self.network.on_time(now_s)
        if self._periodic and now_s >= self._next_periodic_s:
            self._run_periodic(now_s)
        self._look_s = now_s + LOOK_INTERVAL_S
        return now_s

    def _flush_all(self) -> None:
        for task in self.tasks:
            if task.phase is TaskPhase.RUNNING:
                task.flush()

    def _run_periodic(self, now_s: float) -> None:
        for _, action in self._periodic:
            action()
        self._next_periodic_s = now_s + min(interval_s for interval_s, _ in self._periodic)

    def _idle_timeout_s(self) -> float | None:
        """Seconds until something is due; None to wait for a descriptor."""
        now_s = self._clock.monotonic_s()
        waits: list[float] = []
        if self._periodic:
            waits.append(self._next_periodic_s - now_s)
        network_deadline_s = self.network.next_deadline()
        if network_deadline_s is not None:
            waits.append(network_deadline_s - now_s)
        now_ms = self._clock.wall_ms()
        for task in self.tasks:
            barrier_s = task.checkpoints.next_s()
            if barrier_s is not None:
                waits.append(barrier_s - now_s)
            timer_ms = task.next_timer_ms()
            if timer_ms is not None and (task.phase is TaskPhase.DRAINING or not task.partitions or task.has_room()):
                waits.append((timer_ms - now_ms) / 1000)
        return max(0.0, min(waits)) if waits else None
