"""Built-in aggregations of columns give what those of rows give, also where they have to change over to rows."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.graph.specs import AggregationSpec, ChainedOperator
from millstream.taskmanager.operators.operator import Operator
from millstream.taskmanager.operators.registry import create_operator
from millstream.taskmanager.operators.running_aggregate import RunningAggregate
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import ALL_MODES, RunMode

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 5)
RECORDS = st.lists(
    st.fixed_dictionaries({"k": st.integers(-2, 2), "v": NUMBERS, "x": st.floats(allow_nan=False)}), max_size=12
)
INTS = pa.schema([("k", pa.int64()), ("v", pa.int64()), ("x", pa.float64())])


def arrow(rows: list[dict[str, Any]], schema: pa.Schema = INTS) -> ArrowBatch:
    return ArrowBatch(pa.RecordBatch.from_pylist(rows, schema))


def operator_of(kind: str, columnar: bool) -> OperatorHarness:
    spec = AggregationSpec(kind, "v", "k" if columnar else None)  # type: ignore[arg-type]
    return OperatorHarness(spec, key_selector=itemgetter("k"))


def aggregated(kind: str, batches: list[Batch], columnar: bool, mode: RunMode | None = None) -> list[Any]:
    """What the operator emits."""
    spec = AggregationSpec(kind, "v", "k" if columnar else None)  # type: ignore[arg-type]
    with OperatorHarness(spec, key_selector=itemgetter("k"), mode=mode) as harness:
        for batch in batches:
            harness.push_batch(batch)
        return [record.value for record in harness.output.records]


@pytest.mark.parametrize("kind", ["sum", "min", "max"])
@settings(max_examples=60, deadline=None)
@given(parts=st.lists(RECORDS, max_size=5), rows_at=st.integers(0, 8))
def test_columns_equal_rows(kind: str, parts: list[list[dict[str, Any]]], rows_at: int) -> None:
    """Sums leave 64 bits here and there, and one batch may come as rows."""
    mixed: list[Batch] = [ObjectBatch(part) if i == rows_at else arrow(part) for i, part in enumerate(parts)]
    expected = aggregated(kind, [ObjectBatch(part) for part in parts], columnar=False)
    for mode in ALL_MODES:
        assert aggregated(kind, mixed, columnar=True, mode=mode) == expected, mode


@pytest.mark.parametrize("restored_columnar", [True, False])
@pytest.mark.parametrize("taken_columnar", [True, False])
def test_state_moves_between_columns_and_rows(taken_columnar: bool, restored_columnar: bool) -> None:
    before = [{"k": i % 3, "v": i, "x": float(i)} for i in range(10)]
    after = [{"k": i % 4, "v": 100 + i, "x": -1.0} for i in range(10)]
    with operator_of("sum", taken_columnar) as first:
        first.push_batch(arrow(before))
        taken = first.operator.snapshot(1)
        assert taken is not None
        state = taken.settled()
        first.push_batch(arrow(before[:1]))
        assert first.output.records[-1].value == {"k": 0, "v": 18, "x": 0.0}, "a snapshot changes nothing"

    def restored(chained: ChainedOperator) -> Operator:
        made = create_operator(chained)
        made.restore(state)
        return made

    spec = AggregationSpec("sum", "v", "k" if restored_columnar else None)
    with OperatorHarness(spec, key_selector=itemgetter("k"), create=restored) as second:
        second.push_batch(arrow(after))
        continued = [record.value for record in second.output.records]
    assert continued == aggregated("sum", [ObjectBatch(before + after)], columnar=False)[10:]


def test_text_keys() -> None:
    schema = pa.schema([("k", pa.string()), ("v", pa.float64())])
    aggregate = RunningAggregate("sum", "k", "v")
    first = aggregate.add(arrow([{"k": "b", "v": 1.0}, {"k": "a", "v": 2.0}, {"k": "b", "v": 4.0}], schema).records)
    second = aggregate.add(arrow([{"k": "c", "v": 1.0}, {"k": "b", "v": 0.5}], schema).records)
    assert first.column("v").to_pylist() == [1.0, 2.0, 5.0]
    assert second.column("v").to_pylist() == [1.0, 5.5]
    assert dict(aggregate.rows()) == {
        "b": {"k": "b", "v": 5.5}, "a": {"k": "a", "v": 2.0}, "c": {"k": "c", "v": 1.0},
    }  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [[{"k": None, "v": 1, "x": 0.0}], [{"k": 1, "v": None, "x": 0.0}], [{"k": 1, "v": 1, "x": None}]],
)
def test_nulls_are_left_to_rows(rows: list[dict[str, Any]]) -> None:
    assert RunningAggregate("sum", "k", "v").add(arrow(rows).records) is None
