"""Which parallelism vertices get, and when a job is given another one by the adaptive scheduler."""

from __future__ import annotations

import pytest

from millstream.core.errors import UserError
from millstream.jobmanager.scheduling.adaptive import AdaptiveScheduler, AdaptiveSettings
from millstream.jobmanager.scheduling.rescaling import apply, capped, parallelism_of, rescaled
from millstream.proto.v1 import job_graph_pb2

FORWARD, HASH = job_graph_pb2.EXCHANGE_FORWARD, job_graph_pb2.EXCHANGE_HASH


def graph(exchange: job_graph_pb2.Exchange.ValueType = HASH, *, sink_set: bool = False) -> job_graph_pb2.JobGraph:
    """A source that two can read, a middle, and a sink."""
    made = job_graph_pb2.JobGraph(job_id="j", name="j")
    made.vertices.add(vertex_id="a", name="source", parallelism=1, max_parallelism=128, parallelism_max=2)
    middle = made.vertices.add(vertex_id="b", name="middle", parallelism=1, max_parallelism=8)
    middle.operators.add(operator_id="op", name="reduce", uid="count")
    made.vertices.add(vertex_id="c", name="sink", parallelism=1, max_parallelism=128, parallelism_set=sink_set)
    made.edges.add(edge_id=0, source_vertex="a", target_vertex="b", exchange=HASH)
    made.edges.add(edge_id=1, source_vertex="b", target_vertex="c", exchange=exchange)
    return made


def test_the_parallelism_of_all_respects_each_limit() -> None:
    assert rescaled(graph(), 16, {}) == {"a": 2, "b": 8, "c": 16}
    assert rescaled(graph(sink_set=True), 4, {}) == {"a": 2, "b": 4, "c": 1}
    assert rescaled(graph(), 0, {}) == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("name", ["b", "middle", "op", "reduce", "count"])
def test_one_vertex_by_any_of_its_names(name: str) -> None:
    assert rescaled(graph(sink_set=True), 2, {name: 5}) == {"a": 2, "b": 5, "c": 1}


def test_vertices_that_forward_stay_alike() -> None:
    assert rescaled(graph(FORWARD), 16, {}) == {"a": 2, "b": 8, "c": 8}
    assert rescaled(graph(FORWARD), 0, {"sink": 4}) == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize(
    ("by_vertex", "told"),
    [
        ({"middle": 9}, r"'middle' can have 1 to 8 subtasks \(max parallelism\), not 9"),
        ({"source": 3}, r"'source' can have 1 to 2 subtasks \(limit of its source\), not 3"),
        ({"middle": 0}, "not 0"),
        ({"midle": 2}, r"no operator called 'midle'.*'source', 'middle', 'sink'"),
    ],
)
def test_what_cannot_be_is_refused(by_vertex: dict[str, int], told: str) -> None:
    with pytest.raises(UserError, match=told):
        rescaled(graph(), 0, by_vertex)


def test_a_cap_is_for_all() -> None:
    assert capped(graph(), {"a": 2, "b": 6, "c": 3}, 4) == {"a": 2, "b": 4, "c": 3}


def adaptive() -> tuple[job_graph_pb2.JobGraph, AdaptiveScheduler]:
    made = graph()
    apply(made, {"a": 2, "b": 4, "c": 4})
    settings = AdaptiveSettings(True, starting_stable_s=10, running_stable_s=5, cooldown_s=30)
    return made, AdaptiveScheduler(made, settings)


def test_a_job_starts_with_fewer_slots_when_no_more_come() -> None:
    _, scheduler = adaptive()
    assert scheduler.plan(2, running=False, now_s=0) is None
    assert scheduler.plan(3, running=False, now_s=9) is None, "one more has come"
    assert scheduler.plan(3, running=False, now_s=18.9) is None
    assert scheduler.plan(3, running=False, now_s=19) == {"a": 2, "b": 3, "c": 3}
    assert scheduler.plan(0, running=False, now_s=20) is None
    assert scheduler.plan(0, running=False, now_s=40) is None, "nothing fits"


def test_a_job_grows_when_slots_have_come_and_stayed() -> None:
    made, scheduler = adaptive()
    apply(made, {"a": 1, "b": 1, "c": 1})
    assert scheduler.plan(1, running=True, now_s=100) is None
    assert scheduler.plan(8, running=True, now_s=101) is None
    assert scheduler.plan(8, running=True, now_s=106) == {"a": 2, "b": 4, "c": 4}
    scheduler.changed(106)
    assert scheduler.plan(8, running=True, now_s=135) is None, "it has only just been changed"
    assert scheduler.plan(8, running=True, now_s=136) is not None
    apply(made, {"a": 2, "b": 4, "c": 4})
    assert scheduler.plan(9, running=True, now_s=200) is None and scheduler.plan(9, running=True, now_s=300) is None


def test_without_the_setting_nothing_changes() -> None:
    made = graph()
    assert AdaptiveScheduler(made, AdaptiveSettings.of_cluster({})).plan(5, running=False, now_s=1000) is None
    assert AdaptiveSettings.of_cluster({"jobmanager.scheduler": "adaptive"}).is_on
    assert parallelism_of(made) == {"a": 1, "b": 1, "c": 1}
