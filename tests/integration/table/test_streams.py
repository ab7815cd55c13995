"""Tables of streams and streams of tables, in one job."""

from __future__ import annotations

import pytest
from table_rows import rows

from millstream.client.session import Session
from millstream.common import Types, WatermarkStrategy
from millstream.core.errors import MillstreamError
from millstream.datastream import StreamExecutionEnvironment
from millstream.table import DataTypes, Row, RowKind, Schema, StreamTableEnvironment, Tumble
from millstream.table.expressions import col, lit

pytestmark = pytest.mark.integration

PAIR = Types.ROW_NAMED(["k", "s"], [Types.LONG(), Types.STRING()])


@pytest.fixture
def streams(cluster: Session) -> StreamExecutionEnvironment:
    return StreamExecutionEnvironment.get_execution_environment()


@pytest.fixture
def env(streams: StreamExecutionEnvironment) -> StreamTableEnvironment:
    return StreamTableEnvironment.create(streams)


def test_there_and_back(streams: StreamExecutionEnvironment, env: StreamTableEnvironment) -> None:
    stream = streams.from_collection([(1, "a"), (2, "b"), (3, "a")], PAIR).map(lambda r: (r[0] * 10, r[1]), PAIR)
    table = env.from_data_stream(stream).where(col("k") > 10).select(col("k"), col("s").upper_case.alias("S"))
    back = env.to_data_stream(table).map(lambda row: (row.k, row["S"]))
    with back.execute_and_collect() as found:
        assert sorted(found) == [(20, "B"), (30, "A")]
    assert rows(table) == [(20, "B"), (30, "A")]
    env.create_temporary_view("t", table)
    assert rows(env.sql_query("SELECT COUNT(*) FROM t WHERE k > 25")) == [(1,)]


def test_event_time_goes_with_the_records(streams: StreamExecutionEnvironment, env: StreamTableEnvironment) -> None:
    strategy = WatermarkStrategy.for_bounded_out_of_orderness("1s").with_timestamp_assigner(lambda r, _: r[0] * 1000)
    stream = streams.from_collection([(1, "a"), (2, "b"), (12, "a")], PAIR).assign_timestamps_and_watermarks(strategy)
    schema = Schema.new_builder().column_by_metadata("rowtime", DataTypes.TIMESTAMP_LTZ(3))
    table = env.from_data_stream(stream, schema.watermark("rowtime", "SOURCE_WATERMARK()").build())
    counts = (
        table.window(Tumble.over(lit(10).seconds).on(col("rowtime")).alias("w"))
        .group_by(col("w"))
        .select(col("k").sum.alias("n"))
    )
    assert rows(counts) == [(12,), (3,)]
    with env.to_data_stream(counts).execute_and_collect() as found:
        assert sorted(row.n for row in found) == [3, 12]


def test_a_computed_column_and_a_watermark(streams: StreamExecutionEnvironment, env: StreamTableEnvironment) -> None:
    schema = (
        Schema.new_builder()
        .column("f0", DataTypes.BIGINT())
        .column_by_expression("ts", "TO_TIMESTAMP_LTZ(f0, 3)")
        .watermark("ts", "ts - INTERVAL '1' SECOND")
        .build()
    )
    table = env.from_data_stream(streams.from_collection([1000, 2000, 61000], Types.LONG()), schema)
    counts = table.window(Tumble.over(lit(1).minutes).on(col("ts")).alias("w")).group_by(col("w"))
    assert rows(counts.select(col("f0").count.alias("n"))) == [(1,), (2,)]


def test_changes_become_records_and_records_changes(
    streams: StreamExecutionEnvironment, env: StreamTableEnvironment
) -> None:
    streams.set_parallelism(1)

    def change(kind: RowKind, k: int, s: str) -> Row:
        row = Row(k=k, s=s)
        row.set_row_kind(kind)
        return row

    changes = [change(RowKind.INSERT, 1, "a"), change(RowKind.INSERT, 2, "a"), change(RowKind.DELETE, 1, "a")]
    table = env.from_changelog_stream(streams.from_collection(changes, PAIR))
    assert rows(table) == [(2, "a")]
    counts = table.group_by(col("s")).select(col("s"), col("k").sum.alias("n"))
    assert rows(counts) == [("a", 2)]
    with (
        env.to_changelog_stream(counts).map(lambda row: (str(row.get_row_kind()), row.n)).execute_and_collect() as found
    ):
        assert list(found)[-1] in (("+I", 2), ("+U", 2)), "the first if all came in one batch"
    with pytest.raises(MillstreamError, match=r"test_streams.py:\d+: .*to_changelog_stream"):
        env.to_data_stream(counts)


def test_records_of_unknown_types_are_refused(streams: StreamExecutionEnvironment, env: StreamTableEnvironment) -> None:
    with pytest.raises(MillstreamError, match="type of the stream's records is not known"):
        env.from_data_stream(streams.from_collection([1]).map(lambda value: value))
