"""The user of a simulation: submits the job, stops, rescales and resumes it, and waits for its end.

As careful as one should be: a job that is gone, failed or cancelled is resumed from the newest of its checkpoints and
savepoints, by what lies on the disk.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from typing import Any, Final

from millstream.core.checkpoint.manifest import MANIFEST_NAME, parse_manifest
from millstream.core.clock import SystemClock
from millstream.core.errors import (
    CheckpointError,
    ExternalError,
    JobGraphError,
    MillstreamError,
    UnavailableError,
    UserError,
)
from millstream.core.ha.leader_address import LeaderAddress
from millstream.core.rpc.blobs import chunks_of
from millstream.core.rpc.leader_channel import LeaderPeer
from millstream.core.rpc.secret import ClusterSecret
from millstream.proto.v1 import common_pb2, jobmanager_pb2
from millstream.proto.v1.jobmanager_pb2_grpc import BlobStoreStub, DispatcherStub
from tests.oracle.keeping import record_of
from tests.sim.checkers import Breach
from tests.sim.cluster import SECRET, SimCluster
from tests.sim.disk import SimDisk
from tests.sim.job import SinkFiles, graph_of
from tests.sim.settings import Draw

POLL_S: Final = 0.5
SLOTS_FREE_S: Final = 200.0
"""From the end of the job and of all faults; machines come back within a minute."""
SAVEPOINTS: Final = "/savepoints"
FAILURES_TO_RESUME: Final = (
    "CheckpointError",
    "ConfigError",
    "SlotDiedError",
    "InsufficientSlotsError",
    "TaskManagerLostError",
    "ExternalError",
    "UnavailableError",
)
"""Kinds of errors after which a job may be FAILED while things go wrong outside."""
_CHECKPOINT: Final = re.compile(r"chk-(\d+)-g(\d+)")


class SimUser:
    """``run`` ends when the job has finished. ``resumed`` counts new submissions."""

    def __init__(self, cluster: SimCluster, disk: SimDisk, draw: Draw, chance: random.Random) -> None:
        self.resumed = 0
        self.checkpoints = 0
        self.restarts = 0
        self._cluster = cluster
        self._disk = disk
        self._draw = draw
        self._chance = chance
        self._numbers = itertools.count(1)
        leader = LeaderAddress.of(cluster.configuration({}))
        self._peer = LeaderPeer(leader, ClusterSecret(SECRET.encode()), SystemClock())
        self._dispatcher: DispatcherStub = self._peer.stub(DispatcherStub)
        self._blobs: BlobStoreStub = self._peer.stub(BlobStoreStub)
        self._job_id = ""
        self._wishes = list(draw.user)
        self._next_wish_s = 0.0

    async def run(self) -> None:
        await self._submit("")
        while not await self._look():
            await self._wait(POLL_S)

    async def wait_for_free_slots(self, count: int) -> None:
        """A job that has ended leaves none behind, however often it was started again."""
        until_s = self._now_s() + SLOTS_FREE_S
        while self._now_s() < until_s:
            cluster = await self._ask(self._dispatcher.DescribeCluster, common_pb2.Empty())
            if cluster is not None and cluster.slots_free == cluster.slots_total == count:
                return
            await self._wait(POLL_S)
        raise Breach(f"of {count} slots some are not free {SLOTS_FREE_S:g} s after the job: {cluster}")

    async def _look(self) -> bool:
        """One round; True when the job has finished."""
        try:
            details = await self._ask(self._dispatcher.DescribeJob, jobmanager_pb2.DescribeJobRequest(job=self._job_id))
        except UserError:  # the JobManager is another one, and has never heard of it
            rows = sum(map(len, SinkFiles().committed().values()))
            if rows >= self._draw.shape.expected().total():
                return True  # it had finished, and nobody was told
            await self._resume()
            return False
        if details is None:
            return False
        status = details.summary.status
        if status in (common_pb2.JOB_STATUS_FINISHED, common_pb2.JOB_STATUS_CANCELED, common_pb2.JOB_STATUS_FAILED):
            self.checkpoints += details.checkpoints.completed
            self.restarts += details.restarts
            if status == common_pb2.JOB_STATUS_FINISHED and not details.savepoint:
                return True
            if status == common_pb2.JOB_STATUS_FAILED and details.error.kind not in FAILURES_TO_RESUME:
                raise Breach(f"the job failed: {details.error.kind}: {details.error.message}")
            await self._resume()
        elif status == common_pb2.JOB_STATUS_RUNNING and self._wishes and self._now_s() >= self._next_wish_s:
            self._next_wish_s = self._now_s() + self._chance.expovariate(1 / self._draw.user_gap_s)
            await self._wish(self._wishes.pop())
        return False

    async def _wish(self, wish: str) -> None:
        """Whether it was heard shows in what becomes of the job."""
        try:
            if wish == "rescale":
                parallelism = self._chance.randint(1, self._draw.slots * (self._draw.taskmanagers - 1))
                by_vertex = {"sums": parallelism}
                request = jobmanager_pb2.RescaleJobRequest(job=self._job_id, by_vertex=by_vertex)
                await self._ask(self._dispatcher.RescaleJob, request, self._draw.user_patience_s)
            elif wish == "cancel":
                cancel = jobmanager_pb2.CancelJobRequest(job=self._job_id)
                await self._ask(self._dispatcher.CancelJob, cancel, self._draw.user_patience_s)
            else:
                stop = jobmanager_pb2.TakeSavepointRequest(job=self._job_id, directory=SAVEPOINTS, stop=wish == "stop")
                await self._ask(self._dispatcher.TakeSavepoint, stop, self._draw.user_patience_s)
        except MillstreamError:
            self._wishes.append(wish)  # the job does not run just now, or the savepoint was given up

    # -- submissions -------------------------------------------------------------------------------------------------

    async def _resume(self) -> None:
        self.resumed += 1
        await self._wait(self._chance.choice((0.0, 1.0)))
        await self._submit(self._newest())

    def _newest(self) -> str:
        """Of the checkpoints that count and the savepoints of the job, the newest; or where it began."""
        found: list[tuple[int, str]] = []
        for number, epoch in (self._disk.find(f"/checkpoints/{self._job_id}/epochs") or {}).items():
            generation = record_of(epoch)["generation"]
            place = f"/checkpoints/{self._job_id}/chk-{number}-g{generation}"
            if not any(name.startswith("RETIRED") for name in self._disk.find(place) or {}):
                found.append((int(number), place))
        for name, folder in (self._disk.find(SAVEPOINTS) or {}).items():
            if MANIFEST_NAME in folder:
                manifest = parse_manifest(folder[MANIFEST_NAME], name)
                if manifest.job_id == self._job_id:
                    found.append((manifest.checkpoint_id, f"{SAVEPOINTS}/{name}"))
        whole = [place for _, place in sorted(found) if MANIFEST_NAME in (self._disk.find(place) or {})]
        return whole[-1] if whole else self._began_with

    async def _submit(self, restore_path: str) -> None:
        """A new job, from the beginning or from a checkpoint."""
        self._began_with = restore_path
        graph, blobs = graph_of(self._draw.shape)
        self._job_id = graph.job_id = f"{next(self._numbers):032x}"
        graph.restore_path = restore_path
        for key, value in self._draw.job.items():
            graph.configuration[key] = json.dumps(value)
        submitted = None
        while submitted is None:
            await self._wait(POLL_S)
            try:
                for key, data in blobs.items():
                    await self._ask(self._blobs.PutBlob, list(chunks_of(data, key)))
                submitted = await self._ask(self._dispatcher.SubmitJob, jobmanager_pb2.SubmitJobRequest(graph=graph))
            except MillstreamError as error:
                if type(error) not in (JobGraphError, CheckpointError, ExternalError):
                    raise
                # A blob did not arrive, for the JobManager was started anew in between; or the disk does not answer.

    # -- small things ------------------------------------------------------------------------------------------------

    async def _ask(self, method: Any, request: Any, deadline_s: float = 10.0) -> Any:
        """The answer; None when there is none. Raises what the JobManager refuses."""
        try:
            return await self._peer.call(method, request, deadline_s=deadline_s)
        except UnavailableError:
            return None

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        loop.call_later(seconds, done.set_result, None)
        await done
