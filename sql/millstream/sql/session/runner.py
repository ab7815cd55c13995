"""What a session needs of the planner: running and explaining queries.

The session executes everything about names and settings itself and hands queries on. The planner gets the session's
catalogs and settings as they are at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from sqlglot import exp

from millstream.core.config import Configuration
from millstream.core.elements.batch import ArrowBatch
from millstream.core.table.row_type import RowType
from millstream.sql.catalog.catalog_manager import CatalogManager
from millstream.sql.catalog.objects import CatalogTable
from millstream.sql.parser.statements import ExplainDetail, Insert, Query, Statement, StatementSet


class SessionContext(Protocol):
    """What a query sees of its session."""

    @property
    def configuration(self) -> Configuration: ...

    @property
    def catalogs(self) -> CatalogManager: ...


class RunningJob(Protocol):
    """A submitted job; ``millstream.client.job_client.JobClient`` is one."""

    @property
    def job_id(self) -> str: ...

    @property
    def name(self) -> str: ...

    def wait(self) -> object:
        """Until it has finished. Raises what made it fail."""
        ...

    def cancel(self) -> object: ...


class QueryResult(Protocol):
    """The rows of a running query, as they come. Iterating blocks; ``close`` may be called from another thread."""

    @property
    def row_type(self) -> RowType: ...

    @property
    def insert_only(self) -> bool:
        """No row is ever updated or deleted; ``row_kinds`` of all batches is None."""
        ...

    @property
    def job_id(self) -> str: ...

    def __iter__(self) -> Iterator[ArrowBatch]:
        """Batches in the order of the changes; an update is two rows, UPDATE_BEFORE and UPDATE_AFTER.

        Raises what made the job fail."""
        ...

    def close(self) -> None:
        """Cancel the job unless it has ended. May be called twice."""
        ...


class QueryRunner(Protocol):
    """Plans and runs. All methods raise ``SqlError`` with the place for what the query gets wrong."""

    def run_query(self, context: SessionContext, query: Query) -> QueryResult: ...

    def run_inserts(self, context: SessionContext, inserts: Sequence[Insert]) -> RunningJob:
        """One job for all of them."""
        ...

    def explain(
        self, context: SessionContext, statement: Query | Insert | StatementSet, details: Sequence[ExplainDetail]
    ) -> str: ...

    def query_type(self, context: SessionContext, query: exp.Expr, source: str) -> RowType:
        """The columns of a query in a script ``source``, for views and ``CREATE TABLE ... AS``."""
        ...

    def check_table(self, context: SessionContext, table: CatalogTable, statement: Statement) -> None:
        """That the computed columns and the watermark of a table mean something."""
        ...

    def built_in_functions(self) -> Sequence[str]:
        """Names, for SHOW FUNCTIONS and completion."""
        ...
