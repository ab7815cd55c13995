"""The client's calls: which blobs travel, and how long a JobManager that does not answer is waited for."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from millstream.core.clock import ManualClock
from millstream.core.config import load
from millstream.core.errors import NotLeaderError, UnavailableError
from millstream.proto.v1 import job_graph_pb2, jobmanager_pb2


class Answers:
    """What the JobManager will answer, and what it was asked."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.prepared: list[Any] = []
        self.asked: list[tuple[str, float]] = []
        self.uploaded: list[bytes] = []


class Peer:
    """Stands in for ``BlockingLeaderPeer``; a call that is not answered takes half a second."""

    answers: Answers

    def __init__(self, leader: Any, secret: Any, clock: Any) -> None:
        self.address = leader.current()
        self.may_move = leader.may_move

    def here(self) -> Any:
        return self

    def stub(self, stub_class: Any) -> Any:
        class Methods:
            def __getattr__(self, name: str) -> str:
                return name

        return Methods()

    def call(self, method: str, request: Any, deadline_s: float) -> Any:
        Peer.answers.asked.append((method, deadline_s))
        answer = Peer.answers.prepared.pop(0) if Peer.answers.prepared else UnavailableError("nobody")
        if isinstance(answer, Exception):
            Peer.answers.clock.advance(500)
            raise answer
        return answer

    def close(self) -> None:
        pass


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """Replaces gRPC and the secret below ``connection``."""
    Peer.answers = Answers()

    class Secret:
        @staticmethod
        def load(explicit: Any, file: Any, create: bool) -> None:
            return None

    def put_blob(peer: Peer, data: bytes) -> None:
        Peer.answers.uploaded.append(data)

    contents: dict[str, dict[str, Any]] = {
        "leader_channel": {"BlockingLeaderPeer": Peer},
        "secret": {"ClusterSecret": Secret},
        "blobs": {"put_blob": put_blob},
    }
    for name, attributes in contents.items():
        module = ModuleType(f"millstream.core.rpc.{name}")
        vars(module).update(attributes)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.delitem(sys.modules, "millstream.client.connection", raising=False)
    yield Peer.answers
    sys.modules.pop("millstream.client.connection", None)


def connection(answers: Answers, timeout: str = "10 s", **settings: str) -> Any:
    from millstream.client.connection import ClusterConnection

    configuration = load(overrides={"client.timeout": timeout, **settings})
    return ClusterConnection(configuration, answers.clock, lambda pause_s: answers.clock.advance(round(pause_s * 1000)))


def test_only_missing_blobs_are_uploaded(answers: Answers) -> None:
    answers.prepared = [jobmanager_pb2.HasBlobsResponse(missing=["b"]), jobmanager_pb2.SubmitJobResponse(job_id="j")]
    submitted = connection(answers).submit(job_graph_pb2.JobGraph(), {"a": b"A", "b": b"B"})
    assert submitted.job_id == "j"
    assert answers.uploaded == [b"B"]


def test_a_jobmanager_that_never_answered_is_given_up_soon(answers: Answers) -> None:
    with pytest.raises(UnavailableError):
        connection(answers).describe_cluster()
    assert 2_000 < answers.clock.wall_ms() <= 3_500


def test_one_that_answered_before_gets_the_whole_timeout(answers: Answers) -> None:
    client = connection(answers)
    answers.prepared = [jobmanager_pb2.ClusterDetails()]
    client.describe_cluster()
    answers.prepared = [UnavailableError("away")] * 6 + [jobmanager_pb2.ClusterDetails(slots_total=3)]
    assert client.describe_cluster().slots_total == 3
    with pytest.raises(UnavailableError):
        client.describe_cluster()
    assert answers.clock.wall_ms() >= 4_000 + 8_000


def test_a_submission_that_nobody_answered_is_repeated_with_its_blobs(answers: Answers) -> None:
    missing = jobmanager_pb2.HasBlobsResponse(missing=["b"])
    accepted = jobmanager_pb2.SubmitJobResponse(job_id="j")
    answers.prepared = [missing, UnavailableError("lost"), missing, accepted]
    assert connection(answers).submit(job_graph_pb2.JobGraph(), {"b": b"B"}).job_id == "j"
    assert [method for method, _ in answers.asked] == ["HasBlobs", "SubmitJob"] * 2
    assert answers.uploaded == [b"B", b"B"]


def test_a_savepoint_is_asked_for_again_only_if_nothing_was_done(answers: Answers) -> None:
    answers.prepared = [NotLeaderError("stands by"), jobmanager_pb2.TakeSavepointResponse(path="p")]
    assert connection(answers).take_savepoint("j", "d").path == "p"
    answers.prepared = [UnavailableError("lost")]
    with pytest.raises(UnavailableError):
        connection(answers).take_savepoint("j", "d")


def test_of_several_jobmanagers_one_may_be_waited_for_from_the_start(answers: Answers) -> None:
    several = {"jobmanager.rpc.address": "one:1,two:2"}
    answers.prepared = [NotLeaderError("stands by")] * 12 + [jobmanager_pb2.ClusterDetails(slots_total=3)]
    assert connection(answers, "60 s", **several).describe_cluster().slots_total == 3


def test_a_call_that_waits_in_the_jobmanager_has_so_much_more_time(answers: Answers) -> None:
    answers.prepared = [jobmanager_pb2.JobDetails(), jobmanager_pb2.JobDetails()]
    client = connection(answers)
    client.describe("j")
    client.describe("j", 3, 10_000)
    assert answers.asked[1][1] == pytest.approx(answers.asked[0][1] + 10)
