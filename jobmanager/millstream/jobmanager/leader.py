"""What a JobManager has only while it leads: jobs, TaskManagers, and the services for both."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import random
import secrets
from dataclasses import dataclass
from typing import Any

from millstream.core.checkpoint.storage import open_storage
from millstream.core.clock import Clock
from millstream.core.config import Configuration, options
from millstream.core.ha.settings import has_election, job_store_location
from millstream.core.rpc.secret import ClusterSecret
from millstream.jobmanager.blob_store import BlobService, BlobStore
from millstream.jobmanager.ha.job_store import JobStore, NoStore
from millstream.jobmanager.ha.leadership import Leadership
from millstream.jobmanager.ha.storage_job_store import StorageJobStore
from millstream.jobmanager.jobs import Jobs
from millstream.jobmanager.scheduling.slot_pool import SlotPool
from millstream.jobmanager.services import DispatcherService, ResourceManagerService
from millstream.jobmanager.taskmanagers import TaskManagers
from millstream.proto.v1 import jobmanager_pb2_grpc

STOP_GRACE_S = 1.0


@dataclass(frozen=True)
class Leader:
    """Made by ``become_leader``, once the election is won."""

    leadership: Leadership
    jobs: Jobs
    taskmanagers: TaskManagers
    dispatcher: DispatcherService
    resources: ResourceManagerService
    blobs: BlobService

    def add_services(self, server: Any) -> None:
        """To a gRPC server, or what stands for one."""
        jobmanager_pb2_grpc.add_DispatcherServicer_to_server(self.dispatcher, server)
        jobmanager_pb2_grpc.add_ResourceManagerServicer_to_server(self.resources, server)
        jobmanager_pb2_grpc.add_BlobStoreServicer_to_server(self.blobs, server)

    async def check(self) -> None:
        """Time-outs of TaskManagers and of waiting jobs; called every now and then.

        Raises ``FencedError`` when this process does not lead: nobody has to tell it anything any more.
        """
        self.leadership.check()
        await self.taskmanagers.check()
        self.jobs.check_slots()

    async def cancel_jobs(self) -> None:
        """Cancel what runs, and give it a moment."""
        running = self.jobs.running()
        for master in running:
            master.drop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                for master in running:
                    await master.ended.wait()


async def become_leader(
    configuration: Configuration,
    leadership: Leadership,
    blobs: BlobStore,
    secret: ClusterSecret,
    clock: Clock,
    metrics_address: str,
) -> Leader:
    """Everything a leader needs, wired; with the jobs of the leader before, which go on.

    Raises ``FencedError`` when another one leads meanwhile, ``ExternalError`` when the jobs cannot be read.
    """
    store = open_job_store(configuration, leadership, blobs, clock)
    heartbeat_timeout_s = configuration[options.HEARTBEAT_TIMEOUT].total_seconds()
    taskmanagers = TaskManagers(SlotPool(), secret, clock, heartbeat_timeout_s, leadership)
    jobs = Jobs(
        taskmanagers,
        blobs,
        clock,
        secret,
        configuration[options.SLOT_REQUEST_TIMEOUT].total_seconds(),
        configuration[options.NUMBER_OF_SLOTS_MAX],
        configuration[options.JOBSTORE_MAX_CAPACITY],
        configuration[options.CHECKPOINTING_DIRECTORY],
        configuration.flatten(),
        random.Random(),
        store,
        leadership,
    )
    found = await asyncio.to_thread(store.recover)
    await jobs.recover(found, configuration[options.HA_RECONCILIATION_TIMEOUT].total_seconds())
    version = importlib.metadata.version("millstream")
    resources = ResourceManagerService(
        jobs,
        taskmanagers,
        secrets.token_hex(8),
        leadership.epoch,
        round(configuration[options.HEARTBEAT_INTERVAL].total_seconds() * 1000),
        round(heartbeat_timeout_s * 1000),
    )
    dispatcher = DispatcherService(jobs, taskmanagers, clock, version, metrics_address)
    return Leader(leadership, jobs, taskmanagers, dispatcher, resources, BlobService(blobs))


def open_job_store(configuration: Configuration, leadership: Leadership, blobs: BlobStore, clock: Clock) -> JobStore:
    """Where jobs survive the leader; nowhere without an election. Raises ``ConfigError``."""
    if not has_election(configuration):
        return NoStore()
    storage = open_storage(job_store_location(configuration), configuration.flatten())
    return StorageJobStore(storage, leadership, blobs, clock, configuration[options.JOBSTORE_MAX_CAPACITY])
