"""A JobManager process, calls to it, and a TaskManager that does nothing but say what the test wants."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from millstream.core.clock import SystemClock
from millstream.core.graph import PAYLOAD_FORMAT
from millstream.core.rpc.channel import BlockingPeer
from millstream.core.rpc.secret import ClusterSecret
from millstream.proto.v1 import common_pb2, job_graph_pb2, jobmanager_pb2, taskmanager_pb2
from millstream.proto.v1.jobmanager_pb2_grpc import DispatcherStub, ResourceManagerStub
from millstream.proto.v1.taskmanager_pb2_grpc import TaskExecutorServicer, add_TaskExecutorServicer_to_server

DEADLINE_S = 30.0
SECRET = "the secret of a test"


def wait_until(holds: Callable[[], object], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Poll; fail with ``what`` at the deadline."""
    end_s = time.monotonic() + deadline_s
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < end_s, f"not within {deadline_s} s: {what}"
        pause.wait(0.01)


class JobManagerProcess:
    """``python -m millstream.jobmanager`` on a free port of this machine, and a client that is allowed to call it."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        self.temporary = home / "tmp"
        self.temporary.mkdir()
        self._log_file = home / "jobmanager.log"
        address_file = home / "address"
        variables = {
            "HOME": str(home),
            "TMPDIR": str(self.temporary),
            "MILLSTREAM_SECURITY_SECRET": SECRET,
            "MILLSTREAM_JOBMANAGER_RPC_PORT": "0",
            "MILLSTREAM_METRICS_JOBMANAGER_PORT": "0",
            "MILLSTREAM_EXECUTION_CHECKPOINTING_DIR": str(home / "checkpoints"),
        } | {f"MILLSTREAM_{name}": value for name, value in settings.items()}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MILLSTREAM_")}
        with self._log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "millstream.jobmanager", "--address-file", str(address_file)],
                cwd=home,
                env=inherited | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until(lambda: address_file.exists() or self.process.poll() is not None, "the JobManager listens")
            assert self.process.poll() is None, self.log()
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise
        self.address = address_file.read_text().strip()
        self.secret = ClusterSecret(SECRET.encode())
        self.peer = BlockingPeer(self.address, self.secret, SystemClock())
        self.dispatcher: Any = self.peer.stub(DispatcherStub)
        self.resources: Any = self.peer.stub(ResourceManagerStub)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def log(self) -> str:
        return self._log_file.read_text()

    def submit(self, job: job_graph_pb2.JobGraph) -> jobmanager_pb2.SubmitJobResponse:
        request = jobmanager_pb2.SubmitJobRequest(graph=job)
        response: jobmanager_pb2.SubmitJobResponse = self.peer.call(self.dispatcher.SubmitJob, request)
        return response

    def describe(self, job: str, known_version: int = 0, wait_ms: int = 0) -> jobmanager_pb2.JobDetails:
        request = jobmanager_pb2.DescribeJobRequest(job=job, known_version=known_version, wait_ms=wait_ms)
        details: jobmanager_pb2.JobDetails = self.peer.call(self.dispatcher.DescribeJob, request, deadline_s=DEADLINE_S)
        return details

    def status(self, job: str) -> str:
        return common_pb2.JobStatus.Name(self.describe(job).summary.status).removeprefix("JOB_STATUS_")

    def wait_for_status(self, job: str, status: str) -> None:
        wait_until(lambda: self.status(job) == status, f"job {job} is {status}; it is {self.status(job)}")

    def cancel(self, job: str) -> jobmanager_pb2.CancelJobResponse:
        request = jobmanager_pb2.CancelJobRequest(job=job)
        response: jobmanager_pb2.CancelJobResponse = self.peer.call(self.dispatcher.CancelJob, request)
        return response

    def cluster(self) -> jobmanager_pb2.ClusterDetails:
        details: jobmanager_pb2.ClusterDetails = self.peer.call(self.dispatcher.DescribeCluster, common_pb2.Empty())
        return details

    def report(self, subtask: common_pb2.SubtaskRef, status: int, **fields: Any) -> bool:
        request = jobmanager_pb2.ReportSubtaskRequest(
            subtask=subtask, status=common_pb2.SubtaskStatus.ValueType(status), **fields
        )
        return bool(self.peer.call(self.resources.ReportSubtask, request).accepted)

    def send_event(self, subtask: common_pb2.SubtaskRef, kind: str) -> bool:
        """Of an operator for its coordinator; whether it was accepted."""
        request = jobmanager_pb2.OperatorEventRequest(subtask=subtask, kind=kind)
        return bool(self.peer.call(self.resources.SendToCoordinator, request).accepted)

    def stop(self, number: int = signal.SIGTERM, deadline_s: float = 20) -> int:
        """The exit code."""
        self.peer.close()
        self.process.send_signal(number)
        try:
            return self.process.wait(deadline_s)
        finally:
            self.process.kill()
            self.process.wait()


class FakeTaskManager(TaskExecutorServicer):
    """Registers slots, notes what it is asked to do, and reports what the test says."""

    def __init__(self, jobmanager: JobManagerProcess, name: str, slots: int) -> None:
        self.name = name
        self.deployed: list[taskmanager_pb2.SubtaskDeployment] = []
        self.cancelled: list[common_pb2.SubtaskRef] = []
        self.freed: list[int] = []
        self._jobmanager = jobmanager
        self._incarnations = dict.fromkeys(range(slots), 1)
        self._executor = ThreadPoolExecutor(4)
        self._server = grpc.server(self._executor)
        add_TaskExecutorServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def slots(self) -> list[jobmanager_pb2.SlotReport]:
        """A fresh process waits in each slot."""
        data = common_pb2.DataAddress(host_id="host", tcp_host="127.0.0.1", tcp_port=1)
        return [
            jobmanager_pb2.SlotReport(index=index, ready=True, data=data, incarnation=incarnation)
            for index, incarnation in list(self._incarnations.items())
        ]

    def register(self) -> jobmanager_pb2.RegisterTaskManagerResponse:
        request = jobmanager_pb2.RegisterTaskManagerRequest(
            taskmanager_id=self.name, rpc_address=self.address, slots=self.slots(), version="test"
        )
        resources = self._jobmanager.resources
        response: jobmanager_pb2.RegisterTaskManagerResponse = self._jobmanager.peer.call(
            resources.RegisterTaskManager, request
        )
        return response

    def heartbeat(self, **fields: Any) -> bool:
        """False: the JobManager does not know it."""
        request = jobmanager_pb2.HeartbeatRequest(taskmanager_id=self.name, slots=self.slots(), **fields)
        return bool(self._jobmanager.peer.call(self._jobmanager.resources.Heartbeat, request).known)

    def wait_for_deployment(self, count: int) -> list[common_pb2.SubtaskRef]:
        wait_until(lambda: len(self.deployed) >= count, f"{self.name} gets {count} subtasks")
        return [deployment.subtask for deployment in self.deployed]

    def DeploySubtasks(self, request: Any, context: Any) -> taskmanager_pb2.DeploySubtasksResponse:
        self.deployed += request.subtasks
        return taskmanager_pb2.DeploySubtasksResponse()

    def CancelSubtasks(self, request: Any, context: Any) -> common_pb2.Empty:
        self.cancelled += request.subtasks
        return common_pb2.Empty()

    def FreeSlot(self, request: Any, context: Any) -> common_pb2.Empty:
        self._incarnations[request.slot] += 1
        self.freed.append(request.slot)
        return common_pb2.Empty()

    def stop(self) -> None:
        self._server.stop(None).wait()
        self._executor.shutdown()


def job(number: int = 1, parallelism: int = 1, name: str = "job", **fields: Any) -> job_graph_pb2.JobGraph:
    """One vertex without code: its subtasks run in the imagination of a ``FakeTaskManager``."""
    vertex = job_graph_pb2.Vertex(vertex_id="v", name="vertex", parallelism=parallelism, max_parallelism=128)
    return job_graph_pb2.JobGraph(
        job_id=f"{number:032x}",
        name=name,
        vertices=[vertex],
        format_version=PAYLOAD_FORMAT,
        python_version=f"{sys.version_info.major}.{sys.version_info.minor}",
        **fields,
    )
