"""Ids stay the same for the same program, and depend on nothing but the uid where one is given."""

import pytest
from graphs import graph, node

from millstream.client.translation.operator_ids import operator_ids
from millstream.core.graph.stream_graph import StreamGraph

PROGRAM = ("source:s -> map:a => reduce:r -> sink:k", "s -> filter:f -> sink:l")


def ids(made: StreamGraph) -> dict[str, str]:
    return {made.nodes[node_id].name: found for node_id, found in operator_ids(made).items()}


def test_the_same_program_has_the_same_distinct_ids() -> None:
    found = ids(graph(*PROGRAM))
    assert found == ids(graph(*PROGRAM))
    assert len(set(found.values())) == 6
    assert all(len(value) == 32 and int(value, 16) >= 0 for value in found.values())


def test_names_and_parallelism_do_not_count() -> None:
    changed = graph(*PROGRAM)
    for number, operator in changed.nodes.items():
        operator.name, operator.parallelism, operator.defined_at = f"other {number}", 7, "elsewhere.py:1"
    assert list(operator_ids(changed).values()) == list(operator_ids(graph(*PROGRAM)).values())


def test_a_change_changes_what_is_behind_it_only() -> None:
    before = ids(graph(*PROGRAM))
    after = ids(graph("source:s -> filter:g -> map:a => reduce:r -> sink:k", "s -> filter:f -> sink:l"))
    changed = {name for name in before if after[name] != before[name]}
    assert {"a", "r", "k"} <= changed and "s" not in changed


def test_a_uid_survives_changes_around_it_and_shields_what_is_behind_it() -> None:
    before, after = graph(*PROGRAM), graph("source:s -> filter:g -> map:a => reduce:r -> sink:k")
    node(before, "r").uid = node(after, "r").uid = "totals"
    assert ids(before)["r"] == ids(after)["r"]
    assert ids(before)["k"] == ids(after)["k"]
    assert ids(before)["a"] != ids(after)["a"]


def test_twins_differ() -> None:
    found = ids(graph("source:s -> map:a", "s -> map:b"))
    assert found["a"] != found["b"]


@pytest.mark.parametrize("line", ["source:s => comap:c", "source:s -> comap:c"])
def test_a_self_join_has_one_id_per_operator(line: str) -> None:
    assert len(set(ids(graph(line, "s -> c")).values())) == 2
