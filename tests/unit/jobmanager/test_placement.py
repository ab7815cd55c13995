"""Slot sharing: how many slots a job needs, and which subtasks go together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import graph, subtask, vertex

from millstream.core.errors import JobGraphError
from millstream.jobmanager.scheduling.placement import place


def test_subtask_i_of_every_vertex_shares_slot_i() -> None:
    placement = place(graph(vertex("source", 2), vertex("map", 3), vertex("sink")))
    assert placement.slots == (
        (subtask("source", 0), subtask("map", 0), subtask("sink", 0)),
        (subtask("source", 1), subtask("map", 1)),
        (subtask("map", 2),),
    )
    assert placement.slots_needed == 3


def test_groups_share_nothing_and_no_group_means_the_default_one() -> None:
    vertices = (
        vertex("a", 2),
        vertex("b", 3, slot_sharing_group="heavy"),
        vertex("c", 1, slot_sharing_group="default"),
    )
    placement = place(graph(*vertices))
    assert placement.slots_needed == 2 + 3
    assert placement.slots[0] == (subtask("a", 0), subtask("c", 0))
    assert placement.slots[2:] == tuple((subtask("b", index),) for index in range(3))


@pytest.mark.parametrize(
    ("parallelism", "group", "agrees"), [(2, "g", True), (3, "g", False), (2, "other", False), (2, "", False)]
)
def test_co_located_vertices_agree_in_group_and_parallelism(parallelism: int, group: str, agrees: bool) -> None:
    job = graph(
        vertex("head", 2, slot_sharing_group="g", co_location_key="loop"),
        vertex("free", 5),
        vertex("tail", parallelism, slot_sharing_group=group, co_location_key="loop"),
    )
    if agrees:
        assert (subtask("head", 1), subtask("tail", 1)) in place(job).slots
        return
    with pytest.raises(JobGraphError, match=rf"'head' and 'tail' must share slots.*\(g, 2; {group}, {parallelism}\)"):
        place(job)


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from(["", "default", "x", "y"])), min_size=1, max_size=8))
def test_every_subtask_has_one_slot_and_no_vertex_is_twice_in_one(shape: list[tuple[int, str]]) -> None:
    vertices = [vertex(f"v{n}", parallelism, slot_sharing_group=group) for n, (parallelism, group) in enumerate(shape)]
    slots = place(graph(*vertices)).slots
    placed = [member for members in slots for member in members]
    assert sorted(placed) == sorted(subtask(v.vertex_id, index) for v in vertices for index in range(v.parallelism))
    assert all(members and len({member.vertex for member in members}) == len(members) for members in slots)
    highest: dict[str, int] = {}
    for parallelism, group in shape:
        highest[group or "default"] = max(parallelism, highest.get(group or "default", 0))
    assert len(slots) == sum(highest.values())
