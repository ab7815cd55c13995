"""The TaskManager process: starts its slots, registers, serves until SIGTERM."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from millstream.core.clock import SystemClock
from millstream.core.config import Configuration, load, options
from millstream.core.config.options import Option
from millstream.core.errors import MillstreamError
from millstream.core.ha.leader_address import LeaderAddress
from millstream.core.ha.settings import has_election
from millstream.core.metrics.http import MetricsServer
from millstream.core.rpc.leader_channel import LeaderPeer
from millstream.core.rpc.secret import ClusterSecret
from millstream.core.rpc.server import bind, create_server, watch
from millstream.proto.v1 import taskmanager_pb2_grpc
from millstream.taskmanager.blob_cache import BlobCache
from millstream.taskmanager.executor import TaskExecutorService
from millstream.taskmanager.known_leader import KnownLeader
from millstream.taskmanager.metrics_endpoint import TaskManagerCollector
from millstream.taskmanager.registration import Registration
from millstream.taskmanager.slots import Slots

log = logging.getLogger("millstream.taskmanager")


class TaskManager:
    """All parts of a TaskManager, wired; ``serve`` runs it."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._clock = SystemClock()
        self._stopping = asyncio.Event()
        self._failure: MillstreamError | None = None
        self._watching: asyncio.Task[None] | None = None
        self._id = f"tm-{secrets.token_hex(4)}"
        parent = options.temporary_directory(configuration)
        self._work_dir = Path(tempfile.mkdtemp(prefix=f"millstream-{self._id}-", dir=parent))

    async def serve(self) -> None:
        """Until ``stop``, or until the JobManager refuses or cannot be found. Raises ``MillstreamError``."""
        configuration, clock = self._configuration, self._clock
        bind_host = configuration[options.TASKMANAGER_BIND_HOST]
        host = configuration[options.TASKMANAGER_HOST]
        slots = Slots(
            options.number_of_task_slots(configuration),
            self._id,
            host_id(),
            bind_host,
            host,
            configuration[options.TASKMANAGER_DATA_PORT],
            self._work_dir,
            slot_settings(configuration),
            clock,
            configuration[options.HEARTBEAT_INTERVAL].total_seconds(),
            configuration[options.HEARTBEAT_TIMEOUT].total_seconds(),
        )
        slots.start_fork_server()
        secret_file = configuration[options.SECURITY_SECRET_FILE]
        secret = ClusterSecret.load(configuration[options.SECURITY_SECRET], secret_file, create=False)
        jobmanager = LeaderPeer(await asyncio.to_thread(LeaderAddress.of, configuration), secret, clock)
        leader = KnownLeader()
        server = create_server(secret, clock, leader.admission)
        metrics: MetricsServer | None = None
        registration: Registration | None = None
        try:
            metrics = MetricsServer(
                TaskManagerCollector(slots, clock),
                configuration[options.METRICS_BIND_HOST],
                configuration[options.METRICS_TASKMANAGER_PORT],
                options.METRICS_TASKMANAGER_PORT.key,
            )
            cancellation_s = configuration[options.TASK_CANCELLATION_TIMEOUT].total_seconds()
            blobs = BlobCache(self._work_dir / "blobs")
            service = TaskExecutorService(slots, blobs, jobmanager, cancellation_s)
            taskmanager_pb2_grpc.add_TaskExecutorServicer_to_server(service, server)
            rpc_port = configuration[options.TASKMANAGER_RPC_PORT]
            port = bind(server, secret, bind_host, rpc_port, options.TASKMANAGER_RPC_PORT.key)
            await server.start()
            self._watching = watch(server, self._server_ended)
            await slots.start()
            registration = Registration(
                self._id,
                f"{host}:{port}",
                host_id(),
                importlib.metadata.version("millstream"),
                metrics.address,
                slots,
                jobmanager,
                leader,
                clock,
                configuration[options.TASKMANAGER_REGISTRATION_TIMEOUT].total_seconds(),
                self._give_up,
                outlives_leader=has_election(configuration),
            )
            registration.start()
            log.info("Millstream TaskManager %s listening on %s:%d", self._id, bind_host, port)
            await self._stopping.wait()
        finally:
            if registration is not None:
                await registration.stop("it was stopped")
            await slots.close()
            await server.stop(0.2)
            await jobmanager.close()
            if metrics is not None:
                metrics.close()
            shutil.rmtree(self._work_dir, ignore_errors=True)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Make ``serve`` return."""
        self._stopping.set()

    def _server_ended(self, error: MillstreamError) -> None:
        if not self._stopping.is_set():
            self._give_up(error)

    def _give_up(self, error: MillstreamError) -> None:
        self._failure = error
        self.stop()


def host_id() -> str:
    """Equal for processes that see the same file system on the same machine, and so each other's Unix sockets."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    boot_id = boot.read_text().strip() if boot.exists() else os.uname().nodename
    try:
        namespace = os.readlink("/proc/self/ns/mnt")  # noqa: PTH115  the link is no path
    except OSError:
        namespace = ""
    return f"{boot_id}/{namespace}"


def slot_settings(configuration: Configuration) -> dict[str, object]:
    """What slot processes need of the settings; never the cluster's secret."""
    keys: tuple[Option[Any], ...] = (
        options.TASKMANAGER_SEGMENT_SIZE,
        options.TASKMANAGER_NETWORK_MEMORY_SIZE,
        options.TASKMANAGER_BUFFERS_PER_CHANNEL,
        options.TASKMANAGER_FLOATING_BUFFERS,
        options.TASKMANAGER_COMPRESSION_CODEC,
        options.TASKMANAGER_MANAGED_MEMORY_SIZE,
        options.STATE_BACKEND,
        options.STATE_ROCKSDB_LOCALDIR,
        options.STATE_ROCKSDB_FIXED_PER_SLOT,
        options.S3_ENDPOINT,
        options.S3_ACCESS_KEY,
        options.S3_SECRET_KEY,
    )
    flat = configuration.flatten()
    return {option.key: flat[option.key] for option in keys}


async def run(configuration: Configuration) -> None:
    """Serve until SIGTERM or SIGINT."""
    taskmanager = TaskManager(configuration)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, taskmanager.stop)
    await taskmanager.serve()


def main() -> int:
    """``python -m millstream.taskmanager``; settings come from the environment."""
    # Standard output belongs to the jobs' print sinks; the log goes to standard error.
    logging.basicConfig(
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", level=logging.INFO, stream=sys.stderr
    )
    try:
        asyncio.run(run(load(environ=os.environ)))
    except MillstreamError as error:
        sys.stderr.write(f"millstream taskmanager: {error}\n")
        return 2
    return 0
