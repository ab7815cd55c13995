"""What a statement or a query gives back (``pyflink.table.TableResult``)."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING

import click
import pyarrow as pa

from millstream.client.queries.result import ClusterQueryResult
from millstream.client.sql_shell.result_writer import ResultWriter
from millstream.core.api.row import Row
from millstream.core.config import Configuration, options
from millstream.core.elements.batch import ArrowBatch
from millstream.core.table import logical_types as lt
from millstream.core.table.arrow_types import logical_type
from millstream.core.table.row_objects import rows_of
from millstream.core.table.row_type import Column, RowType
from millstream.datastream.call_site import refuse
from millstream.sql.session.results import Done, Rows, StatementResult, Streaming, Submitted
from millstream.table.changes import final_rows
from millstream.table.schemas import ResolvedSchema, TableSchema

if TYPE_CHECKING:
    from millstream.client.job_client import JobClient

UNKNOWN_COUNT = -1
"""What an INSERT says of the number of its rows: a stream has none."""


class ResultKind(enum.Enum):
    """Whether rows come back."""

    SUCCESS = "SUCCESS"
    SUCCESS_WITH_CONTENT = "SUCCESS_WITH_CONTENT"


class StreamedResult:
    """The rows of a running query, once: whoever iterates first gets them."""

    def __init__(self, result: ClusterQueryResult) -> None:
        self.query = result

    def to_arrow(self) -> pa.Table:
        """The rows when the query has ended. Cancels it on the way out of an error."""
        row_type = self.query.row_type
        try:
            batches = list(self.query)
        finally:
            self.query.close()
        return final_rows(batches, row_type)


class CloseableRows:
    """Rows of a query as they come. Closing them before the end cancels the query; use it in ``with``."""

    def __init__(self, rows: Iterator[Row], query: ClusterQueryResult | None) -> None:
        self._rows = rows
        self._query = query

    def __iter__(self) -> CloseableRows:
        return self

    def __next__(self) -> Row:
        """The next row; waits for it. Raises what made the job fail."""
        return next(self._rows)

    def close(self) -> None:
        """Cancel the query if it still runs. Idempotent."""
        if self._query is not None:
            self._query.close()

    def __enter__(self) -> CloseableRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class TableResult:
    """The rows of a query, the answer of a statement, or the job of an INSERT."""

    def __init__(self, result: StreamedResult | StatementResult, configuration: Configuration) -> None:
        self._result = result
        self._configuration = configuration

    # -- what it is ---------------------------------------------------------------------------------------------------

    def get_job_client(self) -> JobClient | None:
        """The job behind it; None for statements that run none."""
        match self._result:
            case StreamedResult(query=query):
                return query.job
            case Submitted(job):
                return job if _is_client(job) else None  # type: ignore[return-value]
        return None

    def get_result_kind(self) -> ResultKind:
        return ResultKind.SUCCESS if isinstance(self._result, Done) else ResultKind.SUCCESS_WITH_CONTENT

    def get_resolved_schema(self) -> ResolvedSchema:
        """The columns of the rows."""
        return ResolvedSchema.of(self._row_type)

    def get_table_schema(self) -> TableSchema:
        return TableSchema(self.get_resolved_schema())

    # -- its rows -----------------------------------------------------------------------------------------------------

    def collect(self) -> CloseableRows:
        """The rows as they come, once. Of a query whose rows change: all changes (``Row.get_row_kind``)."""
        match self._result:
            case StreamedResult(query=query):
                return CloseableRows(_rows_of(query), query)
            case Submitted():
                return CloseableRows(iter([Row(UNKNOWN_COUNT)]), None)
        records = self._answer().combine_chunks().to_batches()
        return CloseableRows((row for batch in records for row in rows_of(ArrowBatch(batch), self._row_type)), None)

    def to_arrow(self) -> pa.Table:
        """The rows as they are when the query has ended, once."""
        return self._result.to_arrow() if isinstance(self._result, StreamedResult) else self._answer()

    def print(self) -> None:
        """Write the rows to the standard output: on a terminal as a live table, else as lines, changes with ``op``."""
        if isinstance(self._result, StreamedResult) and self._is_live():
            from millstream.client.sql_shell.live_view import LiveView

            LiveView(self._result.query, self._configuration).run()
            return
        shown = Streaming(self._result.query) if isinstance(self._result, StreamedResult) else self._result
        ResultWriter(click.echo, click.echo, interactive=True).show(shown, self._configuration)

    def wait(self, timeout_ms: int | None = None) -> None:
        """Until the job has ended; of a query, as long as its rows are fetched elsewhere. Raises what made it fail."""
        job = self.get_job_client()
        if job is None:
            return
        if timeout_ms is not None and job.wait_until_ended([], timeout_ms / 1000) is None:
            raise refuse(f"the job {job.name!r} has not ended within {timeout_ms} ms; it runs on.")
        job.wait()

    # -- inner --------------------------------------------------------------------------------------------------------

    @property
    def _row_type(self) -> RowType:
        match self._result:
            case StreamedResult(query=query):
                return query.row_type
            case Submitted():
                return RowType((Column("rows", lt.BIGINT),))
        return RowType(tuple(Column(field.name, logical_type(field.type)) for field in self._answer().schema))

    def _answer(self) -> pa.Table:
        match self._result:
            case Rows(table=table):
                return table
            case Submitted():
                return pa.table({"rows": pa.array([UNKNOWN_COUNT], pa.int64())})
        return pa.table({"result": pa.array(["OK"])})

    def _is_live(self) -> bool:
        return sys.stdout.isatty() and self._configuration[options.SQL_CLIENT_RESULT_MODE] != "TABLEAU"


def _is_client(job: object) -> bool:
    return hasattr(job, "wait_until_ended")


def _rows_of(query: ClusterQueryResult) -> Iterator[Row]:
    for batch in query:
        yield from rows_of(batch, query.row_type)
