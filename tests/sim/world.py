"""One seed: a cluster, a job, faults while it runs, and then the time to come to its end."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.sim import slots, sockets, worker
from tests.sim.checkers import Checkers
from tests.sim.client import SimUser
from tests.sim.cluster import SimCluster
from tests.sim.disk import SimDisk
from tests.sim.job import SHAPE, SinkFiles
from tests.sim.loop import SimLoop, SimProcess
from tests.sim.machine import simulated_machine
from tests.sim.nemesis import Nemesis
from tests.sim.net import SimNet
from tests.sim.settings import Draw, draw

PATIENCE_S: Final = 900.0
"""From the last fault to the end of the job; more is a job that hangs."""


@dataclass
class Outcome:
    """``problem`` is empty when everything held."""

    seed: int
    problem: str = ""
    simulated_s: float = 0.0
    callbacks: int = 0
    records: int = 0
    lost: int = 0
    doubled: int = 0
    checkpoints: int = 0
    manifests: int = 0
    """Complete checkpoints whose acknowledgements and files were compared."""
    restarts: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    trace: int = 0


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, **changes: Any) -> None:
        """``changes``: of what the seed draws, by field."""
        self.chance = random.Random(seed)
        self.draw: Draw = replace(draw(self.chance), **changes)
        self.outcome = Outcome(seed)
        self.loop = SimLoop(random.Random(self.chance.random()))
        self.net = SimNet(self.loop, random.Random(self.chance.random()), self.draw.latency_s, self.draw.hiccups)
        self.disk = SimDisk(self.loop, random.Random(self.chance.random()), self.draw.disk_latency_s)
        self.cluster = SimCluster(
            self.loop,
            self.net,
            self.chance,
            self.draw.cluster,
            self.draw.jobmanagers,
            self.draw.taskmanagers,
            self.draw.slots,
        )
        heartbeat_timeout_s = float(self.draw.cluster["heartbeat.timeout"].split()[0])
        self.nemesis = Nemesis(
            self.cluster,
            self.disk,
            random.Random(self.chance.random()),
            self.draw.fault_gap_s,
            self.draw.faults_until_s,
            heartbeat_timeout_s,
        )
        self.client_process = SimProcess("client", "client", self.loop)

    def run(self) -> Outcome:
        sockets.BUFFER_BYTES[0] = self.draw.pipe_bytes
        slots.STEP_S[0] = self.draw.step_s
        slots.SLOW_UNTIL_S[0] = self.draw.faults_until_s
        SHAPE[:] = [self.draw.shape]
        outcome = self.outcome
        with simulated_machine(self.loop, self.net, self.disk, random.Random(self.chance.random())):
            try:
                checkers = Checkers(self.net, self.disk)
                self.cluster.start()
                self.nemesis.start()
                self.client_process.run(self._use())
                self.loop.run(self.draw.faults_until_s + PATIENCE_S)
                if not self.loop._stopping:
                    raise AssertionError(f"the job has not ended after {self.loop.now_s:.0f} s")
                self._check_output()
            except Exception as error:
                outcome.problem = outcome.problem or f"{type(error).__name__}: {error}"
                if not isinstance(error, AssertionError):
                    import traceback

                    outcome.problem += "\n" + "".join(traceback.format_exception(error)[-3:])
            finally:
                outcome.simulated_s, outcome.callbacks = self.loop.now_s, self.loop.callbacks
                outcome.trace = self.loop.trace
                outcome.faults.update(self.nemesis.faults)
                outcome.manifests = checkers.manifests
                self.loop.kill_all()
                worker.abandon()
                self.loop.abandon()
        return outcome

    async def _use(self) -> None:
        user = SimUser(self.cluster, self.disk, self.draw, random.Random(self.chance.random()))
        try:
            await user.run()
            self.nemesis.stop()
            await user.wait_for_free_slots(self.draw.taskmanagers * self.draw.slots)
        finally:
            self.outcome.checkpoints, self.outcome.restarts = user.checkpoints, user.restarts
            self.outcome.faults["resumed"] = user.resumed
        self.loop.stop()

    def _check_output(self) -> None:
        """Every row that must be there, once, and no other."""
        seen = Counter(row for rows in SinkFiles().committed().values() for row in rows)
        expected = self.draw.shape.expected()
        outcome = self.outcome
        outcome.records = expected.total()
        outcome.lost = (expected - seen).total()
        outcome.doubled = (seen - expected).total()
        if outcome.lost or outcome.doubled:
            lost, doubled = sorted(expected - seen)[:3], sorted(seen - expected)[:3]
            outcome.problem = (
                f"{outcome.lost} lost, such as {lost}; {outcome.doubled} doubled or wrong, such as {doubled}"
            )
