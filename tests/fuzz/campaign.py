"""A real cluster under attack at every port, with a job that goes on beside it and must not notice."""

from __future__ import annotations

import random
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from millstream.client.job_client import JobClient
from millstream.core.api.job import JobStatus
from millstream.core.clock import SystemClock
from millstream.core.config import options
from millstream.core.errors import MillstreamError
from millstream.core.rpc.secret import ClusterSecret
from millstream.testing import MiniCluster, compare_outputs
from tests.chaos.job import Load
from tests.fuzz.attacks import SEGMENT_BYTES, Attacker, DataAttacker, HttpAttacker, RpcAttacker
from tests.fuzz.endpoints import Endpoint, Process, endpoints_of, processes_of
from tests.fuzz.engine import Engine, Sent
from tests.fuzz.mutation import Canary, Mutator

SHARES: Final = {"rpc": 5, "data": 3, "data by Unix socket": 2, "metrics": 1}
"""Of the frames, by kind of endpoint."""
ROUNDS: Final = 4
"""Every endpoint has its turn so many times."""
SETTINGS: Final[dict[str, Any]] = {
    "taskmanager.memory.segment-size": f"{SEGMENT_BYTES} b",
    "metrics.jobmanager.port": 0,
    "metrics.taskmanager.port": 0,
    "execution.checkpointing.interval": "500 ms",
    "heartbeat.interval": "1 s",
    "heartbeat.timeout": "60 s",
}
PARALLELISM: Final = 2
RECORDS_PER_KEY: Final = (4_000, 20_000)
"""At least and at most: the job must outlast the attacks, of which it has a sixteenth a key."""
FRAMES_A_RECORD: Final = 16
GROWTH_MB_MAX: Final = 150.0
"""gRPC 1.83 keeps about 2 KB of each call whose caller hangs up before the answer, whoever serves it."""
LOG_MB_MAX: Final = 10.0
WAIT_S: Final = 300.0
FLOOD: Final = 400
"""Connections to each port that say nothing, at a time."""
HUNG_UP: Final = re.compile(
    r"Traceback \(most recent call last\):\n(?:  .*\n)*grpc\._cython\.cygrpc\.ExecuteBatchError.*\n"
)
"""gRPC prints this when a caller hangs up before it hears that it was refused; nobody can keep it from that."""


@dataclass
class Memory:
    """Of one process, in MB."""

    process: Process
    before_mb: float
    after_mb: float = 0.0
    peak_mb: float = 0.0

    def __str__(self) -> str:
        name = f"{self.process.role} {self.process.process.pid}"
        return f"{name}: {self.before_mb:.0f} MB before, {self.after_mb:.0f} after, at most {self.peak_mb:.0f}"


@dataclass
class Report:
    """``sent`` by endpoint."""

    seed: int
    sent: dict[str, Sent] = field(default_factory=dict)
    memory: list[Memory] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    records: int = 0
    """Of the job beside it, that were checked."""

    @property
    def frames(self) -> int:
        return sum(sent.frames for sent in self.sent.values())

    def __str__(self) -> str:
        lines = [
            f"{name}: {sent.frames} frames in {sent.connections} connections"
            for name, sent in sorted(self.sent.items())
        ]
        lines += map(str, self.memory)
        lines += [f"problem: {problem}" for problem in self.problems]
        verdict = "FAILED" if self.problems else "PASSED"
        connections = sum(sent.connections for sent in self.sent.values())
        lines.append(
            f"{verdict}: {self.frames} frames in {connections} connections to {len(self.sent)} ports, "
            f"seed {self.seed}; {self.records} records of the job beside it were right"
        )
        return "\n".join(lines)


class Campaign:
    """On a cluster of its own."""

    def __init__(self, mini: MiniCluster, directory: Path, seed: int) -> None:
        self._mini = mini
        self._directory = directory
        self._clock = SystemClock()
        self._chance = random.Random(seed)
        self._canary = directory / "canary"
        self._mutator = Mutator(self._chance, Canary(self._canary).bomb())
        secret = ClusterSecret.load(None, mini.configuration[options.SECURITY_SECRET_FILE], create=False)
        assert secret is not None
        self._secret = secret
        self.report = Report(seed)

    def run(self, frames: int) -> Report:
        """Send so many frames, over all ports."""
        least, most = RECORDS_PER_KEY
        records = min(most, max(least, frames // FRAMES_A_RECORD // 100 * 100))
        load = Load(self._directory / "job", records_per_key=records)
        load.directory.mkdir()
        job = self._mini.submit(load.environment(PARALLELISM, {}), "beside")
        self._mini.wait_for_checkpoint(job, WAIT_S)
        processes = processes_of(self._mini._cluster.process_ids)
        endpoints = endpoints_of(processes)
        self.report.memory = [Memory(process, process.rss_mb) for process in processes]
        for process in processes:
            process.forget_peak()
        total = sum(SHARES[endpoint.kind] for endpoint in endpoints)
        try:
            for endpoint in endpoints:
                self._flood(endpoint)
        except (MillstreamError, OSError) as error:
            self.report.problems.append(f"many connections keep others out: {error}")
        for turn in range(ROUNDS):
            for endpoint in endpoints:
                self._attack(endpoint, frames * SHARES[endpoint.kind] // total // ROUNDS + 1, job.job_id)
            if not self.report.problems:
                self._check_processes(turn)
        for memory in self.report.memory:
            if memory.process.is_alive:
                memory.after_mb, memory.peak_mb = memory.process.rss_mb, memory.process.peak_mb
        try:
            self._check_job(job, load)
        except MillstreamError as error:
            self.report.problems.append(f"the cluster does not answer: {error}")
        self._check()
        return self.report

    def _flood(self, endpoint: Endpoint) -> None:
        """Others are served while so many connections are open that say nothing."""
        idle: list[socket.socket] = []
        try:
            for _ in range(FLOOD):
                with suppress(BlockingIOError):
                    idle.append(endpoint.connect())
            self._mini.describe()
        finally:
            for sock in idle:
                sock.close()

    def _attack(self, endpoint: Endpoint, frames: int, job_id: str) -> None:
        if self.report.problems:
            return
        engine = Engine(endpoint, self._attacker(endpoint, job_id), self._clock)
        sent = engine.run(frames)
        known = self.report.sent.setdefault(str(endpoint), Sent())
        known.frames += sent.frames
        known.connections += sent.connections
        known.ways.update(sent.ways)
        self.report.problems += sent.problems

    def _attacker(self, endpoint: Endpoint, job_id: str) -> Attacker:
        match endpoint.kind:
            case "rpc":
                return RpcAttacker(self._chance, self._mutator, self._secret)
            case "metrics":
                return HttpAttacker(self._chance, self._mutator)
            case _:
                return DataAttacker(self._chance, self._mutator, job_id, self._secret.job_token(job_id))

    # -- what must hold -----------------------------------------------------------------------------------------------

    def _check_processes(self, turn: int) -> None:
        dead = [memory.process for memory in self.report.memory if not memory.process.is_alive]
        self.report.problems += [f"{one.role} {one.process.pid} died in turn {turn}" for one in dead]
        for server in [self._mini._cluster._servers[0], *self._mini._cluster.taskmanagers]:
            if server.exit_code() is not None:
                self.report.problems.append(server.story())

    def _check_job(self, job: JobClient, load: Load) -> None:
        """It goes on to its end, was never disturbed, and lost nothing; another one can run after it."""
        load.finish.touch()
        details = job.wait_until_ended([], WAIT_S)
        if details is None or JobStatus(details.summary.status) is not JobStatus.FINISHED:
            told = "hangs" if details is None else f"ended: {details.error.message}"
            self.report.problems.append(f"the job beside it {told}")
            return
        if details.restarts:
            messages = [error.message for error in details.exception_history]
            self.report.problems.append(f"the job beside it was disturbed: {messages}")
        for name, expected, found in zip(("counts", "windows"), load.expected(), load.committed(), strict=True):
            self.report.records += len(found)
            if difference := compare_outputs(expected, found):
                self.report.problems.append(f"{name}: {difference}")
        again = Load(self._directory / "job after", keys=2, records_per_key=200)
        again.directory.mkdir()
        again.finish.touch()
        self._mini.wait_for_slots(self._mini._cluster.slots_total, WAIT_S)
        ended = self._mini.submit(again.environment(PARALLELISM, {}), "after").wait_until_ended([], WAIT_S)
        if ended is None or JobStatus(ended.summary.status) is not JobStatus.FINISHED:
            self.report.problems.append("a job after it does not finish")

    def _check(self) -> None:
        if self._canary.exists():
            self.report.problems.append("somebody unpickled what a stranger sent")
        for memory in self.report.memory:
            if memory.peak_mb - memory.before_mb > GROWTH_MB_MAX:
                self.report.problems.append(f"memory is not bounded: {memory}")
        for log in self._mini._cluster.directory.glob("*.log"):
            text = HUNG_UP.sub("", log.read_text(errors="replace"))
            if (at := text.find("Traceback")) >= 0:
                self.report.problems.append(f"nobody expected this in {log.name}: {text[max(0, at - 500) : at + 3000]}")
            if len(text) > LOG_MB_MAX * 1e6:
                self.report.problems.append(f"{log.name} has {len(text) / 1e6:.1f} MB")


@contextmanager
def campaign(seed: int) -> Iterator[Campaign]:
    """On a cluster that ends with the block."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as temporary:
        directory = Path(temporary)
        with MiniCluster(2, 2, {**SETTINGS, "io.tmp.dirs": str(directory / "cluster")}) as mini:
            yield Campaign(mini, directory, seed)
