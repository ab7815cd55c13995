"""``StreamTableEnvironment``: tables beside the streams of a DataStream program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sqlglot import exp

from millstream.client.job_client import JobClient
from millstream.client.queries.runner import job_settings, planner
from millstream.client.queries.session_zone import session_zone
from millstream.client.session import current_session
from millstream.client.submit import submit_graph
from millstream.core.api.row import Row
from millstream.core.config import Configuration, options
from millstream.core.table.row_type import Column, RowType, TimeAttribute
from millstream.datastream import DataStream, StreamExecutionEnvironment
from millstream.datastream.call_site import refuse
from millstream.datastream.stream import Upstream
from millstream.sql.parser.statements import ComputedColumn, MetadataColumn, PhysicalColumn
from millstream.sql.plan.nodes import Node, StreamScan
from millstream.sql.planner.planner import PlannedJob
from millstream.sql.planner.tables import completed
from millstream.sql.planner.uids import operators_of
from millstream.table.binding import placed, services_of
from millstream.table.environment_settings import EnvironmentSettings
from millstream.table.program_streams import ProgramStream, add_to_program, columns_of
from millstream.table.schema import Schema
from millstream.table.table import Table
from millstream.table.table_descriptor import TableDescriptor
from millstream.table.table_environment import ORIGIN, TableEnvironment

ROWTIME = "rowtime"
"""The metadata column that holds the event time of a stream's records."""


class StreamTableEnvironment(TableEnvironment):
    """A table of a stream runs when it becomes a stream again and the program executes."""

    def __init__(self, settings: EnvironmentSettings, streams: StreamExecutionEnvironment) -> None:
        self._streams = streams
        super().__init__(settings)

    @classmethod
    def create(  # type: ignore[override]
        cls,
        stream_execution_environment: StreamExecutionEnvironment,
        environment_settings: EnvironmentSettings | None = None,
    ) -> StreamTableEnvironment:
        """Beside the streams of ``stream_execution_environment``."""
        if not isinstance(stream_execution_environment, StreamExecutionEnvironment):
            raise refuse("StreamTableEnvironment.create takes a StreamExecutionEnvironment.")
        settings = environment_settings or EnvironmentSettings.in_streaming_mode()
        return cls(settings, stream_execution_environment)

    def from_data_stream(self, data_stream: DataStream[Any], schema: Schema | None = None) -> Table:
        """The records as rows: inserts.

        Without columns in ``schema`` they are those of the records' type. A metadata column ``rowtime`` is the event
        time of the records; ``.watermark("rowtime", "SOURCE_WATERMARK()")`` keeps the stream's watermarks.
        """
        return Table(self, self._scan(data_stream, schema or Schema(), changelog=False))

    def from_changelog_stream(self, data_stream: DataStream[Row], schema: Schema | None = None) -> Table:
        """``Row`` records as changes, by their row kinds; updates come in pairs."""
        return Table(self, self._scan(data_stream, schema or Schema(), changelog=True))

    def to_data_stream(self, table: Table) -> DataStream[Row]:
        """The rows as a stream. Raises ``JobGraphError`` for a table whose rows change."""
        return self._stream_of(table, changelog=False)

    def to_changelog_stream(self, table: Table) -> DataStream[Row]:
        """The changes as a stream: ``Row`` with row kinds."""
        return self._stream_of(table, changelog=True)

    def _below(self, own: dict[str, Any]) -> Callable[[], Configuration]:
        """With what the program sets for its streams, now or later: checkpoints, parallelism."""
        session = current_session().configuration
        given: dict[str, Any] = {}
        found = session.with_values(own, ORIGIN)

        def below() -> Configuration:
            nonlocal given, found
            of_streams = self._streams._settings.to_dict()
            if of_streams != given:
                given, found = of_streams, session.with_values(of_streams, ORIGIN).with_values(own, ORIGIN)
            return found

        return below

    def _submit(self, planned: PlannedJob, name: str) -> tuple[JobClient, Mapping[int, str]]:
        """Of the program, the job has what the table reads and nothing else."""
        if all(operator.stream is None for operator in operators_of(planned.ends)):
            return super()._submit(planned, name)
        settings, name, parallelism = job_settings(self._session, planned, name)
        ends, added = add_to_program(self._streams._program, planned.ends)
        self._streams._program.belong_elsewhere(added)
        graph = self._streams._program.build(name, parallelism, [end.node_id for end in ends])
        job, ids = submit_graph(graph, settings)
        return job, {order: ids[end.node_id] for order, end in enumerate(ends)}

    def _scan(self, stream: DataStream[Any], schema: Schema, *, changelog: bool) -> Node:
        if not isinstance(stream, DataStream) or stream.get_execution_environment() is not self._streams:
            raise refuse("a table is made of a DataStream of the program that this environment was created for.")
        if not any(isinstance(column, PhysicalColumn) for column in schema.columns):
            found = Schema.of(columns_of(stream.get_type()))
            schema = replace(schema, columns=(*found.columns, *schema.columns))
        stored = [column for column in schema.columns if not isinstance(column, ComputedColumn)]
        rowtime = None
        for position, column in enumerate(stored):
            if isinstance(column, MetadataColumn):
                if (column.key or column.name) != ROWTIME:
                    raise refuse(f"streams have the metadata {ROWTIME!r} only, not {column.key or column.name!r}.")
                rowtime = position
        kept = schema.watermark is not None and _is_source_watermark(schema.watermark.expression)
        columns = [
            Column(column.name, column.type, _time(schema, column.name, kept, position == rowtime))
            for position, column in enumerate(stored)
        ]
        scan = StreamScan(RowType(tuple(columns)), ProgramStream(stream, rowtime), changelog)
        table = TableDescriptor({}, replace(schema, watermark=None if kept else schema.watermark)).catalog_table()
        services = services_of(self._session)
        return placed(lambda: completed(scan, "of the stream", table, services.bind_expression))

    def _stream_of(self, table: Table, *, changelog: bool) -> DataStream[Row]:
        node = self._node_of(table, "to_data_stream")
        planned = placed(lambda: planner(self._session).plan_rows(node, changelog))
        program = self._streams._program
        (end,), added = add_to_program(program, planned.ends)
        program.belong_elsewhere(added)
        zone = session_zone(self._session.configuration).key
        self._streams.configure({options.TABLE_LOCAL_TIME_ZONE.key: zone})
        return DataStream(self._streams, [Upstream(end)], None)


def _is_source_watermark(expression: exp.Expr) -> bool:
    return isinstance(expression, exp.Anonymous) and str(expression.this).upper() == "SOURCE_WATERMARK"


def _time(schema: Schema, name: str, kept: bool, is_rowtime: bool) -> TimeAttribute:
    if not kept or schema.watermark is None or schema.watermark.column != name:
        return TimeAttribute.NONE
    if not is_rowtime:
        raise refuse(f"SOURCE_WATERMARK() is for the metadata column {ROWTIME!r}, not for {name!r}.")
    return TimeAttribute.ROWTIME
