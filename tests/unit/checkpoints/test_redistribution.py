"""Pieces of state find exactly one right owner (or all of them) at any parallelism."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.errors import CheckpointError
from millstream.core.keys import subtask_of_key_group
from millstream.jobmanager.checkpointing.redistribution import redistribute
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2

KEYED, ITEM, UNION = (
    checkpoint_pb2.STATE_MODE_KEYED,
    checkpoint_pb2.STATE_MODE_ITEM,
    checkpoint_pb2.STATE_MODE_UNION,
)
GROUPS = 16
PLACE = "/there"


def graph(parallelism: int, operator: str = "op", groups: int = GROUPS) -> job_graph_pb2.JobGraph:
    vertex = job_graph_pb2.Vertex(
        vertex_id="v", name="v", parallelism=parallelism, max_parallelism=groups,
        operators=[job_graph_pb2.OperatorPlan(operator_id=operator, name="count")],
    )  # fmt: skip
    return job_graph_pb2.JobGraph(job_id="j", name="j", vertices=[vertex])


def manifest(parallelism: int, items: int) -> checkpoint_pb2.CheckpointManifest:
    """Every key group once, at its owner; ``items`` items and one union piece a subtask."""
    vertex = checkpoint_pb2.VertexState(
        vertex_id="v", name="v", parallelism=parallelism, max_parallelism=GROUPS,
        operator_ids=["op"], operator_names=["count"],
    )  # fmt: skip
    for index in range(parallelism):
        state = vertex.subtasks.add(index=index, files=[checkpoint_pb2.StateFile(path=f"{index}.state")])
        operator = state.operators.add(operator_id="op")
        for group in range(GROUPS):
            if subtask_of_key_group(group, GROUPS, parallelism) == index:
                operator.sections.add(name="state", mode=KEYED, key_group=group, offset=group)
        for item in range(items):
            operator.sections.add(name="splits", mode=ITEM, offset=100 + item)
        operator.sections.add(name="watermark", mode=UNION, offset=999)
    return checkpoint_pb2.CheckpointManifest(job_id="j", checkpoint_id=1, vertices=[vertex])


@given(before=st.integers(1, GROUPS), after=st.integers(1, GROUPS), items=st.integers(0, 5))
def test_every_piece_goes_where_it_belongs(before: int, after: int, items: int) -> None:
    restored = redistribute(graph(after), manifest(before, items), PLACE)
    keyed: Counter[int] = Counter()
    dealt: list[int] = []
    for subtask, state in restored.items():
        (operator,) = state.operators
        for section in operator.sections:
            if section.mode == KEYED:
                assert subtask_of_key_group(section.key_group, GROUPS, after) == subtask.index
                keyed[section.key_group] += 1
        dealt.append(sum(section.mode == ITEM for section in operator.sections))
        unions = [section.path for section in operator.sections if section.mode == UNION]
        assert sorted(unions) == sorted(f"{index}.state" for index in range(before)), "each once"
    assert keyed == Counter(range(GROUPS))
    assert sum(dealt) == before * items and len(restored) == after
    assert max(dealt) - min(dealt) <= 1, "items are dealt out evenly"


def test_state_of_an_operator_that_is_gone_is_named() -> None:
    saved = manifest(1, 0)
    saved.vertices[0].subtasks[0].operators[0].tables.add(name="totals", kind="value")
    with pytest.raises(CheckpointError, match=r"'count' \(.*totals.*\).*--allow-non-restored-state"):
        redistribute(graph(1, operator="other"), saved, PLACE)
    assert redistribute(graph(1, operator="other"), manifest(1, 0), PLACE, allow_non_restored=True) == {}


def test_another_number_of_key_groups_is_refused_with_the_remedy() -> None:
    with pytest.raises(CheckpointError, match=r"set_max_parallelism\(16\)"):
        redistribute(graph(1, groups=32), manifest(1, 0), PLACE)
