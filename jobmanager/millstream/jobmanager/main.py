"""The JobManager process: reads its settings, binds, serves until SIGTERM; stands by until it leads."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from millstream.core import protocol_log
from millstream.core.clock import SystemClock
from millstream.core.config import Configuration, load, options
from millstream.core.errors import ConfigError, ExternalError, MillstreamError
from millstream.core.metrics.http import MetricsServer
from millstream.core.rpc.secret import ClusterSecret
from millstream.core.rpc.server import bind, create_server, is_loopback, watch
from millstream.jobmanager.blob_store import BlobStore
from millstream.jobmanager.ha.elections import open_election
from millstream.jobmanager.ha.leader_services import LeaderServices
from millstream.jobmanager.ha.leadership import LeaderElection, Leadership
from millstream.jobmanager.ha.starting_over import start_over
from millstream.jobmanager.leader import STOP_GRACE_S, Leader, become_leader
from millstream.jobmanager.metrics_endpoint import JobManagerCollector

CHECK_INTERVAL_S = 0.5

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
        self._collector = JobManagerCollector()
        self._failure: MillstreamError | None = None
        self._watching: asyncio.Task[None] | None = None
        self.port = 0

    async def serve(self) -> None:
        """Until ``stop``. Raises ``ConfigError`` for settings that cannot be used.

        Does not return when it has led and another one leads now: then this process starts over.
        """
        try:
            await self._serve()
        finally:
            self._remove_own_directory()

    async def _serve(self) -> None:
        configuration, clock = self._configuration, self._clock
        host = configuration[options.JOBMANAGER_BIND_HOST]
        own_host = own_name(configuration)
        secret = load_secret(configuration, host)
        election = open_election(configuration, clock)
        services = LeaderServices(election)
        server = create_server(secret, clock, services.admission)
        server.add_generic_rpc_handlers((services,))
        metrics = MetricsServer(
            self._collector,
            configuration[options.METRICS_BIND_HOST],
            configuration[options.METRICS_JOBMANAGER_PORT],
            options.METRICS_JOBMANAGER_PORT.key,
        )
        try:
            port = configuration[options.JOBMANAGER_RPC_PORT]
            self.port = bind(server, secret, host, port, options.JOBMANAGER_RPC_PORT.key)
            address = f"{own_host}:{self.port}"
            services.stand_by(address)
            await server.start()
            self._watching = watch(server, self._server_ended)
            self._announce(host, address)
            leadership = await self._win(election, address)
            if leadership is not None:
                await self._lead(leadership, services, secret, metrics.address)
        finally:
            await election.close()  # another one leads while the rest here comes to its end
            await server.stop(STOP_GRACE_S)
            metrics.close()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Make ``serve`` return."""
        self._stopping.set()

    def _server_ended(self, error: MillstreamError) -> None:
        """Who cannot be reached must not lead."""
        if not self._stopping.is_set():
            self._failure = error
            self.stop()

    def _announce(self, host: str, address: str) -> None:
        reach = "this machine only" if is_loopback(host) else "the network"
        log.info("Millstream JobManager listening on %s:%d (%s)", host, self.port, reach)
        if self._address_file is not None:
            partial = self._address_file.with_name(f".{self._address_file.name}.{os.getpid()}")
            partial.write_text(f"{address}\n")
            partial.replace(self._address_file)

    async def _win(self, election: LeaderElection, address: str) -> Leadership | None:
        """Stand by until this process leads; None when it is told to stop before."""
        leading = asyncio.ensure_future(election.lead(address))
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait([leading, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not leading.done():
            leading.cancel()
            return None
        leadership = leading.result()
        if leadership.epoch:
            log.info("this JobManager leads now, with epoch %d", leadership.epoch)
            cluster = f"{self._configuration[options.HA_STORAGE_DIR]}/{self._configuration[options.HA_CLUSTER_ID]}"
            protocol_log.record("leader.elected", cluster=cluster, epoch=leadership.epoch, address=address)
        return leadership

    async def _lead(
        self, leadership: Leadership, services: LeaderServices, secret: ClusterSecret, metrics_address: str
    ) -> None:
        """Until told to stop, or until another one leads. With an election the next leader goes on with the jobs."""
        assert self._directory is not None
        blobs = BlobStore(self._directory / "blobs")
        watching = asyncio.ensure_future(self._start_over_when_lost(leadership))
        leader: Leader | None = None
        try:
            leader = await become_leader(self._configuration, leadership, blobs, secret, self._clock, metrics_address)
            services.open(leadership, leader.add_services)
            self._collector.leader = leader
            while not self._stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(CHECK_INTERVAL_S):
                        await self._stopping.wait()
                await leader.check()
        except ExternalError as error:
            if not leadership.epoch:
                raise
            self._start_over(leadership, str(error))
        finally:
            watching.cancel()
            if leader is not None and not leadership.epoch:
                await leader.cancel_jobs()
                await leader.taskmanagers.close()

    async def _start_over_when_lost(self, leadership: Leadership) -> None:
        self._start_over(leadership, await leadership.wait_until_lost())

    def _start_over(self, leadership: Leadership, reason: str) -> None:
        """The jobs belong to another leader then: nothing of them is cancelled, closed or cleaned. Does not return."""
        log.warning("this JobManager, which led with epoch %d, starts over: %s", leadership.epoch, reason)
        self._remove_own_directory()
        start_over()

    def _remove_own_directory(self) -> None:
        if self._own_directory is not None:
            shutil.rmtree(self._own_directory, ignore_errors=True)


def own_name(configuration: Configuration) -> str:
    """The host under which others reach this JobManager. Raises ``ConfigError`` for a list of several."""
    name = configuration[options.JOBMANAGER_RPC_ADDRESS] or "127.0.0.1"
    if "," in name:
        raise ConfigError(
            f"{options.JOBMANAGER_RPC_ADDRESS.key}={name}: in a JobManager this is the one host name under which "
            f"clients and TaskManagers reach it; lists are for those."
        )
    return name


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
