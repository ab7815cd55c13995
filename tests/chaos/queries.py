"""The same running count and windows as queries: what they write must be the same, row for row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from millstream.common import Types
from millstream.datastream import StreamExecutionEnvironment
from millstream.datastream.functions import MapFunction

if TYPE_CHECKING:
    from tests.chaos.job import Load

RUNNING_COUNT: Final = """
    SELECT k, n, COUNT(*) OVER w, SUM(n) OVER w FROM numbers WINDOW w AS (PARTITION BY k ORDER BY rowtime)
"""
WINDOWS: Final = """
    SELECT k, MIN(n), COUNT(*), SUM(n)
    FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(rowtime), INTERVAL '1' SECOND))
    GROUP BY k, window_start, window_end
"""
"""A hundred records of a key, ten milliseconds apart."""


class _Noted(MapFunction[Any, Any]):
    """Each record as it is; the process that has it is noted."""

    def __init__(self, load: Load) -> None:
        self._load = load

    def open(self, runtime_context: Any) -> None:
        self._load.note_process(runtime_context.get_index_of_this_subtask())

    def map(self, value: Any) -> Any:
        return tuple(value)


def add_queries(env: StreamExecutionEnvironment, records: Any, load: Load) -> None:
    """``records``: key and number, with event time."""
    from millstream.table import DataTypes, Schema, StreamTableEnvironment

    rows = records.map(_Noted(load), Types.ROW_NAMED(["k", "n"], [Types.LONG(), Types.LONG()])).uid("rows")
    tables = StreamTableEnvironment.create(env)
    schema = Schema.new_builder().column_by_metadata("rowtime", DataTypes.TIMESTAMP_LTZ(3))
    tables.create_temporary_view(
        "numbers", tables.from_data_stream(rows, schema.watermark("rowtime", "SOURCE_WATERMARK()").build())
    )
    for name, query in (("counts", RUNNING_COUNT), ("windows", WINDOWS)):
        found = tables.to_data_stream(tables.sql_query(query)).map(tuple).uid(f"{name} as tuples")
        found.write_csv(str(load.directory / name), header=False).uid(f"{name} sink")
