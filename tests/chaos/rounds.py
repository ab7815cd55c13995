"""One round: a job, faults while it runs, and the comparison of what it committed with what it must be."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from millstream.client.job_client import JobClient
from millstream.core.api.job import JobStatus
from millstream.core.clock import SystemClock
from millstream.core.errors import MillstreamError
from millstream.proto.v1.jobmanager_pb2 import JobDetails
from millstream.testing import compare_outputs
from tests.chaos.cluster import ChaosCluster
from tests.chaos.faults import Fault, faults_for
from tests.chaos.job import Load, rows_out_of_order, steps_missed
from tests.chaos.nemesis import WAIT_S, Nemesis
from tests.chaos.progress import Progress, Recovery, Tally, describe
from tests.chaos.variants import PARALLELISM, Variant, job_parallelism, job_settings
from tests.oracle.check import check_checkpoints
from tests.oracle.keeping import Keeper, kept_checkpoints
from tests.protocol.check import check, mark

FAULTS_A_ROUND: Final = 10
VERIFIED_A_ROUND: Final = 20
PROBLEMS_MAX: Final = 10
FoundT = TypeVar("FoundT")


@dataclass
class Outcome:
    """``problem``: why the round failed, if it did."""

    variant: str
    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    recoveries: list[Recovery] = field(default_factory=list)
    restarts: int = 0
    checkpoints: int = 0
    verified: int = 0
    """Checkpoints that held exactly the fold of their input."""
    records: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    problem: str = ""
    command: str = ""

    def __str__(self) -> str:
        done = ", ".join(f"{fault} {count}" for fault, count in sorted(self.faults.items())) or "none"
        told = f"{self.variant}, seed {self.seed}: {self.records} records, {self.lost} lost, {self.doubled} doubled"
        told += f", {self.reordered} reordered; {self.checkpoints} checkpoints, {self.verified} looked into"
        told += f"; faults: {done}"
        return f"{told}\n{self.problem}\nAgain: {self.command}" if self.problem else told


class Round:
    """Of one variant with one seed, on a cluster that may have served others before."""

    def __init__(
        self,
        cluster: ChaosCluster,
        variant: Variant,
        seed: int,
        faults: Sequence[Fault] | None = None,
        *,
        plain: bool = False,
    ) -> None:
        """``faults``: these, else those that follow from the seed. ``plain``: settings do not."""
        self._cluster = cluster
        self.variant = variant
        self._faults = faults_for(variant, seed, FAULTS_A_ROUND, cluster.capabilities) if faults is None else faults
        self._settings = variant.settings if plain else job_settings(variant, seed)
        self.parallelism = PARALLELISM if plain else job_parallelism(variant, seed)
        self._nemesis = Nemesis(cluster, self, random.Random(f"{seed} {variant.name} victims"))
        self._kept = cluster.checkpoints.with_name(f"kept-{seed}")
        self._clock = SystemClock()
        self._tally = Tally()
        self._settled = False
        self._alone = True
        self._outcome = Outcome(variant.name, seed)
        how = "--rounds 1" if faults is None else f"--faults {','.join(map(str, faults))}"
        how += f" --cluster-seed {cluster.seed} --jobmanagers {len(cluster.jobmanagers)}{' --plain' if plain else ''}"
        self._outcome.command = f"python -m tests.chaos --seed {seed} --variant {variant.name} {how}"

    def run(self) -> Outcome:
        """Never raises for what the product does."""
        directory = Path(tempfile.mkdtemp(prefix="chaos-round-"))
        outcome = self._outcome
        self.load = Load(directory, pressure=self.variant.pressure, regions=self.variant.regions, sql=self.variant.sql)
        try:
            with kept_checkpoints(self._cluster.checkpoints, self._kept) as keeper:
                self._live()
            self._compare()
            self._verify(keeper)
        except (MillstreamError, AssertionError, OSError, ValueError) as error:
            outcome.problem = f"{type(error).__name__}: {error}{self._story()}"
        finally:
            self._end()
        if crashes := self._cluster.crashes():
            outcome.problem += f"\nthe JobManager did not expect this: {crashes}"
        if not outcome.problem:
            shutil.rmtree(directory)
        else:
            if self._kept.exists():
                shutil.copytree(self._kept, directory / "checkpoints")
            outcome.problem += f"\nthe output is in {directory}, with checkpoints{self._cluster.keep_logs(directory)}"
        shutil.rmtree(self._kept, ignore_errors=True)
        return outcome

    def _live(self) -> None:
        """The job, from its start to its end."""
        self.job = self.submit(self.parallelism, {})
        for fault in self._faults:
            self._suffer(fault)
        self._nemesis.heal()
        mark(self._cluster.protocol_log, "test.healed", within_s=WAIT_S)
        self._wait_until_it_goes_on(Progress(self.load, "heal"), "all faults")
        self._outcome.restarts, self._outcome.checkpoints = self._tally.restarts, self._tally.checkpoints
        armed = self._nemesis.await_end()
        self.load.finish.touch()
        self._wait_for_end()
        for name in armed:
            self._wait_until(partial(self._cluster.failpoints.has_acted, name), f"the failpoint {name}")
        self._cluster.refill()

    def submit(self, parallelism: int, settings: dict[str, Any]) -> JobClient:
        """Start the job, from a savepoint if ``settings`` say so."""
        environment = self.load.environment(parallelism, {**self._settings, **settings})
        return self._cluster.mini.submit(environment, f"chaos-{self.variant.name}")

    # -- faults -------------------------------------------------------------------------------------------------------

    def _suffer(self, fault: Fault) -> None:
        """A fault; and the job goes on after it, unless the next one is not to wait for that."""
        if fault.settled and not self._settled:
            self._wait_until_it_goes_on(Progress(self.load, "settle"), "its start or the last faults")
        self._pass(fault.pause_s)
        self._cluster.refill()
        self._check_job()
        progress = Progress(self.load, fault.kind)
        before, self._settled = self.job, False
        self._nemesis.strike(fault)
        self._outcome.faults[str(fault).removesuffix("+")] += 1
        if self.job is not before:  # the old one does not tell any more
            progress = Progress(self.load, fault.kind)
        if not fault.overlaps:
            recovery = self._wait_until_it_goes_on(progress, str(fault))
            if self._alone:
                self._outcome.recoveries.append(recovery)
        self._alone = not fault.overlaps

    def _wait_until_it_goes_on(self, progress: Progress, after: str) -> Recovery:
        def seen() -> Recovery | None:
            details = describe(self.job)
            if details is None:
                return None
            self._check(details)
            return progress.seen(details)

        recovery = self._wait_until(seen, f"new checkpoints and output after {after}")
        assert recovery is not None
        self._settled = True
        return recovery

    def _pass(self, seconds: float) -> None:
        until_s = self._clock.monotonic_s() + seconds
        self._wait_until(lambda: self._clock.monotonic_s() >= until_s, "time to pass")

    def _wait_until(self, found: Callable[[], FoundT], what: str) -> FoundT:
        return self._cluster.mini.wait_until(found, what, WAIT_S)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _describe(self) -> JobDetails:
        details = self._wait_until(lambda: describe(self.job), "an answer of the JobManager")
        assert details is not None
        return details

    def _check_job(self) -> None:
        self._check(self._describe())

    def _check(self, details: JobDetails) -> None:
        self._tally.see(self.job.job_id, details)
        if details.summary.ended_ms:
            raise AssertionError(f"the job ended before its time: {details.error.message or details.summary.status}")

    def _wait_for_end(self) -> None:
        details = self.job.wait_until_ended([], WAIT_S)
        if details is None:
            raise AssertionError("the job hangs")
        if JobStatus(details.summary.status) is not JobStatus.FINISHED:
            raise AssertionError(f"the job ended as {JobStatus(details.summary.status).name}")

    def _compare(self) -> None:
        problems = []
        for name, expected, found in zip(
            ("counts", "windows"), self.load.expected(), self.load.committed(), strict=True
        ):
            difference = compare_outputs(expected, found)
            self._outcome.records += len(found)
            self._outcome.lost += len(difference.lost)
            self._outcome.doubled += len(difference.duplicated) + len(difference.unexpected)
            if difference:
                problems.append(f"{name}: {difference}")
            if name == "counts" and (missed := steps_missed(found)):
                problems.append(f"{name} do not step by one at {missed[:3]}")
        if reordered := rows_out_of_order(self.load.directory / "counts"):
            self._outcome.reordered += len(reordered)
            problems.append(f"counts are out of order at {reordered[:3]}")
        if problems:
            raise AssertionError("\n".join(problems))

    def _verify(self, keeper: Keeper) -> None:
        """What the job's checkpoints held, and in which order things happened."""
        problems = [*keeper.problems, *check(self._cluster.protocol_log)]
        checked = check_checkpoints([self._kept, self.load.directory / "savepoints"], self.load, VERIFIED_A_ROUND)
        self._outcome.verified = checked.checkpoints
        problems += checked.problems
        if problems:
            raise AssertionError("\n".join(problems[:PROBLEMS_MAX]))

    def _end(self) -> None:
        """Leave nothing behind for the next round."""
        self.load.finish.touch()
        self._nemesis.heal()
        job = getattr(self, "job", None)
        if job is not None and not job.has_ended:
            try:
                if not job.describe().summary.ended_ms:
                    job.cancel()
                    job.wait_until_ended([], WAIT_S)
            except MillstreamError as error:
                self._outcome.problem += f"\ncannot cancel: {error}"

    def _story(self) -> str:
        """What the JobManager tells of the job."""
        details = describe(self.job) if hasattr(self, "job") else None
        if details is None:
            return ""
        changes = " ".join(JobStatus(change.status).name for change in details.history[-8:])
        errors = "".join(f"\n  {error.message}" for error in list(details.exception_history)[-5:])
        done = details.checkpoints
        return (
            f"\nthe job: {changes}; {details.restarts} restarts; checkpoints: {done.completed} completed, "
            f"{done.failed} failed; {details.error.message}; errors so far:{errors}"
        )
