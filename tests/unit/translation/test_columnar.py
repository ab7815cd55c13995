"""Which programs get columns from their sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from millstream.client.translation.columnar import with_columnar_sources
from millstream.common import WatermarkStrategy
from millstream.core.graph.specs import AggregationSpec, SourceSpec
from millstream.datastream import StreamExecutionEnvironment

NUMBERS = {"k": int, "v": int}
Build = Callable[[StreamExecutionEnvironment], Any]


def json(environment: StreamExecutionEnvironment, schema: Any = None) -> Any:
    return environment.read_json("in.ndjson", schema=schema or NUMBERS)


def key_columns(build: Build) -> list[str | None]:
    """The key column of each aggregation; the sources are columnar just when there is one."""
    environment = StreamExecutionEnvironment.get_execution_environment()
    build(environment)
    graph = environment._program.build("job", 2)
    found = with_columnar_sources(graph)
    columns = [node.spec.key_column for node in found.nodes.values() if isinstance(node.spec, AggregationSpec)]
    before = {i: node.spec.source for i, node in graph.nodes.items() if isinstance(node.spec, SourceSpec)}
    changed = any(found.nodes[i].spec.source is not source for i, source in before.items())  # type: ignore[attr-defined]
    assert changed == any(columns)
    return columns


@pytest.mark.parametrize(
    "build",
    [
        lambda env: json(env).key_by("k").sum("v").print(),
        lambda env: json(env).key_by(["k"]).min("v").map(str).print(),
        lambda env: json(env, {"k": str, "v": float, "w": int}).key_by("k").max("v").print(),
        lambda env: env.read_csv("in.csv", schema=NUMBERS, columns=["k", "v"]).key_by("k").sum("v").print(),
    ],
)
def test_declared_numbers_behind_a_field_key(build: Build) -> None:
    assert key_columns(build) == ["k"]


@pytest.mark.parametrize(
    "build",
    [
        lambda env: json(env).key_by(lambda row: row["k"]).sum("v").print(),
        lambda env: json(env).map(lambda row: row).key_by("k").sum("v").print(),
        lambda env: json(env).key_by("k").min_by("v").print(),
        lambda env: json(env).key_by(["k", "v"]).sum("v").print(),
        lambda env: json(env).key_by("v").sum("v").print(),
        lambda env: json(env, {"k": int, "v": int, "s": str}).key_by("k").sum("v").print(),
        lambda env: json(env, {"k": int, "v": int | None}).key_by("k").sum("v").print(),
        lambda env: json(env).union(json(env)).key_by("k").sum("v").print(),
        lambda env: (
            json(env)
            .assign_timestamps_and_watermarks(WatermarkStrategy.for_monotonous_timestamps())
            .key_by("k")
            .sum("v")
            .print()
        ),
        lambda env: env.read_csv("in.csv", schema={"v": int}, columns=["k", "v"]).key_by("k").sum("v").print(),
        lambda env: (lambda rows: (rows.key_by("k").sum("v").print(), rows.map(str).print()))(json(env)),
    ],
)
def test_everything_else_gets_rows(build: Build) -> None:
    assert key_columns(build) == [None]
