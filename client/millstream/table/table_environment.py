"""``TableEnvironment`` (``pyflink.table.TableEnvironment``): where tables and SQL begin."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self

import click
import pyarrow as pa

from millstream.client.queries.result import ClusterQueryResult
from millstream.client.queries.runner import ClusterRunner, submit_planned
from millstream.client.session import current_session
from millstream.common.configuration import Configuration
from millstream.datastream.call_site import refuse
from millstream.sql.parser import parse_statement
from millstream.sql.parser.statements import Insert, Query
from millstream.sql.parser.statements import StatementSet as ParsedStatementSet
from millstream.sql.plan.nodes import Node
from millstream.sql.session.results import StatementResult, Streaming
from millstream.sql.session.sql_session import SqlSession
from millstream.table.catalog_methods import CatalogMethods
from millstream.table.environment_settings import EnvironmentSettings
from millstream.table.explain_detail import ExplainDetail
from millstream.table.program_rows import RowSchema, named, records_of, scan_of
from millstream.table.table import Table
from millstream.table.table_config import TableConfig
from millstream.table.table_pipeline import StatementSet
from millstream.table.table_result import StreamedResult, TableResult

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from millstream.client.job_client import JobClient
    from millstream.core.config import Configuration as CoreConfiguration
    from millstream.sql.planner.planner import PlannedJob

ORIGIN = "the program"


class TableEnvironment(CatalogMethods):
    """Catalogs, settings, and the way to a cluster: the one that settings or ``millstream run`` name, else an embedded
    one. Used by one thread."""

    def __init__(self, settings: EnvironmentSettings) -> None:
        self._runner = ClusterRunner()
        self._session = SqlSession(self._below(settings.get_configuration().to_dict()), runner=self._runner)
        super().__init__(self._session.catalogs)
        self._numbers = itertools.count(1)
        self._named: dict[Node, str] = {}

    @classmethod
    def create(cls, environment_settings: EnvironmentSettings | Configuration | None = None) -> Self:
        """With ``EnvironmentSettings.in_streaming_mode()``, ``in_batch_mode()``, or a ``Configuration``."""
        if isinstance(environment_settings, Configuration):
            environment_settings = EnvironmentSettings(environment_settings)
        settings = environment_settings or EnvironmentSettings.in_streaming_mode()
        if not isinstance(settings, EnvironmentSettings):
            raise refuse(f"create takes EnvironmentSettings or a Configuration, not {settings!r:.60}.")
        return cls(settings)

    def get_config(self) -> TableConfig:
        """The settings; changes count from the next statement on."""
        return TableConfig(self._session)

    # -- SQL ----------------------------------------------------------------------------------------------------------

    def execute_sql(self, stmt: str) -> TableResult:
        """Execute one statement. Raises ``SqlError`` with line and column for what it gets wrong.

        A query runs at once, and the result has its rows; an INSERT is submitted and runs on.
        """
        result: StatementResult | StreamedResult = self._session.execute(parse_statement(stmt))
        if isinstance(result, Streaming):
            assert isinstance(result.result, ClusterQueryResult)
            result = StreamedResult(result.result)
        return TableResult(result, self._session.configuration)

    def sql_query(self, query: str) -> Table:
        """The table that a query means. ``f"SELECT * FROM {table}"`` names a table of the program."""
        statement = parse_statement(query)
        if not isinstance(statement, Query):
            raise refuse("sql_query takes a query: SELECT, VALUES, WITH. execute_sql executes all statements.")
        return Table(self, self._runner.query_node(self._session, statement))

    def explain_sql(self, stmt: str, *extra_details: ExplainDetail) -> str:
        """The plans of a query or an INSERT as text."""
        statement = parse_statement(stmt)
        if isinstance(statement, Query):
            return Table(self, self._runner.query_node(self._session, statement)).explain(*extra_details)
        if not isinstance(statement, Insert | ParsedStatementSet):
            raise refuse("explain_sql takes a query or an INSERT.")
        inserts = statement.inserts if isinstance(statement, ParsedStatementSet) else (statement,)
        planned = StatementSet(self)
        for insert in inserts:
            planned._plans.append(self._runner.insert_plan(self._session, insert))
        return planned.explain(*extra_details)

    def create_statement_set(self) -> StatementSet:
        """INSERTs that run as one job."""
        return StatementSet(self)

    # -- tables -------------------------------------------------------------------------------------------------------

    def from_path(self, path: str) -> Table:
        """A table or view of a catalog."""
        return Table(self, self._relation(path))

    def from_elements(self, elements: Iterable[Any], schema: RowSchema = None, verify_schema: bool = True) -> Table:
        """Rows of the program: tuples, ``Row``, dicts or single values. They travel with the job: keep them small.

        ``schema``: a ROW, or the names of the columns, whose types then come from the values. Values are always
        checked, whatever ``verify_schema`` is.
        """
        del verify_schema
        records, row = records_of(elements, schema)
        return Table(self, scan_of(records, self._next_name("rows"), row))

    def from_arrow(self, table: pa.Table | pa.RecordBatch, schema: RowSchema = None) -> Table:
        """The rows of an Arrow table."""
        if not isinstance(table, pa.Table | pa.RecordBatch):
            raise refuse(f"from_arrow takes a pyarrow.Table, not {type(table).__name__}.")
        whole = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
        records, row = named(whole, schema)
        return Table(self, scan_of(records, self._next_name("rows"), row))

    def from_pandas(self, pdf: pd.DataFrame, schema: RowSchema = None, splits_num: int = 1) -> Table:
        """The rows of a pandas DataFrame, without its index. They are read in one piece, whatever ``splits_num`` is."""
        del splits_num
        return self.from_arrow(pa.Table.from_pandas(pdf, preserve_index=False), schema)

    def from_polars(self, frame: pl.DataFrame, schema: RowSchema = None) -> Table:
        """The rows of a polars DataFrame."""
        return self.from_arrow(frame.to_arrow(), schema)

    # -- inner --------------------------------------------------------------------------------------------------------

    def _below(self, own: dict[str, Any]) -> Callable[[], CoreConfiguration]:
        """The settings that hold where the session sets nothing: ``own`` are those that it was created with."""
        fixed = current_session().configuration.with_values(own, ORIGIN)
        return lambda: fixed

    def _submit(self, planned: PlannedJob, name: str) -> tuple[JobClient, Mapping[int, str]]:
        """Send a job off; its handle, and the operator ids of its ends by their order."""
        return submit_planned(self._session, planned, name)

    def _next_name(self, kind: str) -> str:
        """A name that no table of this environment has had."""
        return f"{kind}${next(self._numbers)}"

    def _name_for(self, node: Node) -> str:
        """A name by which SQL finds the table of a program; the same for the same relation."""
        if node not in self._named:
            name = self._next_name("UnnamedTable")
            self._put_view((name,), node, temporary=True)
            self._named[node] = name
        return f"`{self._named[node]}`"

    def _write(self, text: str) -> None:
        click.echo(text)
