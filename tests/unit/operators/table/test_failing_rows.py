"""Errors name the row that failed, wherever it is in its batch, with the operator; never a row that did not fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from millstream.core.errors import ErrorPlace, MillstreamError, UserCodeError
from millstream.core.graph.specs import OperatorSpec
from millstream.core.table import logical_types as lt
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.expressions import Expression, InputRef, Literal, PythonCall
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.python_functions import PythonAggregateFunction, PythonScalarFunction
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import (
    FrameKind,
    GeneralOverSpec,
    GroupAggregateSpec,
    IntervalJoinSpec,
    JoinInput,
    JoinKind,
    JoinSpec,
    OverSpec,
    SortKey,
    Window,
    WindowAggregateSpec,
    WindowKind,
)
from millstream.taskmanager.operators.table.failing_rows import culprit, placed
from millstream.testing.harness import OperatorHarness
from tests.unit.operators.table.changelogs import batch_of

ROW = RowType((Column("k", lt.BIGINT), Column("v", lt.BIGINT), Column("at", lt.timestamp(3))))
BAD = 13


class Fragile:
    """A sum that does not like one number."""

    def create_accumulator(self) -> list[int]:
        return [0]

    def accumulate(self, accumulator: list[int], value: int) -> None:
        if value == BAD:
            raise ValueError("not this one")
        accumulator[0] += value

    def get_value(self, accumulator: list[int]) -> int:
        return accumulator[0]


CALL = AggregateCall(
    "fragile", (1,), (lt.BIGINT,), lt.BIGINT,
    function=PythonAggregateFunction("fragile", Fragile(), (lt.BIGINT,), lt.BIGINT),
)  # fmt: skip
GROUPS = GroupAggregateSpec(ROW, ROW.select((0, 1)), (0,), (CALL,), False, False)
WINDOWS = WindowAggregateSpec(ROW, ROW.select((0, 1)), (0,), (CALL,), Window(WindowKind.TUMBLE, 10), 2)
SORT = (SortKey(1),)
WITH_SUM = RowType((*ROW.columns, Column("s", lt.BIGINT)))
SPECS: dict[str, OperatorSpec] = {
    "groups": GROUPS,
    "final groups": replace(GROUPS, final_only=True),
    "windows": WINDOWS,
    "sessions": replace(WINDOWS, window=Window(WindowKind.SESSION, 10)),
    "running": OverSpec(ROW, WITH_SUM, (0,), 2, False, FrameKind.ROWS, None, (CALL,)),
    "running by event time": OverSpec(ROW, WITH_SUM, (0,), 2, True, FrameKind.ROWS, None, (CALL,)),
    "over": GeneralOverSpec(ROW, WITH_SUM, (0,), SORT, FrameKind.ROWS, None, 0, (CALL,), False, False),
}


@pytest.mark.parametrize("name", SPECS)
def test_aggregates_name_the_row(name: str) -> None:
    rows = [(n % 3, n, n) for n in range(20)]
    with OperatorHarness(SPECS[name]) as harness:
        harness.push_batch(batch_of(ROW, rows[:5]))
        with pytest.raises(UserCodeError) as caught:
            harness.push_batch(batch_of(ROW, rows[5:]))
            harness.watermark(100)
    assert f"failed on ({BAD},)" in caught.value.message and "'v': 13" in caught.value.place.record
    assert "The row was {'k': 1, 'v': 13" in caught.value.message
    assert caught.value.place.operator and caught.value.place.function == "fragile" and caught.value.place.line


def division(left: int, right: int) -> Expression:
    """``1 / (left - right) > 0``, of a function that Arrow would not compute in 0."""

    def inverse(n: int) -> int:
        return 1 // n

    call = PythonScalarFunction("inverse", inverse, (lt.BIGINT,), lt.BIGINT)
    difference = bind_call("-", [InputRef(lt.BIGINT, left), InputRef(lt.BIGINT, right)])
    return bind_call(">=", [PythonCall(lt.BIGINT, "inverse", call, (difference,)), Literal(lt.BIGINT, 0)])


def join_spec(kind: str) -> OperatorSpec:
    side = JoinInput(ROW, (0,))
    both = RowType((*ROW.columns, *(column.renamed(f"{column.name}0") for column in ROW.columns)))
    if kind == "interval":
        return IntervalJoinSpec(side, side, both, JoinKind.INNER, 2, 2, -100, 100, True, division(1, 4))
    return JoinSpec(side, side, both, JoinKind.INNER, division(1, 4))


@pytest.mark.parametrize("kind", ["regular", "interval"])
def test_a_join_condition_names_the_pair(kind: str) -> None:
    with OperatorHarness(join_spec(kind)) as harness:
        harness.push_batch(batch_of(ROW, [(1, 10 * n, n) for n in range(5)]))
        with pytest.raises(UserCodeError, match=r"(?s)operator .*: the function inverse .*ZeroDivision") as caught:
            harness.push_batch(batch_of(ROW, [(1, n, n) for n in (1, 2, 30, 3)]), input_index=1)
    assert "The row was {'left.v': 30, 'right.v': 30}." in caught.value.message


def numbers(*values: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(values)], names=["n"])


def test_a_row_that_fails_only_beside_others_is_not_blamed() -> None:
    def needs_three(records: pa.RecordBatch) -> None:
        if records.num_rows >= 3:
            raise ValueError("too many")

    assert culprit(numbers(1, 2, 3, 4), needs_three) is None
    told = placed(ValueError("too many"), numbers(1, 2, 3, 4), needs_three, "op")
    assert "operator 'op' failed on one of 4 rows, the first of which is {'n': 1}" in told.message
    known = UserCodeError("f failed on (3,)", place=ErrorPlace(function="f", record="(3,)"))
    told = placed(known, numbers(1, 2, 3, 4), None, "op")
    assert told.message == "operator 'op': f failed on (3,)" and told.place == ErrorPlace("op", "f", record="(3,)")


def test_an_operator_further_down_keeps_its_name() -> None:
    def fails(records: pa.RecordBatch) -> Any:
        raise AssertionError("must not be asked")

    error = MillstreamError("down there", place=ErrorPlace(operator="sink"))
    assert placed(error, numbers(1), fails, "op") is error and error.message == "down there"
