"""Plans of jobs as text and JSON, and the slots they need."""

import json

from millstream.client.plan import plan_json, plan_text
from millstream.client.session import slots_needed
from millstream.proto.v1 import job_graph_pb2 as pb


def graph() -> pb.JobGraph:
    graph = pb.JobGraph(name="count")
    source = graph.vertices.add(vertex_id="a", name="Source: lines -> split", parallelism=2, max_parallelism=128)
    source.operators.add(operator_id="1", name="lines", kind="source", output_type="STRING", defined_at="job.py:3")
    source.operators.add(operator_id="2", name="split", kind="flat_map", generic_type=True, uid="cut", inputs=["1"])
    graph.vertices.add(vertex_id="b", name="sum", parallelism=4, max_parallelism=128)
    graph.vertices.add(vertex_id="c", name="late", parallelism=3, max_parallelism=128, slot_sharing_group="other")
    graph.edges.add(edge_id=0, source_vertex="a", target_vertex="b", exchange=pb.EXCHANGE_HASH)
    graph.edges.add(
        edge_id=1,
        source_vertex="a",
        target_vertex="c",
        exchange=pb.EXCHANGE_REBALANCE,
        side_output="late",
        input_index=1,
    )
    return graph


def test_a_slot_holds_one_subtask_of_each_vertex_of_a_group() -> None:
    assert slots_needed(graph()) == 4 + 3


def test_the_text_names_operators_edges_and_lines() -> None:
    text = plan_text(graph(), 7)
    assert "Job 'count': 3 vertices, 9 subtasks, needs 7 slots" in text
    assert "[1] Source: lines -> split" in text and "parallelism 2 (at most 128)" in text
    assert "- lines  source, gives STRING, job.py:3" in text
    assert "- split  flat_map, pickled where it travels, uid 'cut'" in text
    assert "--hash--> [2]" in text and "--rebalance--> [3] input 2 side output 'late'" in text
    assert "slot sharing group 'other'" in text


def test_the_json_holds_the_same() -> None:
    plan = json.loads(json.dumps(plan_json(graph(), 7)))
    assert plan["slots_needed"] == 7
    assert [vertex["parallelism"] for vertex in plan["vertices"]] == [2, 4, 3]
    assert plan["edges"][0]["exchange"] == "hash"
    assert plan["vertices"][0]["operators"][1]["inputs"] == ["1"]
