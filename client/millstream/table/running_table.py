"""What a table gives: its columns, its plan, its rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from millstream.client.queries.runner import planner, query_result
from millstream.core.errors import PicklingError
from millstream.core.table.row_type import RowType
from millstream.sql.plan.nodes import Node
from millstream.sql.planner.planner import PlannedJob
from millstream.table.binding import placed
from millstream.table.explain_detail import ExplainDetail
from millstream.table.schemas import ResolvedSchema, TableSchema
from millstream.table.table_result import StreamedResult, TableResult

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from millstream.core.api.row import Row
    from millstream.table.table_descriptor import TableDescriptor
    from millstream.table.table_environment import TableEnvironment
    from millstream.table.table_pipeline import TablePipeline


class RunningTable:
    """The part of ``Table`` that plans and runs."""

    def __init__(self, environment: TableEnvironment, node: Node) -> None:
        self._environment = environment
        self._node = node

    @property
    def _row(self) -> RowType:
        return self._node.row

    # -- columns and plans --------------------------------------------------------------------------------------------

    def get_resolved_schema(self) -> ResolvedSchema:
        """Names and types of the columns."""
        return ResolvedSchema.of(self._row)

    def get_schema(self) -> TableSchema:
        """Names and types of the columns."""
        return TableSchema(self.get_resolved_schema())

    def print_schema(self) -> None:
        """Write names and types of the columns to the standard output."""
        self._environment._write(str(self.get_resolved_schema()))

    def explain(self, *extra_details: ExplainDetail) -> str:
        """The plans as text: as bound, as optimised, as operators."""
        planned = self._planned()
        return placed(lambda: ExplainDetail.text(self._environment._session, planned, extra_details))

    # -- rows ---------------------------------------------------------------------------------------------------------

    def execute(self) -> TableResult:
        """Run the query; its rows come as they are computed."""
        return TableResult(self._run(), self._environment._session.configuration)

    def to_arrow(self) -> pa.Table:
        """The rows as they are when the query has ended, as Arrow."""
        return self._run().to_arrow()

    def to_pandas(self) -> pd.DataFrame:
        """The rows as they are when the query has ended, as a pandas DataFrame."""
        return self.to_arrow().to_pandas()

    def to_polars(self) -> pl.DataFrame:
        """The rows as they are when the query has ended, as a polars DataFrame."""
        import polars

        frame = polars.from_arrow(self.to_arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame

    def __iter__(self) -> Iterator[Row]:
        """Run the query and iterate over its rows, or over their changes (``Row.get_row_kind``)."""
        return self.execute().collect()

    # -- writing ------------------------------------------------------------------------------------------------------

    def insert_into(self, target: str | TableDescriptor) -> TablePipeline:
        """This query written to a table of a catalog, or to one that a descriptor describes."""
        from millstream.table.table_pipeline import TablePipeline

        return TablePipeline(self._environment, self._node, target)

    def execute_insert(self, target: str | TableDescriptor, overwrite: bool = False) -> TableResult:
        """Write to a table. The job runs on; ``wait`` waits for its end."""
        return self.insert_into(target).execute(overwrite)

    # -- inner --------------------------------------------------------------------------------------------------------

    def __str__(self) -> str:
        """A name for SQL: ``sql_query(f"SELECT * FROM {table}")``."""
        return self._environment._name_for(self._node)

    def __repr__(self) -> str:
        return f"Table({', '.join(map(str, self._row.columns))})"

    def __reduce__(self) -> NoReturn:
        raise PicklingError("a table cannot travel: functions see values, not tables")

    def _planned(self) -> PlannedJob:
        session = self._environment._session
        return placed(lambda: planner(session).plan_query(self._node))

    def _run(self) -> StreamedResult:
        planned = self._planned()
        job, ends = self._environment._submit(planned, "collect")
        return StreamedResult(query_result(job, ends, planned))
