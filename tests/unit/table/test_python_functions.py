"""Functions of the user's: types by annotation, rows and vectors, errors that name the user's line."""

import dataclasses
import datetime
import decimal
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from millstream.core.errors import JobGraphError, RecordTypeError, UserCodeError
from millstream.core.table import logical_types as lt
from millstream.core.table.evaluation import compile_expression
from millstream.core.table.expressions import InputRef, Literal, PythonCall
from millstream.core.table.functions.function import EvaluationContext
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.python_functions import (
    PythonAggregateFunction,
    PythonScalarFunction,
    PythonTableFunction,
    Vector,
    infer_types,
    vector_of,
)
from tests.unit.table.expression_text import row_type


@dataclasses.dataclass
class Point:
    x: int
    label: str | None


def scalar(function: Any, result: lt.LogicalType | None = None) -> PythonScalarFunction:
    arguments, kind = infer_types(function, function.__name__, result)
    return PythonScalarFunction(function.__name__, function, arguments, kind, vector=vector_of(function))


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "BIGINT"),
        (float, "DOUBLE"),
        (str, "STRING"),
        (bool, "BOOLEAN"),
        (bytes, "BYTES"),
        (decimal.Decimal, "DECIMAL(38, 18)"),
        (datetime.datetime, "TIMESTAMP(6)"),
        (datetime.date, "DATE"),
        (datetime.time, "TIME(0)"),
        (list[int], "ARRAY<BIGINT NOT NULL>"),
        (dict[str, float | None], "MAP<STRING NOT NULL, DOUBLE>"),
        (Point, "ROW<`x` BIGINT NOT NULL, `label` STRING>"),
        (tuple[int, str], "ROW<`f0` BIGINT NOT NULL, `f1` STRING NOT NULL>"),
        (int | None, "BIGINT"),
    ],
)
def test_types_come_from_annotations(annotation: Any, text: str) -> None:
    def function(value):  # type: ignore[no-untyped-def]
        return value

    function.__annotations__ = {"value": annotation, "return": annotation}
    arguments, result = infer_types(function, "function")
    assert result.text() == text
    assert arguments is not None and arguments[0].text() == text


def test_a_result_without_annotation_is_refused() -> None:
    def function(value: int):  # type: ignore[no-untyped-def]
        return value

    with pytest.raises(JobGraphError, match="result type of the function f is not known"):
        infer_types(function, "f")


def test_rows_become_columns_with_nulls_dataclasses_and_decimals() -> None:
    def point(x: int | None) -> Point | None:
        return None if x is None else Point(x, str(x))

    assert scalar(point).evaluate([pa.array([1, None])], 2).to_pylist() == [{"x": 1, "label": "1"}, None]

    def third(x: int) -> decimal.Decimal:
        return decimal.Decimal(x) / 3

    assert str(scalar(third).evaluate([pa.array([2])], 1)[0].as_py()) == "0.666666666666666667"


def test_vectors_by_annotation() -> None:
    def doubled(values: pa.Array) -> pa.Array:
        return pc.multiply(values, 2)

    def halved(values: pd.Series) -> pd.Series:
        return values / 2

    function = scalar(doubled, lt.BIGINT)
    assert function.vector is Vector.ARROW
    assert function.evaluate([pa.array([1, 2])], 2).to_pylist() == [2, 4]
    function = scalar(halved, lt.DOUBLE)
    assert function.vector is Vector.PANDAS
    assert function.evaluate([pa.array([1, 2])], 2).to_pylist() == [0.5, 1.0]


def test_a_vector_of_another_length_is_refused() -> None:
    def first(values: pa.Array) -> pa.Array:
        return values[:1]

    with pytest.raises(RecordTypeError, match="1 values for 2 rows"):
        scalar(first, lt.BIGINT).evaluate([pa.array([1, 2])], 2)


def test_an_error_names_function_line_and_row() -> None:
    def inverse(x: int) -> float:
        return 1 / x

    with pytest.raises(UserCodeError) as caught:
        scalar(inverse).evaluate([pa.array([1, 0])], 2)
    place = caught.value.place
    assert place.function == "inverse"
    assert place.record == "(0,)"
    assert place.line == inverse.__code__.co_firstlineno + 1
    assert "ZeroDivisionError" in caught.value.message


def test_a_result_of_another_type_names_the_row() -> None:
    def wrong(x: int) -> int:
        return "text" if x == 2 else x  # type: ignore[return-value]

    with pytest.raises(
        RecordTypeError, match=r"returned 'text' of type str; its type is BIGINT\nThe arguments were \(2,\)"
    ):
        scalar(wrong).evaluate([pa.array([1, 2])], 2)


def test_table_functions_give_rows_with_their_origin() -> None:
    def split(text: str) -> Iterator[tuple[str, int]]:
        for word in text.split():
            yield word, len(word)

    kind = lt.row(("word", lt.STRING), ("size", lt.INT))
    function = PythonTableFunction("split", split, (lt.STRING,), kind)
    origins, (words, sizes) = function.evaluate([pa.array(["a bc", "", "d"])], 3)
    assert origins.tolist() == [0, 0, 2]
    assert words.to_pylist() == ["a", "bc", "d"]
    assert sizes.to_pylist() == [1, 2, 1]


def test_aggregates_accumulate_retract_and_name_their_errors() -> None:
    class Total:
        def create_accumulator(self) -> list[int]:
            return [0]

        def accumulate(self, accumulator: list[int], value: int) -> None:
            accumulator[0] += value

        def retract(self, accumulator: list[int], value: int) -> None:
            accumulator[0] -= value

        def get_value(self, accumulator: list[int]) -> int:
            return accumulator[0]

    function = PythonAggregateFunction("total", Total(), (lt.BIGINT,), lt.BIGINT)
    accumulator = function.create()
    for value in (3, 4):
        accumulator = function.accumulate(accumulator, [value])
    accumulator = function.accumulate(accumulator, [3], retract=True)
    assert function.value(accumulator) == 4
    assert function.can_retract and not function.can_merge
    with pytest.raises(UserCodeError, match="the function total"):
        function.accumulate(accumulator, ["x"])
    with pytest.raises(JobGraphError, match="no method merge"):
        function.merge(accumulator, [])


def test_a_branch_of_case_sees_only_its_rows() -> None:
    seen: list[int] = []

    def spy(x: int) -> int:
        seen.append(x)
        return x * 10

    function = scalar(spy)
    columns = row_type(x=lt.BIGINT)
    column = InputRef(lt.BIGINT, 0)
    call = PythonCall(lt.BIGINT, "spy", function, (column,))
    condition = bind_call(">", [column, Literal(lt.BIGINT, 1)])
    case = bind_call("CASE", [condition, call, Literal(lt.BIGINT, -1)])
    answer = compile_expression(case, columns)([pa.array([1, 2, None, 3])], EvaluationContext(rows=4))
    assert answer.to_pylist() == [-1, 20, -1, 30]
    assert seen == [2, 3]


def test_a_function_without_a_signature_takes_what_it_is_given() -> None:
    assert infer_types(max, "max", lt.INT) == (None, lt.INT)
    with pytest.raises(JobGraphError, match="the result type of the function max is not known"):
        infer_types(max, "max")
