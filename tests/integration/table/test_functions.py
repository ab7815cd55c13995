"""Functions of users, from the Table API and from SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from table_rows import rows

from millstream.core.errors import UserCodeError
from millstream.table import (
    AggregateFunction,
    AsyncScalarFunction,
    DataTypes,
    FunctionContext,
    Row,
    ScalarFunction,
    Table,
    TableEnvironment,
    TableFunction,
    udaf,
    udf,
    udtf,
)
from millstream.table.expressions import call, col

pytestmark = pytest.mark.integration


@udf
def plus(x: int, y: int) -> int:
    return x + y


@udf
def arrow_plus(x: pa.Array, y: pa.Array) -> int:
    return pc.add(x, y)


def table_of(env: TableEnvironment) -> Table:
    return env.from_elements([(1, "a b"), (2, "c"), (3, "")], ["k", "s"])


def test_scalar_functions_by_annotation_type_and_class(env: TableEnvironment) -> None:
    @udf(result_type=DataTypes.BIGINT(), func_type="pandas")
    def pandas_plus(x: Any, y: Any) -> pd.Series:
        return x + y

    @udf(result_type="BIGINT")
    def polars_plus(x: pl.Series, y: pl.Series) -> pl.Series:
        return x + y

    class Opened(ScalarFunction):
        def open(self, function_context: FunctionContext) -> None:
            self.one = 1

        def eval(self, x: int) -> int:
            return x + self.one

    opened = udf(Opened())
    shout = udf(lambda text: text.upper(), result_type=DataTypes.STRING())
    k = col("k")
    found = table_of(env).select(
        plus(k, k), arrow_plus(k, k), pandas_plus(k, 1), polars_plus(k, 1), opened(k), shout(col("s"))
    )
    assert rows(found) == [(2, 2, 2, 2, 2, "A B"), (4, 4, 3, 3, 3, "C"), (6, 6, 4, 4, 4, "")]


def test_functions_by_name(env: TableEnvironment) -> None:
    env.create_temporary_system_function("plus_two", udf(lambda x: x + 2, result_type="BIGINT"))
    env.create_temporary_function("plus", plus)
    assert {"plus", "plus_two"} <= set(env.list_user_defined_functions())
    table = table_of(env)
    assert rows(table.select(call("plus_two", col("k")), call(plus, col("k"), 1))) == [(3, 2), (4, 3), (5, 4)]
    assert rows(env.sql_query(f"SELECT plus_two(k), plus(k, 1) FROM {table}")) == [(3, 2), (4, 3), (5, 4)]
    assert env.drop_temporary_function("plus") and env.drop_temporary_system_function("plus_two")
    assert not env.drop_temporary_function("plus")


def test_table_functions(env: TableEnvironment) -> None:
    @udtf
    def words(text: str) -> Iterator[tuple[str, int]]:
        for word in text.split():
            yield word, len(word)

    class Split(TableFunction):
        def eval(self, text: str) -> Iterator[str]:
            yield from text.split()

    table = table_of(env)
    joined = table.join_lateral(words(col("s")).alias("w", "n")).select(col("k"), col("w"), col("n"))
    assert rows(joined) == [(1, "a", 1), (1, "b", 1), (2, "c", 1)]
    outer = table.left_outer_join_lateral(udtf(Split(), result_types=DataTypes.STRING())(col("s")).alias("w"))
    assert rows(outer.select(col("k"), col("w"))) == [(1, "a"), (1, "b"), (2, "c"), (3, None)]
    assert rows(table.flat_map(words(col("s")).alias("w", "n"))) == [("a", 1), ("b", 1), ("c", 1)]
    env.create_temporary_function("words", words)
    assert len(rows(env.sql_query(f"SELECT k, w FROM {table}, LATERAL TABLE(words(s)) AS t(w, n)"))) == 3


def test_aggregate_functions(env: TableEnvironment) -> None:
    class Spread(AggregateFunction):
        def create_accumulator(self) -> list[int]:
            return []

        def accumulate(self, accumulator: list[int], value: int) -> None:
            accumulator.append(value)

        def retract(self, accumulator: list[int], value: int) -> None:
            accumulator.remove(value)

        def get_value(self, accumulator: list[int]) -> int:
            return max(accumulator) - min(accumulator)

    spread = udaf(Spread())
    middle = udaf(lambda v: v.mean(), result_type=DataTypes.DOUBLE(), func_type="pandas")
    table = env.from_elements([("a", 1), ("a", 5), ("b", 2)], ["g", "v"])
    found = table.group_by(col("g")).select(col("g"), spread(col("v")).alias("x"), middle(col("v")).alias("m"))
    assert rows(found) == [("a", 4, 3.0), ("b", 0, 2.0)]
    assert rows(table.select(spread(col("v")))) == [(4,)]


def test_functions_of_whole_rows(env: TableEnvironment) -> None:
    kind = DataTypes.ROW([DataTypes.FIELD("a", DataTypes.BIGINT()), DataTypes.FIELD("b", DataTypes.STRING())])
    changed = udf(lambda row: Row(row.k * 10, row[1] + "!"), result_type=kind)
    table = table_of(env)
    mapped = table.map(changed)
    assert mapped.get_schema().get_field_names() == ["a", "b"]
    assert rows(mapped) == [(10, "a b!"), (20, "c!"), (30, "!")]
    assert table.map(changed).alias("x", "y").get_schema().get_field_names() == ["x", "y"]
    pair = DataTypes.ROW([DataTypes.FIELD("low", DataTypes.BIGINT()), DataTypes.FIELD("high", DataTypes.BIGINT())])
    bounds = udaf(lambda values: (min(values), max(values)), result_type=pair, name="bounds")
    assert rows(table.aggregate(bounds(col("k")).alias("lo", "hi")).select(col("hi"), col("lo"))) == [(3, 1)]


def test_an_exception_names_the_function(env: TableEnvironment) -> None:
    @udf
    def broken(x: int) -> int:
        raise ValueError("no such thing")

    with pytest.raises(UserCodeError, match=r"(?s)the function broken .*line \d+.*no such thing"):
        table_of(env).select(broken(col("k"))).to_arrow()


def test_asynchronous_functions_in_sql_and_tables(env: TableEnvironment) -> None:
    """In projections, conditions and above an aggregate."""

    class Twice(AsyncScalarFunction):
        def open(self, function_context: FunctionContext) -> None:
            self.ready = asyncio.Event()

        async def eval(self, x: int) -> int:
            asyncio.get_running_loop().call_soon(self.ready.set)
            await self.ready.wait()
            return 2 * x

    @udf
    async def is_odd(x: int) -> bool:
        return x % 2 == 1

    twice = udf(Twice())
    table = table_of(env)
    assert sorted(table.select(twice(col("k")).alias("t")).to_arrow().to_pydict()["t"]) == [2, 4, 6]
    env.create_temporary_function("is_odd", is_odd)
    found = env.sql_query(f"SELECT SUM(k) AS s, is_odd(SUM(k)) AS odd FROM {table} WHERE is_odd(k)")
    assert found.to_arrow().to_pydict() == {"s": [4], "odd": [False]}


def test_an_asynchronous_function_that_fails_is_named(env: TableEnvironment) -> None:
    env.get_config().set("table.exec.async-scalar.retry-strategy", "NO_RETRY")

    @udf
    async def broken(x: int) -> int:
        return 1 // (x - 2)

    with pytest.raises(UserCodeError, match=r"broken .*test_functions.py, line \d+\) failed on \(2,\)"):
        table_of(env).select(broken(col("k"))).to_arrow()


def test_slow_asynchronous_calls_stay_side_by_side(env: TableEnvironment) -> None:
    """A step takes fewer rows where rows are slow, but not fewer than keep all calls busy."""

    class InFlight(AsyncScalarFunction):
        def open(self, function_context: FunctionContext) -> None:
            self.running = 0

        async def eval(self, x: int) -> int:
            self.running += 1
            await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.03)
            self.running -= 1
            return self.running + 1

    env.get_config().set("parallelism.default", "1")
    table = env.from_elements([(n,) for n in range(300)], ["n"])
    at_a_time = table.select(udf(InFlight())(col("n")).alias("c")).to_arrow().to_pydict()["c"]
    assert len(at_a_time) == 300 and max(at_a_time) == 10
    assert sum(count > 5 for count in at_a_time[200:]) > 20, at_a_time[200:]
