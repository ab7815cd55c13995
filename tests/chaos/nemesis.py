"""Does what faults say, to the processes, links and disk of one job."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, TypeVar

from millstream.client.job_client import JobClient
from millstream.testing.processes import Freeze
from tests.chaos.cluster import ChaosCluster
from tests.chaos.failpoints import Passing, passing
from tests.chaos.faults import KINDS, Fault
from tests.chaos.job import Load
from tests.chaos.links import Cut, Role, Way
from tests.chaos.progress import describe
from tests.chaos.rescaling import rescale_by_savepoint, rescale_live
from tests.chaos.variants import PARALLELISMS, Variant

WAIT_S: Final = 60.0
ATTEMPTS: Final = 3
SERVERS: Final = frozenset({Role.JOBMANAGER, Role.TASKMANAGER})
LINKS_OF: Final = {
    "data": frozenset({Role.TASKMANAGER}),
    "rpc": frozenset({Role.JOBMANAGER}),
    "leader": frozenset({Role.TASKMANAGER}),
    "": SERVERS,
}
WAYS: Final = {"blackhole": Way.BOTH, "deaf": Way.IN, "mute": Way.OUT}
FoundT = TypeVar("FoundT")


class Stage(Protocol):
    """The job at which a nemesis strikes; it may become another one."""

    load: Load
    job: JobClient
    variant: Variant
    parallelism: int

    def submit(self, parallelism: int, settings: dict[str, object]) -> JobClient:
        """Start the job, from a savepoint if ``settings`` say so."""


class Nemesis:
    """``strike`` returns when the fault has happened. One that lasts ends by itself, or with ``heal``."""

    def __init__(self, cluster: ChaosCluster, stage: Stage, chance: random.Random) -> None:
        """``chance`` chooses the victims."""
        self._cluster = cluster
        self._stage = stage
        self._chance = chance
        self._lasting: list[_Lasting] = []
        self._at_the_end: list[str] = []

    def strike(self, fault: Fault) -> None:
        """``AssertionError`` if it cannot be done within a minute."""
        kind, _, links = fault.kind.partition("-")
        match kind:
            case "slot":
                self._kill_slot()
            case "taskmanager":
                self._cluster.replace([self._some_taskmanager()])
            case "taskmanagers":
                self._cluster.replace(list(self._cluster.taskmanagers))
            case "leader":
                self._cluster.replace_jobmanagers([self._cluster.mini.leader()])
            case "standby":
                self._cluster.replace_jobmanagers([self._cluster.standby()])
            case "jobmanagers":
                self._cluster.replace_jobmanagers(list(self._cluster.jobmanagers))
            case "freeze" if links.startswith("leader"):
                self._last(fault, Freeze([self._leader()]).thaw)
            case "freeze" if links == "slot":
                self._freeze_slot()
            case "freeze":
                self._last(fault, self._cluster.freeze(self._some_taskmanager()).thaw)
            case "reset":
                victim = self._leader() if links == "leader" else self._some_process()
                self._cluster.links.reset(victim, LINKS_OF[links])
            case "blackhole" | "deaf" | "mute":
                victim = self._leader() if links == "leader" else self._some_process()
                cut = Cut(victim, LINKS_OF[links], WAYS[kind])
                self._cluster.links.cut(cut)
                self._last(fault, lambda: self._cluster.links.heal(cut))
            case "disk" | "read":
                self._disturb_disk(fault)
            case "upload":
                self._cluster.failpoints.let_uploads_fail(True)
                self._last(fault, lambda: self._cluster.failpoints.let_uploads_fail(False))
            case "failpoint":
                self._hit(fault.name)
            case "rescale":
                self._rescale(live=links == "live")

    def heal(self) -> None:
        """Nothing lasts any longer, and no failpoint acts any more."""
        for lasting in self._lasting:
            lasting.end()
        self._lasting.clear()
        self._cluster.failpoints.disarm()

    def await_end(self) -> list[str]:
        """Arm the failpoints that processes come by when the job ends. Not before: a job that goes on as another one
        ends, too, and the JobManagers that die then are those that are to survive other failpoints."""
        names, self._at_the_end = self._at_the_end, []
        for name in names:
            self._cluster.failpoints.arm(name)
        return names

    # -- kinds --------------------------------------------------------------------------------------------------------

    def _hit(self, name: str) -> None:
        """Arm a failpoint, and make somebody come by; again if that did not help."""
        failpoints, how = self._cluster.failpoints, passing(name)
        if how is Passing.END:
            self._at_the_end.append(name)
            return
        failpoints.arm(name)
        attempts_s = [WAIT_S] if how is Passing.NOTHING else [WAIT_S / ATTEMPTS] * ATTEMPTS
        for attempt_s in attempts_s:
            self._make_pass(how)
            with suppress(AssertionError):
                self._wait_until(lambda: failpoints.has_acted(name), f"the failpoint {name}", attempt_s)
                break
        else:
            raise AssertionError(f"nobody came by at the failpoint {name}")
        self._cluster.refill()

    def _make_pass(self, how: Passing) -> None:
        stage, cluster = self._stage, self._cluster
        match how:
            case Passing.RESTORE:
                self._wait_for_checkpoint()
                self._kill_slot()
            case Passing.CANCELLATION if stage.parallelism == 1:
                stage.parallelism += 1
                rescale_live(stage.job, stage.parallelism)
            case Passing.DEPLOYMENT | Passing.CANCELLATION:
                self._kill_slot()
            case Passing.TAKEOVER:
                cluster.replace_jobmanagers([cluster.mini.leader()])
            case Passing.SEALED_TAKEOVER:
                cluster.failpoints.arm("manifest.written")
            case Passing.SUBMISSION:
                stage.job = rescale_by_savepoint(stage.job, stage.parallelism, stage.load.directory, stage.submit)

    def _kill_slot(self) -> None:
        def killed() -> bool:
            slots = self._stage.load.process_ids()
            return bool(slots) and self._cluster.kill_slot(self._chance.choice(slots))

        self._wait_until(killed, "a slot to kill")

    def _freeze_slot(self) -> None:
        """One slot alone: its TaskManager must notice, without its help."""

        def frozen() -> list[int]:
            slots = self._stage.load.process_ids()
            return [slot for slot in self._chance.sample(slots, len(slots)) if self._cluster.freeze_slot(slot)][:1]

        slot = self._wait_until(frozen, "a slot to freeze")[0]
        # Again and again: a fault that overlaps may thaw its whole TaskManager.
        self._wait_until(lambda: not self._cluster.freeze_slot(slot), "the frozen slot to go")

    def _disturb_disk(self, fault: Fault) -> None:
        disk = self._cluster.disk
        assert disk is not None, "the schedule has no such fault without the disk"
        self._last(fault, disk.recover)
        if fault.kind == "disk-full":
            disk.fill()
        else:
            disk.forbid()

    def _rescale(self, *, live: bool) -> None:
        stage = self._stage
        stage.parallelism = self._chance.choice([n for n in PARALLELISMS if n != stage.parallelism])
        if live:
            rescale_live(stage.job, stage.parallelism)
        else:
            stage.job = rescale_by_savepoint(stage.job, stage.parallelism, stage.load.directory, stage.submit)

    # -- victims ------------------------------------------------------------------------------------------------------

    def _some_taskmanager(self) -> int:
        """One that works for the job."""

        def found() -> list[int]:
            slots = self._stage.load.process_ids()
            home = self._cluster.home_of(self._chance.choice(slots)) if slots else None
            return [] if home is None else [home]

        return self._wait_until(found, "a TaskManager of the job")[0]

    def _leader(self) -> int:
        return self._cluster.process_of_jobmanager(self._cluster.mini.leader())

    def _some_process(self) -> int:
        return self._cluster.process_of(self._some_taskmanager())

    # -- time ---------------------------------------------------------------------------------------------------------

    def _last(self, fault: Fault, end: Callable[[], object]) -> None:
        self._lasting.append(_Lasting(KINDS[fault.kind].held_s, end))

    def _wait_for_checkpoint(self) -> None:
        """A new one is complete."""
        newest = _newest_checkpoint(self._stage.job)
        self._wait_until(lambda: _newest_checkpoint(self._stage.job) > newest, "a checkpoint")

    def _wait_until(self, found: Callable[[], FoundT], what: str, seconds: float = WAIT_S) -> FoundT:
        return self._cluster.mini.wait_until(found, what, seconds)


class _Lasting:
    """Ends after a time, on a thread of its own: whoever waits for the job may be held up by the fault itself."""

    def __init__(self, seconds: float, end: Callable[[], object]) -> None:
        self._end = end
        self._once = threading.Lock()
        self._timer = threading.Timer(seconds, self.end)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """Idempotent."""
        if self._once.acquire(blocking=False):
            self._timer.cancel()
            self._end()


def _newest_checkpoint(job: JobClient) -> int:
    details = describe(job)
    checkpoints = details.checkpoints.history if details is not None else ()
    return max((checkpoint.checkpoint_id for checkpoint in checkpoints if checkpoint.status == "COMPLETED"), default=0)
