"""Tables run: what comes back from the cluster, in every form."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from table_rows import rows

from millstream.core.errors import MillstreamError
from millstream.table import (
    DataTypes,
    FormatDescriptor,
    Over,
    ResultKind,
    Row,
    RowKind,
    Schema,
    Table,
    TableDescriptor,
    TableEnvironment,
    Tumble,
)
from millstream.table.expressions import call, col, lit, proctime, row_interval

pytestmark = pytest.mark.integration

ROWS = [(1, "a"), (2, "b"), (3, "a"), (4, None)]


def abc(env: TableEnvironment) -> Table:
    return env.from_elements(ROWS, ["k", "s"])


def test_elements_of_every_kind_come_back(env: TableEnvironment) -> None:
    kind = DataTypes.ROW(
        [
            DataTypes.FIELD("i", DataTypes.INT()),
            DataTypes.FIELD("d", DataTypes.DECIMAL(10, 2)),
            DataTypes.FIELD("t", DataTypes.TIMESTAMP(3)),
            DataTypes.FIELD("a", DataTypes.ARRAY(DataTypes.STRING())),
            DataTypes.FIELD("m", DataTypes.MAP(DataTypes.STRING(), DataTypes.BIGINT())),
            DataTypes.FIELD("r", DataTypes.ROW([DataTypes.FIELD("x", DataTypes.DOUBLE())])),
            DataTypes.FIELD("b", DataTypes.BYTES()),
        ]
    )
    moment = datetime.datetime(2024, 1, 31, 12, 30)
    given = (7, Decimal("1.50"), moment, ["x", None], {"k": 1}, Row(x=0.5), b"\x00")
    with env.from_elements([given, (None,) * 7], kind).execute().collect() as found:
        first, second = list(found)
    assert tuple(first) == given
    assert first.r.x == 0.5
    assert first.get_field_names() == ["i", "d", "t", "a", "m", "r", "b"]
    assert tuple(second) == (None,) * 7


def test_dicts_rows_and_single_values(env: TableEnvironment) -> None:
    assert rows(env.from_elements([{"a": 1, "b": "x"}, {"b": "y", "a": 2}])) == [(1, "x"), (2, "y")]
    assert rows(env.from_elements([Row(a=1)])) == [(1,)]
    table = env.from_elements([5, 6])
    assert table.get_schema().get_field_names() == ["_1"]
    assert rows(table) == [(5,), (6,)]


def test_rows_come_back_in_the_order_in_which_they_were_given(env: TableEnvironment) -> None:
    table = env.from_elements([(number,) for number in range(1000)], ["n"])
    assert table.to_arrow()["n"].to_pylist() == list(range(1000))


def test_frames_go_in_and_out(env: TableEnvironment) -> None:
    frame = pd.DataFrame({"x": [1, 2], "y": ["a", "b"]})
    table = env.from_pandas(frame)
    pd.testing.assert_frame_equal(table.to_pandas(), frame)
    assert env.from_polars(pl.from_pandas(frame)).to_polars().equals(pl.from_pandas(frame))
    renamed = env.from_arrow(pa.table({"x": [1]}), ["z"])
    assert renamed.to_arrow().equals(pa.table({"z": [1]}))


def test_changes_are_folded_and_told(env: TableEnvironment) -> None:
    env.get_config().set("parallelism.default", "1")
    counts = abc(env).group_by(col("s")).select(col("s"), col("k").sum.alias("n"))
    again = counts.group_by(col("n") > 3).select((col("n") > 3).alias("big"), col("n").count.alias("c"))
    assert rows(again) == [(False, 1), (True, 2)]
    kinds = {row.get_row_kind() for row in again}
    assert RowKind.INSERT in kinds


def test_sql_and_tables_know_each_other(env: TableEnvironment) -> None:
    table = abc(env)
    assert rows(env.sql_query(f"SELECT s, COUNT(*) FROM {table} WHERE s IS NOT NULL GROUP BY s")) == [
        ("a", 2),
        ("b", 1),
    ]
    env.create_temporary_view("v", table)
    assert env.list_temporary_views() == ["UnnamedTable$2", "v"]
    assert rows(env.from_path("v").where(col("k") == 1)) == [(1, "a")]
    env.execute_sql("CREATE TEMPORARY VIEW w AS SELECT k FROM v WHERE k > 2")
    assert rows(env.from_path("w")) == [(3,), (4,)]
    assert env.execute_sql("SELECT MAX(k) m FROM w").to_arrow().to_pydict()["m"][-1] == 4
    assert env.drop_temporary_view("v") and not env.drop_temporary_view("v")


def test_windows_and_overs(env: TableEnvironment) -> None:
    schema = Schema.new_builder().column("k", "INT").column("ts", DataTypes.TIMESTAMP(3))
    schema.column_by_expression("twice", "k * 2").watermark("ts", "ts - INTERVAL '1' SECOND")
    data = '[[1, "2024-01-01 00:00:01"], [2, "2024-01-01 00:00:02"], [4, "2024-01-01 00:00:11"]]'
    descriptor = TableDescriptor.for_connector("values").schema(schema.build()).option("data", data).build()
    env.create_temporary_table("t", descriptor)
    table = env.from_path("t")
    windowed = (
        table.window(Tumble.over(lit(10).seconds).on(col("ts")).alias("w"))
        .group_by(col("w"))
        .select(col("w").start.alias("s"), col("twice").sum.alias("n"))
    )
    at = datetime.datetime(2024, 1, 1)
    assert rows(windowed) == [(at, 6), (at.replace(second=10), 8)]
    over = Over.order_by(col("ts")).preceding(row_interval(1)).alias("w")
    assert rows(table.over_window(over).select(col("k").sum.over(col("w")))) == [(1,), (3,), (6,)]


def test_joins_sets_and_the_first_rows(env: TableEnvironment, batch: TableEnvironment) -> None:
    left = abc(env)
    right = env.from_elements([("a", 10), ("c", 30)], ["name", "v"])
    assert rows(left.join(right, col("s") == col("name")).select(col("k"), col("v"))) == [(1, 10), (3, 10)]
    outer = left.left_outer_join(right, col("s") == col("name")).select(col("k"), col("v"))
    assert rows(outer) == [(1, 10), (2, None), (3, 10), (4, None)]
    names = left.select(col("s"))
    assert rows(names.union(right.select(col("name")))) == [("a",), ("b",), ("c",), (None,)]
    assert rows(left.where(col("s").in_(right.select(col("name"))))) == [(1, "a"), (3, "a")]
    assert rows(left.order_by(col("k").desc).fetch(2)) == [(3, "a"), (4, None)]
    ordered = abc(batch).order_by(col("k").desc).offset(1).fetch(2).select(col("k"))
    assert ordered.to_arrow().to_pydict() == {"k": [3, 2]}


def test_inserts(env: TableEnvironment, tmp_path: Path) -> None:
    schema = Schema.new_builder().column("k", DataTypes.BIGINT()).column("s", "STRING").build()
    for name in ("one", "two"):
        descriptor = (
            TableDescriptor.for_connector("filesystem")
            .schema(schema)
            .option("path", str(tmp_path / name))
            .format(FormatDescriptor.for_format("json").build())
            .build()
        )
        env.create_temporary_table(name, descriptor)
    result = abc(env).execute_insert("one")
    assert list(result.collect()) == [Row(-1)]
    result.wait()
    assert rows(env.from_path("one")) == sorted(ROWS, key=repr)
    both = env.create_statement_set()
    both.add_insert("one", abc(env).where(col("k") == 1)).add_insert_sql("INSERT INTO two SELECT k, s FROM one")
    assert "filesystem" in both.explain() or "one" in both.explain()
    both.execute().wait()
    assert len(rows(env.from_path("one"))) == 5
    assert len(rows(env.from_path("two"))) >= 4
    with pytest.raises(MillstreamError, match=r"test_tables.py:\d+: .*takes 2"):
        abc(env).select(col("k")).execute_insert("one")


def test_results_print(env: TableEnvironment, capsys: pytest.CaptureFixture[str]) -> None:
    result = abc(env).where(col("k") < 2).execute()
    assert result.get_result_kind() is ResultKind.SUCCESS_WITH_CONTENT
    result.print()
    assert "| 1 | a" in " ".join(capsys.readouterr().out.split())
    env.execute_sql("SHOW CATALOGS").print()
    assert "default_catalog" in capsys.readouterr().out
    done = env.execute_sql("CREATE TABLE x (a INT) WITH ('connector' = 'blackhole')")
    assert done.get_result_kind() is ResultKind.SUCCESS
    assert [tuple(row) for row in done.collect()] == [("OK",)]
    abc(env).print_schema()
    assert "`k` BIGINT" in capsys.readouterr().out


def test_the_clock(env: TableEnvironment) -> None:
    table = abc(env).add_columns(proctime().alias("p"))
    assert "*PROCTIME*" in str(table.get_resolved_schema())
    (year,) = {row[0] for row in table.select(call("YEAR", col("p").cast(DataTypes.TIMESTAMP(3)))).execute().collect()}
    assert year >= 2024


def test_a_failing_job_tells_why(env: TableEnvironment) -> None:
    table = env.from_elements([("x",)], ["s"]).select(col("s").cast(DataTypes.INT()))
    with pytest.raises(MillstreamError, match="'x'"):
        table.to_arrow()
