"""What goes wrong, drawn from the seed: when, what, for how long. Everything heals before the end."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from tests.sim.cluster import Node, SimCluster
from tests.sim.disk import SimDisk
from tests.sim.loop import SimProcess
from tests.sim.net import SimNet
from tests.sim.slots import SimSlot

KEEPALIVE_S: Final = 25.0
"""After so long without a sign a connection to a machine without power breaks."""


class Nemesis:
    """``faults`` counts what it did. ``gap_s``: between two faults, on the average; none comes after ``until_s``."""

    def __init__(
        self,
        cluster: SimCluster,
        disk: SimDisk,
        chance: random.Random,
        gap_s: float,
        until_s: float,
        heartbeat_timeout_s: float,
    ) -> None:
        self.faults: Counter[str] = Counter()
        self._cluster = cluster
        self._net: SimNet = cluster.net
        self._disk = disk
        self._loop = cluster.loop
        self._chance = chance
        self._gap_s = gap_s
        self._until_s = until_s
        self._timeout_s = heartbeat_timeout_s
        every: list[Callable[[], bool]] = [
            self._slot_killed,
            self._slot_frozen,
            self._taskmanager_killed,
            self._taskmanager_frozen,
            self._machine_frozen,
            self._machine_off,
            self._partition,
            self._connections_reset,
            self._network_slow,
            self._disk_slow,
            self._disk_failing,
            self._jobmanager_killed,
            self._jobmanager_frozen,
            self._power_lost,
        ]
        # Each seed has its favourites, so that some see one kind only, and some all of them.
        self._kinds = chance.sample(every, chance.randint(1, len(every)))

    def start(self) -> None:
        self._later(self._chance.expovariate(1 / self._gap_s) + 0.5, self._strike)

    def stop(self) -> None:
        """No more faults; what is broken heals."""
        self._until_s = 0.0

    def _strike(self) -> None:
        if self._loop.now_s >= self._until_s:
            return
        fault = self._chance.choice(self._kinds)
        if fault():
            self.faults[fault.__name__.removeprefix("_")] += 1
        # Some faults come in bursts: the next one meets what is recovering from this one.
        gap_s = self._gap_s if self._chance.random() < 0.7 else 0.3
        self._later(self._chance.expovariate(1 / gap_s), self._strike)

    def _later(self, delay_s: float, action: Callable[[], object]) -> None:
        self._loop.call_later(delay_s, action, context=self._loop.world.context)

    # -- processes ---------------------------------------------------------------------------------------------------

    def _slot_killed(self) -> bool:
        if not SimSlot.everyone:
            return False
        self._chance.choice(SimSlot.everyone).process.kill()
        return True

    def _slot_frozen(self) -> bool:
        if not SimSlot.everyone:
            return False
        return self._freeze([self._chance.choice(SimSlot.everyone).process])

    def _taskmanager_killed(self) -> bool:
        node = self._one("tm")
        if node is None:
            return False
        self._cluster.kill(node.machine, self._chance.choice((0.2, 2.0, 8.0)))
        return True

    def _taskmanager_frozen(self) -> bool:
        """The TaskManager alone: its slots run on."""
        node = self._one("tm")
        return node is not None and node.process is not None and self._freeze([node.process])

    def _machine_frozen(self) -> bool:
        node = self._one("tm")
        if node is None or node.process is None:
            return False
        slots = [slot.process for slot in SimSlot.everyone if slot.process.machine == node.machine]
        return self._freeze([node.process, *slots])

    def _machine_off(self) -> bool:
        node = self._one("tm")
        if node is None:
            return False
        self._cluster.power_off(node.machine, self._chance.choice((1.0, 5.0, 20.0)))
        for other in self._cluster.nodes:
            self._later(KEEPALIVE_S, lambda other=other: self._net.reset(node.machine, other))  # type: ignore[misc]
        return True

    def _jobmanager_killed(self) -> bool:
        node = self._one("jm")
        if node is None:
            return False
        self._cluster.kill(node.machine, self._chance.choice((0.2, 2.0, 8.0)))
        return True

    def _jobmanager_frozen(self) -> bool:
        node = self._one("jm")
        return node is not None and node.process is not None and self._freeze([node.process])

    def _power_lost(self) -> bool:
        """Everywhere at once: the disk keeps what was durable."""
        if self._chance.random() < 0.7:
            return False
        for machine in self._cluster.nodes:
            self._cluster.power_off(machine, self._chance.uniform(0.5, 3.0))
        self._disk.lose_power()
        return True

    def _one(self, role: str) -> Node | None:
        up = [node for node in self._cluster.nodes.values() if node.machine.startswith(role) and node.is_up()]
        return self._chance.choice(up) if up else None

    def _freeze(self, processes: list[SimProcess]) -> bool:
        for process in processes:
            self._loop.freeze(process)
        seconds = self._chance.choice((0.5, 0.9 * self._timeout_s, 1.5 * self._timeout_s, 3 * self._timeout_s))
        self._later(seconds, lambda: [self._loop.thaw(process) for process in processes])
        return True

    # -- the network -------------------------------------------------------------------------------------------------

    def _partition(self) -> bool:
        one, other = self._pair()
        self._net.block(one, other)
        seconds = self._chance.choice((0.3, 2.0, 0.9 * self._timeout_s, 2 * self._timeout_s))
        self._later(seconds, lambda: self._net.heal(one, other))
        return True

    def _connections_reset(self) -> bool:
        self._net.reset(*self._pair())
        return True

    def _network_slow(self) -> bool:
        if self._net.hiccups > 0.2:
            return False
        before, self._net.hiccups = self._net.hiccups, 0.3
        self._later(self._chance.uniform(0.5, 3.0), lambda: setattr(self._net, "hiccups", before))
        return True

    def _pair(self) -> tuple[str, str]:
        one, other = self._chance.sample([*self._cluster.nodes, "client"], 2)
        return one, other

    # -- the disk ----------------------------------------------------------------------------------------------------

    def _disk_slow(self) -> bool:
        if self._disk.slowness > 1:
            return False
        self._disk.slowness = self._chance.choice((30.0, 300.0))
        self._later(self._chance.uniform(0.5, 4.0), lambda: setattr(self._disk, "slowness", 1.0))
        return True

    def _disk_failing(self) -> bool:
        if self._disk.failing:
            return False
        self._disk.failing = self._chance.choice((0.05, 0.3, 1.0))
        self._later(self._chance.uniform(0.3, 3.0), lambda: setattr(self._disk, "failing", 0.0))
        return True
