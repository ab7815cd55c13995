"""Slot processes without processes: the product's ``SlotServer``, ``TaskLoop`` and data plane on the virtual clock.

``SimSlots`` is the product's ``Slots`` whose fork server is the simulator. A slot takes one turn of its task loop at a
time, each of which costs virtual time; when no task can go on it waits for its reactor or its next deadline.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from millstream.core.clock import SystemClock
from millstream.proto.v1 import taskmanager_pb2
from millstream.taskmanager.slot.bootstrap import SlotBootstrap
from millstream.taskmanager.slot.main import METRICS_INTERVAL_S, network_of
from millstream.taskmanager.slot.server import SlotServer
from millstream.taskmanager.slot_process import SlotProcess
from millstream.taskmanager.slots import Slots
from millstream.taskmanager.task.loop import TaskLoop
from tests.sim import worker
from tests.sim.loop import PROCESS, SimProcess
from tests.sim.rpc import NET
from tests.sim.sockets import SimReactor

START_S = 0.05
REAP_S = 0.002
STEP_S = [0.0003]
"""What a turn costs; a slow machine takes longer."""
SLOW_UNTIL_S = [0.0]
"""Slots that start after the faults are not slow: a job whose checkpoints time out would start again for ever."""
_pids = itertools.count(100)


class SimSlot:
    """One slot process, from its fork to its end."""

    everyone: list[SimSlot] = []
    """All slots of the run that have not ended, for the checkers."""

    def __init__(self, bootstrap: SlotBootstrap, parent: SimProcess, chance: random.Random) -> None:
        self.pid = next(_pids)
        self.bootstrap = bootstrap
        name = f"{parent.name}/slot-{bootstrap.slot_index}.{bootstrap.incarnation}"
        self.process = SimProcess(name, parent.machine, parent.loop)
        self.process.on_kill.append(self._gone)
        self.on_message: Callable[[taskmanager_pb2.FromSlot], None] = lambda message: None
        self.on_beat: Callable[[], None] = lambda: None
        self.on_exit: Callable[[int], None] = lambda status: None
        self.parent = parent
        self.server: SlotServer | None = None
        self.loop: TaskLoop | None = None
        slowness = chance.choice((1, 1, 1, 3, 30))
        self.step_s = STEP_S[0] * (slowness if parent.loop.now_s < SLOW_UNTIL_S[0] else 1)
        self._chance = chance
        self._reactor = SimReactor(self._wake)
        self._turning = False
        self._next: Any = None
        self.process.later(START_S * (1 + chance.random()), worker.start, self._start)

    # -- the process -------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        bootstrap, clock = self.bootstrap, SystemClock()
        network = network_of(bootstrap, self._reactor, clock)  # type: ignore[arg-type]
        network.listen()
        self.server = SlotServer(bootstrap, clock)
        self.loop = TaskLoop(self._reactor, network, clock, self.server)  # type: ignore[arg-type]
        SimSlot.everyone.append(self)
        self.server.attach(self.loop, self)  # type: ignore[arg-type]
        self.loop.every(METRICS_INTERVAL_S, self.server.send_metrics)
        self._beat()
        self._turning = True
        self._turn()

    def _beat(self) -> None:
        self.parent.soon(self.on_beat)
        self.process.later(self.bootstrap.beat_interval_s, self._beat)

    def _wake(self) -> None:
        """There is something to poll for: the next turn need not wait."""
        if self.loop is not None and not self._turning and self.process.alive:
            self._plan(0.00002)

    def _plan(self, delay_s: float) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = self.process.later(delay_s, self._begin)

    def _begin(self) -> None:
        self._next = None
        self._turning = True
        worker.start(self._turn)

    def _turn(self) -> None:
        """One round of ``TaskLoop.run``, which may pause at the disk."""
        loop = self.loop
        assert loop is not None
        if loop._stopped:
            self.process.kill()
            return
        try:
            delay_s = self._round(loop)
        except Exception as error:  # nothing may get past the tasks
            self.process.loop.fail(error)
            raise
        self._turning = False
        if delay_s is not None:
            self._plan(delay_s)
        elif self._reactor.has_work():
            self._plan(0.00002)

    def _round(self, loop: TaskLoop) -> float | None:
        if loop.step():
            return self.step_s * (0.5 + self._chance.random())
        loop._flush_all()
        wait_s = loop._idle_timeout_s()
        if self._reactor.has_work() or wait_s == 0:
            loop._look(0.0)
            return 0.00005
        return wait_s

    def _gone(self) -> None:
        if self in SimSlot.everyone:
            SimSlot.everyone.remove(self)
        status = 0 if self.loop is not None and self.loop._stopped else 9
        self.parent.later(REAP_S, self.on_exit, status)

    # -- its two ends of the control channel -------------------------------------------------------------------------

    def send(self, message: taskmanager_pb2.FromSlot) -> None:
        """In the slot."""
        data = message.SerializeToString()
        self.parent.soon(lambda: self.on_message(taskmanager_pb2.FromSlot.FromString(data)))

    def receive(self, data: bytes) -> None:
        """From the TaskManager."""

        def handle() -> None:
            assert self.server is not None
            self.server.handle(taskmanager_pb2.ToSlot.FromString(data))

        if self.process.alive:
            self._reactor.call_soon(handle)

    def orphaned(self) -> None:
        """The TaskManager has gone: the control channel is at its end."""
        self.process.later(0.001 + 0.05 * self._chance.random(), self._stop)

    def _stop(self) -> None:
        if self.loop is None:
            self.process.kill()
        else:
            self.loop.stop()
            self._wake()


@dataclass
class SimSlotProcess(SlotProcess):
    """The product's view of a slot, over a ``SimSlot``."""

    slot: SimSlot | None = None

    def send(self, message: taskmanager_pb2.ToSlot) -> None:
        if self.slot is not None:
            self.slot.receive(message.SerializeToString())

    def kill(self, reason: str = "", end: str = "") -> None:
        if not self.kill_reason:
            self.kill_reason, self.kill_end = reason, end
        if self.slot is not None and self.pid:
            self.slot.process.kill()

    def close(self) -> None:
        if self.slot is not None:
            self.slot.orphaned()


class SimSlots(Slots):
    """``fork``: what the product asks its fork server for."""

    def start_fork_server(self) -> None:
        """The simulator is there."""

    async def start(self) -> None:
        self._chance = random.Random(NET[0].random.random())
        for index in range(self._count):
            await self._fork(index, 0)
        self._look()

    async def launch(self, process: SlotProcess, bootstrap: SlotBootstrap) -> None:
        assert isinstance(process, SimSlotProcess)
        parent = PROCESS.get()
        slot = process.slot = SimSlot(bootstrap, parent, self._chance)
        process.pid = slot.pid
        slot.on_message = lambda message: self._received(process, message)
        slot.on_beat = process.pulse.beat
        slot.on_exit = lambda status: self._ended(slot.pid, status)
        parent.on_kill.append(slot.orphaned)
        slot.process.on_kill.append(lambda: parent.on_kill.remove(slot.orphaned) if parent.alive else None)

    async def close(self) -> None:
        self._closing = True
        if self._next_look is not None:
            self._next_look.cancel()
        for process in self.processes.values():
            process.kill()


def state_of(pid: int) -> str:
    """Takes the place of a look into ``/proc``."""
    frozen = any(slot.pid == pid and slot.process.frozen for slot in SimSlot.everyone)
    return "T" if frozen else "S"
