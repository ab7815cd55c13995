"""The client's calls to a JobManager, in the words of a client: submit, list, describe, cancel, fetch results.

Blocking. Importing this module loads gRPC, so import it only where a call will be made. Errors are Millstream's own:
``UnavailableError``, ``AuthenticationError``, ``ProtocolVersionError``, or what the JobManager raised.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar

from millstream.core.clock import Clock, SystemClock
from millstream.core.config import Configuration, options
from millstream.core.errors import NotLeaderError, UnavailableError
from millstream.core.ha.leader_address import LeaderAddress
from millstream.core.ids import BlobKey
from millstream.core.rpc.blobs import put_blob
from millstream.core.rpc.leader_channel import BlockingLeaderPeer
from millstream.core.rpc.secret import ClusterSecret
from millstream.proto.v1 import common_pb2, job_graph_pb2, jobmanager_pb2
from millstream.proto.v1.jobmanager_pb2_grpc import BlobStoreStub, DispatcherStub

R = TypeVar("R")

CALL_DEADLINE_S = 30.0
"""For a call that does not wait for anything."""

SAVEPOINT_WAIT_MS = 600_000

FIRST_CONTACT_S = 3.0
"""Patience with a JobManager that has never answered; one that has is given ``client.timeout`` to come back."""

RETRY_PAUSE_S = 0.05
RETRY_PAUSE_MAX_S = 1.0


class ClusterConnection:
    """A cluster's JobManager, the leader if there are several, as a client sees it."""

    def __init__(
        self,
        configuration: Configuration,
        clock: Clock | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        """``pause(seconds)`` waits between attempts to reach the JobManager."""
        timeout: timedelta = configuration[options.CLIENT_TIMEOUT]
        self._timeout_s = timeout.total_seconds()
        self._was_reached = False
        self._pause = pause or threading.Event().wait
        self._clock = clock or SystemClock()
        self._peer = BlockingLeaderPeer(LeaderAddress.of(configuration), load_secret(configuration), self._clock)
        self._dispatcher: DispatcherStub = self._peer.stub(DispatcherStub)
        self._blob_store: BlobStoreStub = self._peer.stub(BlobStoreStub)

    def submit(self, graph: job_graph_pb2.JobGraph, blobs: Mapping[BlobKey, bytes]) -> jobmanager_pb2.SubmitJobResponse:
        """Upload the blobs the JobManager does not have, then submit ``graph``.

        All of it again when nobody answered: a job that was accepted is known by its id.
        """

        def attempt() -> jobmanager_pb2.SubmitJobResponse:
            asked = jobmanager_pb2.HasBlobsRequest(keys=sorted(blobs))
            missing = self._peer.call(self._blob_store.HasBlobs, asked, CALL_DEADLINE_S).missing
            for key in missing:
                put_blob(self._peer.here(), blobs[BlobKey(key)])
            request = jobmanager_pb2.SubmitJobRequest(graph=graph)
            submitted: jobmanager_pb2.SubmitJobResponse = self._peer.call(
                self._dispatcher.SubmitJob, request, CALL_DEADLINE_S
            )
            return submitted

        return self._patiently(attempt)

    def compare_state(self, graph: job_graph_pb2.JobGraph) -> jobmanager_pb2.StateComparison:
        """What a job would start with, of the savepoint that its graph names; nothing is deployed."""
        request = jobmanager_pb2.CompareStateRequest(graph=graph)
        compared: jobmanager_pb2.StateComparison = self._call(self._dispatcher.CompareState, request)
        return compared

    def list_jobs(self, *, include_ended: bool) -> list[jobmanager_pb2.JobSummary]:
        """Oldest first."""
        request = jobmanager_pb2.ListJobsRequest(include_finished=include_ended)
        listed: jobmanager_pb2.ListJobsResponse = self._call(self._dispatcher.ListJobs, request)
        return sorted(listed.jobs, key=lambda job: job.started_ms)

    def describe(self, job: str, known_version: int = 0, wait_ms: int = 0) -> jobmanager_pb2.JobDetails:
        """A job by id, unique prefix or unique name; waits up to ``wait_ms`` for more than ``known_version``."""
        request = jobmanager_pb2.DescribeJobRequest(job=job, known_version=known_version, wait_ms=wait_ms)
        details: jobmanager_pb2.JobDetails = self._call(self._dispatcher.DescribeJob, request, wait_ms)
        return details

    def cancel(self, job: str) -> jobmanager_pb2.CancelJobResponse:
        """Ask for a job to be cancelled; does not wait."""
        request = jobmanager_pb2.CancelJobRequest(job=job)
        response: jobmanager_pb2.CancelJobResponse = self._call(self._dispatcher.CancelJob, request)
        return response

    def take_savepoint(
        self, job: str, directory: str, *, stop: bool = False, drain: bool = False
    ) -> jobmanager_pb2.TakeSavepointResponse:
        """Wait for a savepoint to be complete; with ``stop`` the job ends after it, with ``drain`` by finishing.

        Should the JobManager die when the savepoint to stop with is recorded, the next one tells of it.
        """
        request = jobmanager_pb2.TakeSavepointRequest(job=job, directory=directory, stop=stop, drain=drain)
        try:
            response: jobmanager_pb2.TakeSavepointResponse = self._call(
                self._dispatcher.TakeSavepoint, request, SAVEPOINT_WAIT_MS, again=False
            )
        except UnavailableError:
            details = self.describe(job) if stop and self._peer.may_move else jobmanager_pb2.JobDetails()
            if not details.savepoint:
                raise
            return jobmanager_pb2.TakeSavepointResponse(job_id=details.summary.job_id, path=details.savepoint)
        return response

    def rescale(self, job: str, parallelism: int, by_vertex: dict[str, int]) -> jobmanager_pb2.RescaleJobResponse:
        """Let a job go on with other numbers of subtasks; waits until it has stopped for that."""
        request = jobmanager_pb2.RescaleJobRequest(job=job, parallelism=parallelism, by_vertex=by_vertex)
        response: jobmanager_pb2.RescaleJobResponse = self._call(
            self._dispatcher.RescaleJob, request, SAVEPOINT_WAIT_MS, again=False
        )
        return response

    def fetch_results(
        self, job_id: str, operator_id: str, token: int, wait_ms: int
    ) -> jobmanager_pb2.FetchResultsResponse:
        """Batches of a collect sink after the first ``token`` ones, which this acknowledges."""
        request = jobmanager_pb2.FetchResultsRequest(
            job_id=job_id, operator_id=operator_id, token=token, wait_ms=wait_ms
        )
        response: jobmanager_pb2.FetchResultsResponse = self._call(self._dispatcher.FetchResults, request, wait_ms)
        return response

    def describe_cluster(self) -> jobmanager_pb2.ClusterDetails:
        """TaskManagers and slots."""
        details: jobmanager_pb2.ClusterDetails = self._call(self._dispatcher.DescribeCluster, common_pb2.Empty())
        return details

    def close(self) -> None:
        self._peer.close()

    def _call(self, method: Any, request: Any, wait_ms: int = 0, *, again: bool = True) -> Any:
        """One call; ``again``: repeat it while the JobManager does not answer, since repeating changes nothing."""
        deadline_s = CALL_DEADLINE_S + wait_ms / 1000
        return self._patiently(lambda: self._peer.call(method, request, deadline_s), again=again)

    def _patiently(self, attempt: Callable[[], R], *, again: bool = True) -> R:
        """The first of the attempts that the JobManager answers. What a standby refused may always be repeated."""
        is_known = self._was_reached or self._peer.may_move
        patience_s = self._timeout_s if is_known else min(self._timeout_s, FIRST_CONTACT_S)
        give_up_s = self._clock.monotonic_s() + patience_s
        pause_s = RETRY_PAUSE_S
        while True:
            try:
                response = attempt()
            except UnavailableError as error:
                may_repeat = again or isinstance(error, NotLeaderError)
                if not may_repeat or self._clock.monotonic_s() + pause_s > give_up_s:
                    raise self._unreachable(error) from None
                self._pause(pause_s)
                pause_s = min(2 * pause_s, RETRY_PAUSE_MAX_S)
            else:
                self._was_reached = True
                return response

    def _unreachable(self, error: UnavailableError) -> UnavailableError:
        if self._was_reached:
            return UnavailableError(f"the JobManager at {self._peer.address} no longer answers: {error}")
        return UnavailableError(
            f"no JobManager answers at {self._peer.address}: {error}. Start one with `millstream cluster start`, give "
            f"the address of one with --jobmanager HOST:PORT, or use an embedded cluster with `millstream run --local`."
        )


def load_secret(configuration: Configuration) -> ClusterSecret | None:
    """The cluster secret as settings or their file give it; None if there is none."""
    return ClusterSecret.load(
        configuration[options.SECURITY_SECRET], configuration[options.SECURITY_SECRET_FILE], create=False
    )
