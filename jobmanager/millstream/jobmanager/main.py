"""The JobManager process: reads its settings, binds, serves until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.metadata
import logging
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import grpc.aio

from millstream.core import protocol_log
from millstream.core.clock import SystemClock
from millstream.core.config import Configuration, load, options
from millstream.core.errors import MillstreamError
from millstream.core.metrics.http import MetricsServer
from millstream.core.rpc.secret import ClusterSecret
from millstream.core.rpc.server import bind, create_server, is_loopback
from millstream.jobmanager.blob_store import BlobService, BlobStore
from millstream.jobmanager.ha.job_store import NoStore
from millstream.jobmanager.ha.leadership import SoleLeadership
from millstream.jobmanager.jobs import Jobs
from millstream.jobmanager.metrics_endpoint import JobManagerCollector
from millstream.jobmanager.scheduling.slot_pool import SlotPool
from millstream.jobmanager.services import DispatcherService, ResourceManagerService
from millstream.jobmanager.taskmanagers import TaskManagers
from millstream.proto.v1 import jobmanager_pb2_grpc

CHECK_INTERVAL_S = 0.5
STOP_GRACE_S = 1.0

log = logging.getLogger("millstream.jobmanager")


class JobManager:
    """All parts of a JobManager, wired; ``serve`` runs it."""

    def __init__(self, configuration: Configuration, address_file: Path | None = None) -> None:
        self._configuration = configuration
        self._address_file = address_file
        self._clock = SystemClock()
        self._stopping = asyncio.Event()
        given = configuration[options.BLOB_STORAGE_DIRECTORY]
        self._own_directory = None if given else Path(tempfile.mkdtemp(prefix="millstream-jobmanager-"))
        self._directory = given or self._own_directory
        self.port = 0

    async def serve(self) -> None:
        """Until ``stop``. Raises ``ConfigError`` for addresses that cannot be used."""
        try:
            await self._serve()
        finally:
            if self._own_directory is not None:
                shutil.rmtree(self._own_directory, ignore_errors=True)

    async def _serve(self) -> None:
        configuration, clock = self._configuration, self._clock
        host = configuration[options.JOBMANAGER_BIND_HOST]
        secret = load_secret(configuration, host)
        heartbeat_timeout_s = configuration[options.HEARTBEAT_TIMEOUT].total_seconds()
        taskmanagers = TaskManagers(SlotPool(), secret, clock, heartbeat_timeout_s)
        assert self._directory is not None
        blobs = BlobStore(self._directory / "blobs")
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
            NoStore(),
            SoleLeadership(),
        )
        metrics = MetricsServer(
            JobManagerCollector(jobs, taskmanagers),
            configuration[options.METRICS_BIND_HOST],
            configuration[options.METRICS_JOBMANAGER_PORT],
            options.METRICS_JOBMANAGER_PORT.key,
        )
        server = create_server(secret, clock)
        try:
            self._add_services(server, jobs, taskmanagers, blobs, metrics.address)
            port = configuration[options.JOBMANAGER_RPC_PORT]
            self.port = bind(server, secret, host, port, options.JOBMANAGER_RPC_PORT.key)
            await server.start()
            self._announce(host)
            await self._watch(jobs, taskmanagers)
        finally:
            await self._shut_down(server, jobs, taskmanagers, metrics)

    def stop(self) -> None:
        """Make ``serve`` return."""
        self._stopping.set()

    def _add_services(
        self,
        server: grpc.aio.Server,
        jobs: Jobs,
        taskmanagers: TaskManagers,
        blobs: BlobStore,
        metrics_address: str,
    ) -> None:
        configuration = self._configuration
        version = importlib.metadata.version("millstream")
        dispatcher = DispatcherService(jobs, taskmanagers, self._clock, version, metrics_address)
        resources = ResourceManagerService(
            jobs,
            taskmanagers,
            secrets.token_hex(8),
            round(configuration[options.HEARTBEAT_INTERVAL].total_seconds() * 1000),
            round(configuration[options.HEARTBEAT_TIMEOUT].total_seconds() * 1000),
        )
        jobmanager_pb2_grpc.add_DispatcherServicer_to_server(dispatcher, server)
        jobmanager_pb2_grpc.add_ResourceManagerServicer_to_server(resources, server)
        jobmanager_pb2_grpc.add_BlobStoreServicer_to_server(BlobService(blobs), server)

    def _announce(self, host: str) -> None:
        reach = "this machine only" if is_loopback(host) else "the network"
        log.info("Millstream JobManager listening on %s:%d (%s)", host, self.port, reach)
        if self._address_file is not None:
            address = self._configuration[options.JOBMANAGER_RPC_ADDRESS] or "127.0.0.1"
            partial = self._address_file.with_name(f".{self._address_file.name}.{os.getpid()}")
            partial.write_text(f"{address}:{self.port}\n")
            partial.replace(self._address_file)

    async def _watch(self, jobs: Jobs, taskmanagers: TaskManagers) -> None:
        """Time-outs of TaskManagers and of waiting jobs, until told to stop."""
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_INTERVAL_S):
                    await self._stopping.wait()
            await taskmanagers.check()
            jobs.check_slots()

    async def _shut_down(
        self, server: grpc.aio.Server, jobs: Jobs, taskmanagers: TaskManagers, metrics: MetricsServer
    ) -> None:
        """Cancel what runs, give it a moment, and leave nothing behind."""
        running = jobs.running()
        for master in running:
            master.drop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_GRACE_S):
                for master in running:
                    await master.ended.wait()
        await server.stop(STOP_GRACE_S)
        await taskmanagers.close()
        metrics.close()


def load_secret(configuration: Configuration, host: str) -> ClusterSecret:
    """The cluster's secret. On loopback a missing one is made; beyond it must have been given."""
    file = configuration[options.SECURITY_SECRET_FILE]
    secret = ClusterSecret.load(configuration[options.SECURITY_SECRET], file, create=is_loopback(host))
    if secret is None:
        raise MillstreamError(
            f"refusing to listen on {host}: beyond loopback a cluster secret is required, and there is none at {file}. "
            f"Make one with `millstream secret create {file}`, and give it to every member of the cluster."
        )
    return secret


async def run(configuration: Configuration, address_file: Path | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    jobmanager = JobManager(configuration, address_file)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, jobmanager.stop)
    await jobmanager.serve()


def main(arguments: list[str] | None = None) -> int:
    """``python -m millstream.jobmanager [--address-file FILE]``; settings come from the environment."""
    parser = argparse.ArgumentParser(prog="millstream jobmanager", description=__doc__)
    parser.add_argument("--address-file", type=Path, help="write HOST:PORT there when listening")
    parsed = parser.parse_args(arguments)
    protocol_log.name_process("jobmanager")
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", level=logging.INFO)
    try:
        asyncio.run(run(load(environ=os.environ), parsed.address_file))
    except MillstreamError as error:
        sys.stderr.write(f"millstream jobmanager: {error}\n")
        return 2
    return 0
