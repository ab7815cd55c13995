"""Writes what statements give back as lines: for scripts, for pipes, and in the shell for all but live results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from millstream.client.queries.session_zone import session_zone
from millstream.client.sql_shell.cell_text import value_text
from millstream.client.sql_shell.grid import Grid
from millstream.client.sql_shell.result_reader import changes
from millstream.core.config import Configuration, options
from millstream.core.table.logical_types import char
from millstream.sql.session.results import Done, Rows, StatementResult, Submitted
from millstream.sql.session.runner import QueryResult

Write = Callable[[str], None]
"""Writes one line."""

_OP: Final = "op"


class ResultWriter:
    """``say`` takes what is about a statement, ``write`` its rows: a script's messages do not mix with its data."""

    def __init__(self, write: Write, say: Write, *, interactive: bool) -> None:
        self._write = write
        self._say = say
        self._interactive = interactive

    def show(self, result: StatementResult, configuration: Configuration) -> None:
        """Until the end of the result; Ctrl-C while rows come cancels the query and raises ``KeyboardInterrupt``."""
        match result:
            case Done(message):
                if self._interactive or message:
                    self._say(message or "OK")
            case Rows(plain=True):
                self._write(str(result.table.column(0)[0].as_py()))
            case Rows():
                self._rows(result)
            case Submitted(job, waited):
                self._say(f"Job {job.name!r} ({job.job_id}) " + ("has finished." if waited else "is submitted."))
            case _:
                self._stream(result.result, configuration)

    def _rows(self, result: Rows) -> None:
        table = result.table
        if table.num_rows == 0:
            self._say("Empty set")
            return
        rows = [tuple(value_text(value) for value in row.values()) for row in table.to_pylist()]
        grid = Grid.for_rows(table.column_names, rows)
        for line in [*grid.header(), *(grid.row(row) for row in rows), grid.rule()]:
            self._write(line)
        self._say(count_text(table.num_rows))

    def _stream(self, result: QueryResult, configuration: Configuration) -> None:
        """Rows as they come, with a column ``op`` where rows change later."""
        width = configuration[options.TABLE_DISPLAY_MAX_COLUMN_WIDTH]
        names, kinds = result.row_type.names, result.row_type.types
        if not result.insert_only:
            names, kinds = (_OP, *names), (char(2), *kinds)
        grid = Grid.for_types(names, kinds, width)
        count = 0
        try:
            for line in grid.header():
                self._write(line)
            for kind, row in changes(result, session_zone(configuration)):
                self._write(grid.row(row if result.insert_only else (str(kind), *row)))
                count += 1
            self._write(grid.rule())
        finally:
            result.close()
        self._say(count_text(count, "row" if result.insert_only else "change"))


def count_text(count: int, what: str = "row") -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
