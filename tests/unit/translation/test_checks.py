"""Graphs that are no jobs, and the words they get."""

from collections.abc import Callable

import pytest
from graphs import graph, node

from millstream.client.translation.checks import check_graph, effective_max_parallelism
from millstream.connectors.collection import CollectionSource
from millstream.core.errors import JobGraphError
from millstream.core.graph.specs import SourceSpec
from millstream.core.graph.stream_graph import StreamGraph


def with_uids(made: StreamGraph) -> StreamGraph:
    for name, line in (("map", 3), ("sink", 4)):
        node(made, name).uid = "twice"
        node(made, name).defined_at = f"job.py:{line}"
    return made


def with_limited_source(made: StreamGraph) -> StreamGraph:
    node(made, "source").spec = SourceSpec(CollectionSource([1]))
    return made


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StreamGraph("empty"), ["empty", "source"]),
        (lambda: graph("source"), ["nothing", "'source'", "sink"]),
        (lambda: graph("map -> sink"), ["'map'", "no input"]),
        (lambda: with_uids(graph("source -> map -> sink")), ["'twice'", "'map' (job.py:3)", "'sink' (job.py:4)"]),
        (lambda: graph("source(2) -> map(3)"), ["forward()", "'source'", "'map'", "2 and 3", "rebalance"]),
        (lambda: with_limited_source(graph("source(2) -> map(2)")), ["'source'", "parallelism 2", "1 at most"]),
    ],
)
def test_refused(make: Callable[[], StreamGraph], words: list[str]) -> None:
    with pytest.raises(JobGraphError) as caught:
        check_graph(make())
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("parallelism", "own", "default", "expected"),
    [(1, None, 128, 128), (128, None, 128, 128), (129, None, 128, 256), (200, None, 128, 512), (4, 6, 128, 6)],
)
def test_max_parallelism(parallelism: int, own: int | None, default: int, expected: int) -> None:
    made = graph(f"source({parallelism})")
    node(made, "source").max_parallelism = own
    assert effective_max_parallelism(made, default) == {1: expected}


def test_parallelism_above_its_maximum_is_refused() -> None:
    made = graph("source(8)")
    node(made, "source").max_parallelism = 4
    with pytest.raises(JobGraphError, match="parallelism 8, above its max parallelism 4"):
        effective_max_parallelism(made, 128)
