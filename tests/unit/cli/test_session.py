"""Which cluster a session uses, how large an embedded one gets, and that everything is closed."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from millstream.client.session import Session, current_session, set_current_session
from millstream.client.submit import PlanCaptured, PlanSubmitter, default_submitter, set_submitter
from millstream.core.config import Configuration, load, options
from millstream.proto.v1 import job_graph_pb2, jobmanager_pb2


class RecordedCluster:
    """Stands in for ``LocalCluster``."""

    made: list["RecordedCluster"] = []

    def __init__(self, taskmanagers: int, slots: int, configuration: Configuration, *, stdout: int | None) -> None:
        self.slots = slots
        self.configuration = configuration
        self.is_closed = False
        RecordedCluster.made.append(self)

    def ensure_slots(self, needed: int) -> None:
        self.slots = max(self.slots, needed)

    def wait_until_started(self) -> None:
        pass

    def check(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True


class RecordedConnection:
    """Stands in for ``ClusterConnection``."""

    def __init__(self, configuration: Configuration) -> None:
        self.address = options.jobmanager_address(configuration)
        self.is_closed = False

    def submit(self, graph: job_graph_pb2.JobGraph, blobs: Any) -> jobmanager_pb2.SubmitJobResponse:
        return jobmanager_pb2.SubmitJobResponse(job_id=graph.job_id, warning=f"warning about {graph.name}")

    def describe_cluster(self) -> jobmanager_pb2.ClusterDetails:
        return jobmanager_pb2.ClusterDetails(slots_total=6)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    RecordedCluster.made = []
    module: Any = ModuleType("millstream.client.connection")
    module.ClusterConnection = RecordedConnection
    monkeypatch.setitem(sys.modules, "millstream.client.connection", module)
    monkeypatch.setattr("millstream.local.LocalCluster", RecordedCluster)


def job(parallelism: int, name: str = "job") -> Any:
    graph = job_graph_pb2.JobGraph(job_id=name, name=name)
    graph.vertices.add(vertex_id="v", parallelism=parallelism)
    return SimpleNamespace(graph=graph, blobs={})


def test_an_embedded_cluster_grows_with_the_jobs_that_have_not_ended() -> None:
    session = Session(load())
    cores = session.default_parallelism()
    first = session.submit(job(cores + 1, "first"))
    session.submit(job(2, "second"))
    [cluster] = RecordedCluster.made
    assert cluster.slots == cores + 3
    assert cluster.configuration[options.NUMBER_OF_SLOTS_MAX] is None
    first._ended = jobmanager_pb2.JobDetails()
    session.submit(job(3, "third"))
    assert cluster.slots == max(cores + 3, 5)
    assert [submitted.name for submitted in session.jobs] == ["first", "second", "third"]
    session.close()
    assert cluster.is_closed
    session.close()


def test_an_embedded_cluster_of_a_configured_size_refuses_what_is_larger() -> None:
    session = Session(load(overrides={"taskmanager.numberOfTaskSlots": 2}))
    assert session.default_parallelism() == 2
    session.submit(job(5))
    [cluster] = RecordedCluster.made
    assert cluster.slots == 2
    assert cluster.configuration[options.NUMBER_OF_SLOTS_MAX] == 2


def test_a_configured_jobmanager_is_used_and_asked_for_its_slots() -> None:
    warnings: list[str] = []
    configuration = load(overrides={"jobmanager.rpc.address": "somewhere", "jobmanager.rpc.port": 7})
    session = Session(configuration, warn=warnings.append)
    assert session.default_parallelism() == 6
    session.submit(job(3))
    assert RecordedCluster.made == []
    assert warnings == ["warning about job"]
    connection: Any = session.connection()
    assert connection.address == "somewhere:7"
    session.close()
    assert connection.is_closed


def test_a_configured_parallelism_asks_nobody() -> None:
    session = Session(load(overrides={"jobmanager.rpc.address": "somewhere", "parallelism.default": 3}))
    assert session.default_parallelism() == 3


def test_jobs_go_to_the_session_unless_only_the_plan_is_wanted() -> None:
    session = Session(load())
    set_current_session(session)
    try:
        assert current_session() is session
        assert default_submitter() is session
        set_submitter(PlanSubmitter())
        with pytest.raises(PlanCaptured) as caught:
            default_submitter().submit(job(1, "planned"))
        assert caught.value.graph.name == "planned"
    finally:
        set_submitter(None)
        set_current_session(None)
