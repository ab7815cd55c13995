"""One round: a job, faults while it runs, and the comparison of what it committed with what it must be."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from millstream.client.job_client import JobClient
from millstream.core.api.job import JobStatus
from millstream.core.clock import SystemClock
from millstream.core.errors import MillstreamError
from millstream.testing import compare_outputs
from tests.chaos.cluster import ChaosCluster
from tests.chaos.job import Load, steps_missed
from tests.chaos.rescaling import rescale_by_savepoint, rescale_live
from tests.chaos.variants import FROZEN_S, Fault, Variant, faults_for

PARALLELISM: Final = 3
PARALLELISMS: Final = (1, 2, 3, 4)
WAIT_S: Final = 60.0
FAULTS_A_ROUND: Final = 5


@dataclass
class Outcome:
    """``problem``: why the round failed, if it did."""

    variant: str
    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    records: int = 0
    lost: int = 0
    doubled: int = 0
    problem: str = ""
    command: str = ""

    def __str__(self) -> str:
        done = ", ".join(f"{fault} {count}" for fault, count in sorted(self.faults.items())) or "none"
        told = f"{self.variant}, seed {self.seed}: {self.records} records, lost {self.lost}, doubled {self.doubled}"
        told = f"{told}; faults: {done}"
        return f"{told}\n{self.problem}\nAgain: {self.command}" if self.problem else told


class Round:
    """Of one variant with one seed, on a cluster that may have served others before."""

    def __init__(
        self, cluster: ChaosCluster, variant: Variant, seed: int, faults: Sequence[Fault] | None = None
    ) -> None:
        """``faults``: these, else those that follow from the seed."""
        self._cluster = cluster
        self._variant = variant
        self._chance = random.Random(f"{seed} {variant.name} victims")
        self._faults = faults_for(variant, seed, FAULTS_A_ROUND) if faults is None else faults
        self._clock = SystemClock()
        self._parallelism = PARALLELISM
        self._outcome = Outcome(variant.name, seed)
        how = "--rounds 1" if faults is None else f"--faults {','.join(map(str, faults))}"
        self._outcome.command = f"python -m tests.chaos --seed {seed} --variant {variant.name} {how}"

    def run(self) -> Outcome:
        """Never raises for what the product does."""
        directory = Path(tempfile.mkdtemp(prefix="chaos-round-"))
        outcome = self._outcome
        self._load = Load(directory, pressure=self._variant.pressure, regions=self._variant.regions)
        try:
            self._job = self.submit(PARALLELISM, {})
            for fault in self._faults:
                self._strike(fault)
            self._load.finish.touch()
            self._wait_for_end()
            self._compare()
        except (MillstreamError, AssertionError, OSError, ValueError) as error:
            outcome.problem = f"{type(error).__name__}: {error}{self._story()}"
        finally:
            self._end()
        if crashes := self._cluster.crashes():
            outcome.problem += f"\nthe JobManager did not expect this: {crashes}"
        if not outcome.problem:
            shutil.rmtree(directory)
        else:
            outcome.problem += f"\nthe output is in {directory}"
        return outcome

    def submit(self, parallelism: int, settings: dict[str, Any]) -> JobClient:
        """Start the job, from a savepoint if ``settings`` say so."""
        environment = self._load.environment(parallelism, {**self._variant.settings, **settings})
        return self._cluster.mini.submit(environment, f"chaos-{self._variant.name}")

    # -- faults -------------------------------------------------------------------------------------------------------

    def _strike(self, fault: Fault) -> None:
        if fault.settled:
            self._cluster.mini.wait_for_checkpoint(self._job, WAIT_S)
        self._pass(fault.pause_s)
        self._check_job()
        match fault.kind:
            case "slot":
                self._kill_slot()
            case "taskmanager":
                self._cluster.replace(self._some_taskmanager())
            case "freeze":
                number = self._some_taskmanager()
                self._cluster.mini.freeze_taskmanager(number)
                self._pass(FROZEN_S)
                self._cluster.mini.thaw(number)
            case "freeze-slot":
                self._freeze_slot()
            case "failpoint":
                self._hit(fault.name)
            case "rescale":
                self._job = rescale_by_savepoint(self._job, self._other(), self._load.directory, self.submit)
            case "rescale-live":
                rescale_live(self._job, self._other())
        self._outcome.faults[str(fault)] += 1

    def _other(self) -> int:
        self._parallelism = self._chance.choice([n for n in PARALLELISMS if n != self._parallelism])
        return self._parallelism

    def _hit(self, name: str) -> None:
        """Arm a failpoint, and make the job come by."""
        self._cluster.arm(name)
        if name == "discard.all":  # at the job's end
            return
        if name.startswith("restore."):
            self._cluster.mini.wait_for_checkpoint(self._job, WAIT_S)
            self._kill_slot()
        self._cluster.mini.wait_until(lambda: self._cluster.has_acted(name), f"the failpoint {name}", WAIT_S)

    def _kill_slot(self) -> None:
        def killed() -> bool:
            slots = self._load.process_ids()
            return bool(slots) and self._cluster.kill_slot(self._chance.choice(slots))

        self._cluster.mini.wait_until(killed, "a slot to kill", WAIT_S)

    def _freeze_slot(self) -> None:
        """One slot alone: its TaskManager must notice, without its help."""

        def frozen() -> list[int]:
            slots = self._load.process_ids()
            return [slot for slot in self._chance.sample(slots, len(slots)) if self._cluster.freeze_slot(slot)][:1]

        slot = self._cluster.mini.wait_until(frozen, "a slot to freeze", WAIT_S)[0]
        self._cluster.mini.wait_until(lambda: self._cluster.home_of(slot) is None, "the frozen slot to go", WAIT_S)

    def _some_taskmanager(self) -> int:
        """One that works for the job."""

        def found() -> list[int]:
            slots = self._load.process_ids()
            home = self._cluster.home_of(self._chance.choice(slots)) if slots else None
            return [] if home is None else [home]

        return self._cluster.mini.wait_until(found, "a TaskManager of the job", WAIT_S)[0]

    def _pass(self, seconds: float) -> None:
        until_s = self._clock.monotonic_s() + seconds
        self._cluster.mini.wait_until(lambda: self._clock.monotonic_s() >= until_s, "time to pass")

    # -- the end ------------------------------------------------------------------------------------------------------

    def _check_job(self) -> None:
        details = self._job.describe()
        if details.summary.ended_ms:
            raise AssertionError(f"the job ended before its time: {details.error.message or details.summary.status}")

    def _wait_for_end(self) -> None:
        details = self._job.wait_until_ended([], WAIT_S)
        if details is None:
            raise AssertionError("the job hangs")
        if JobStatus(details.summary.status) is not JobStatus.FINISHED:
            raise AssertionError(f"the job ended as {JobStatus(details.summary.status).name}")
        for name in (fault.name for fault in self._faults if fault.name == "discard.all"):
            self._cluster.mini.wait_until(lambda n=name: self._cluster.has_acted(n), f"the failpoint {name}", WAIT_S)  # type: ignore[misc]

    def _compare(self) -> None:
        problems = []
        for name, expected, found in zip(
            ("counts", "windows"), self._load.expected(), self._load.committed(), strict=True
        ):
            difference = compare_outputs(expected, found)
            self._outcome.records += len(found)
            self._outcome.lost += len(difference.lost)
            self._outcome.doubled += len(difference.duplicated) + len(difference.unexpected)
            if difference:
                problems.append(f"{name}: {difference}")
            if name == "counts" and (missed := steps_missed(found)):
                problems.append(f"{name} do not step by one at {missed[:3]}")
        if problems:
            raise AssertionError("\n".join(problems))

    def _end(self) -> None:
        """Leave nothing behind for the next round."""
        self._load.finish.touch()
        self._cluster.disarm()
        for number in self._cluster.taskmanagers:
            self._cluster.mini.thaw(number)
        job = getattr(self, "_job", None)
        if job is not None and not job.has_ended:
            try:
                if not job.describe().summary.ended_ms:
                    job.cancel()
                    job.wait_until_ended([], WAIT_S)
            except MillstreamError as error:
                self._outcome.problem += f"\ncannot cancel: {error}"

    def _story(self) -> str:
        """What the JobManager tells of the job."""
        try:
            details = self._job.describe()
        except (AttributeError, MillstreamError):
            return ""
        changes = " ".join(JobStatus(change.status).name for change in details.history[-8:])
        errors = "".join(f"\n  {error.message}" for error in list(details.exception_history)[-5:])
        done = details.checkpoints
        return (
            f"\nthe job: {changes}; {details.restarts} restarts; checkpoints: {done.completed} completed, "
            f"{done.failed} failed; {details.error.message}; errors so far:{errors}"
        )
