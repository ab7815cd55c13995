"""Every subtask is told its slot, its producers' addresses and its consumers; one message a TaskManager."""

from __future__ import annotations

from plans import address, edge, graph, slot, subtask, vertex

from millstream.jobmanager.deployment import deployments
from millstream.jobmanager.execution import Execution
from millstream.proto.v1 import job_graph_pb2, taskmanager_pb2

JOB = graph(
    vertex("source", 2, payload_blob="1" * 64),
    vertex("window", 2, max_parallelism=64),
    vertex("sink"),
    edges=[
        edge(0, "source", "window", job_graph_pb2.EXCHANGE_HASH),
        edge(1, "window", "sink", job_graph_pb2.EXCHANGE_REBALANCE, input_index=1),
        edge(2, "source", "window", job_graph_pb2.EXCHANGE_FORWARD),
    ],
    modules_blob="2" * 64,
    configuration={"parallelism.default": "2"},
)


def deployed() -> dict[str, taskmanager_pb2.DeploySubtasksRequest]:
    """Index 0 runs in the only slot of TaskManager one, index 1 in slot 1 of two, as their third attempt."""
    places = {0: slot("one", 0), 1: slot("two", 1)}
    members = [subtask("source", 0), subtask("source", 1), subtask("window", 0), subtask("window", 1), subtask("sink")]
    executions = {member: Execution(member, attempt=2, slot=places[member.index]) for member in members}
    vertices = [vertex.vertex_id for vertex in JOB.vertices]
    return {str(key): request for key, request in deployments(JOB, vertices, executions, b"token").items()}


def test_each_taskmanager_gets_its_subtasks_and_what_the_job_needs() -> None:
    requests = deployed()
    assert {
        name: [(d.subtask.vertex_id, d.subtask.index, d.slot) for d in request.subtasks]
        for name, request in requests.items()
    } == {
        "one": [("source", 0, 0), ("window", 0, 0), ("sink", 0, 0)],
        "two": [("source", 1, 1), ("window", 1, 1)],
    }
    for request in requests.values():
        assert request.job_id == JOB.job_id and request.job_token == b"token" and request.modules_blob == "2" * 64
        assert dict(request.configuration) == {"parallelism.default": "2"}
        assert all(d.subtask.attempt == 2 and d.subtask.job_id == JOB.job_id for d in request.subtasks)
    assert requests["two"].subtasks[0].payload_blob == "1" * 64
    assert requests["two"].subtasks[1].max_parallelism == 64


def test_consumers_know_where_their_producers_are() -> None:
    hashed, forwarded = deployed()["two"].subtasks[1].inputs
    assert [(c.producer, c.attempt, c.address) for c in hashed.channels] == [
        (0, 2, address("one", 0)),
        (1, 2, address("two", 1)),
    ]
    assert [c.producer for c in forwarded.channels] == [1]
    (rebalanced,) = deployed()["one"].subtasks[2].inputs
    assert (rebalanced.edge_id, rebalanced.input_index, len(rebalanced.channels)) == (1, 1, 2)


def test_producers_know_their_consumers() -> None:
    source = deployed()["two"].subtasks[0]
    assert not source.inputs
    assert [(o.edge_id, o.exchange, list(o.consumers)) for o in source.outputs] == [
        (0, job_graph_pb2.EXCHANGE_HASH, [0, 1]),
        (2, job_graph_pb2.EXCHANGE_FORWARD, [1]),
    ]
    assert {(o.consumer_parallelism, o.consumer_max_parallelism) for o in source.outputs} == {(2, 64)}
    assert not deployed()["one"].subtasks[2].outputs
