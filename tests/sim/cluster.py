"""The simulated cluster: a JobManager and TaskManagers, each on a machine of its own, and what keeps them running."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from millstream.core.config import Configuration, load
from millstream.core.errors import ConfigError, MillstreamError
from millstream.jobmanager.main import JobManager
from millstream.taskmanager.main import TaskManager
from tests.sim.loop import SimLoop, SimProcess
from tests.sim.net import SimNet
from tests.sim.slots import SimSlot

RPC_PORT: Final = 6123
SECRET: Final = "5e" * 32

log = logging.getLogger("millstream.sim")


@dataclass
class Node:
    """A machine with one server process, which is started again when it has ended."""

    machine: str
    start: Callable[[], SimProcess]
    process: SimProcess | None = None
    is_down: bool = False
    """It shall not be started again for now."""

    def is_up(self) -> bool:
        return self.process is not None and self.process.alive and not self.process.frozen


@dataclass
class SimCluster:
    """``settings``: of all processes, by key."""

    loop: SimLoop
    net: SimNet
    chance: random.Random
    settings: dict[str, Any]
    jobmanagers: int
    """Several: one leads, and they survive each other."""
    taskmanagers: int
    slots: int
    nodes: dict[str, Node] = field(default_factory=dict)

    def start(self) -> None:
        for number in range(self.jobmanagers):
            self._add(f"jm{number}", self._start_jobmanager)
        for number in range(self.taskmanagers):
            self._add(f"tm{number}", self._start_taskmanager)

    @property
    def has_election(self) -> bool:
        return self.jobmanagers > 1

    def kill(self, machine: str, back_s: float) -> None:
        """SIGKILL for the server process of a machine; it is started again ``back_s`` later."""
        node = self.nodes[machine]
        if node.is_down:
            return
        assert node.process is not None
        node.process.kill()
        node.is_down = True
        self.loop.call_later(back_s, self._restart, node, context=self.loop.world.context)

    def power_off(self, machine: str, back_s: float) -> None:
        """Everything on the machine is gone at once, and no peer is told."""
        self.net.dark.add(machine)
        for slot in [slot for slot in SimSlot.everyone if slot.process.machine == machine]:
            slot.process.kill()
        self.kill(machine, back_s)

    def _add(self, machine: str, start: Callable[[str], SimProcess]) -> None:
        node = self.nodes[machine] = Node(machine, lambda: start(machine))
        self._restart(node)

    def _restart(self, node: Node) -> None:
        node.is_down = False
        self.net.dark.discard(node.machine)
        node.process = node.start()

    def _start_jobmanager(self, machine: str) -> SimProcess:
        async def serve() -> None:
            await JobManager(self.configuration({"jobmanager.rpc.address": machine})).serve()

        return self._spawn(machine, serve)

    def _start_taskmanager(self, machine: str) -> SimProcess:
        async def serve() -> None:
            settings = {"taskmanager.numberOfTaskSlots": self.slots, "taskmanager.host": machine}
            await TaskManager(self.configuration(settings)).serve()

        return self._spawn(machine, serve)

    def _spawn(self, machine: str, serve: Callable[[], Any]) -> SimProcess:
        """As ``main`` does: an error ends the process, and its machine starts another one a second later."""
        process = SimProcess(machine, machine, self.loop)
        process.on_start_over = lambda: self.kill(machine, 0.5)

        async def run() -> None:
            try:
                await serve()
            except ConfigError as error:
                self.loop.fail(error)
            except MillstreamError as error:
                log.warning("%s ended: %s", machine, error)
            process.soon(self.kill, machine, 1.0)

        process.run(run())
        return process

    def configuration(self, settings: dict[str, Any]) -> Configuration:
        """Of a process: these over those of the cluster."""
        names = [f"jm{number}:{RPC_PORT}" for number in range(self.jobmanagers)]
        election = {"high-availability.type": "file", "high-availability.storageDir": "/ha"}
        fixed = {
            **(election if self.has_election else {}),
            "jobmanager.rpc.address": ",".join(names),
            "jobmanager.rpc.port": RPC_PORT,
            "security.secret": SECRET,
            "metrics.jobmanager.port": -1,
            "metrics.taskmanager.port": -1,
        }
        return load(overrides={**fixed, **self.settings, **settings})
