"""The interactive shell: read, execute, show, until QUIT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from millstream.client.sql_shell.live_view import LiveView
from millstream.client.sql_shell.prompt import Prompt
from millstream.client.sql_shell.result_writer import ResultWriter, Write
from millstream.client.sql_shell.statement_end import command_of
from millstream.core.clock import Clock
from millstream.core.config import Configuration, options
from millstream.core.errors import MillstreamError
from millstream.sql.session.results import StatementResult, Streaming
from millstream.sql.session.runner import QueryResult
from millstream.sql.session.sql_session import SqlSession

HELP: Final = """\
Statements end with a semicolon and may have several lines.

  CREATE, ALTER, DROP    TABLE, VIEW, FUNCTION, DATABASE, CATALOG
  SHOW                   TABLES, VIEWS, DATABASES, CATALOGS, FUNCTIONS, COLUMNS FROM t, CREATE TABLE t, ...
  DESCRIBE t             the columns of a table or view
  SELECT ...             runs a query and shows its rows as they come
  INSERT INTO t ...      submits a job
  EXPLAIN ...            the plan of a query or an INSERT
  BEGIN STATEMENT SET;   collects INSERTs into one job, until END;
  SET 'key' = 'value';   settings; SET; shows them, RESET 'key'; forgets one
                         'sql-client.execution.result-mode' is TABLE, CHANGELOG or TABLEAU
  USE, USE CATALOG       what names without a path mean
  CLEAR, HELP, QUIT      the screen, this text, and the end (EXIT and Ctrl-D too)
"""

ShowLive = Callable[[QueryResult, Configuration], None]


def show_live(result: QueryResult, configuration: Configuration) -> None:
    """On the whole terminal."""
    LiveView(result, configuration).run()


class Shell:
    """``live`` shows results of the modes TABLE and CHANGELOG; None shows all as lines."""

    def __init__(
        self,
        session: SqlSession,
        prompt: Prompt,
        write: Write,
        clock: Clock,
        clear: Callable[[], None],
        live: ShowLive | None = show_live,
    ) -> None:
        self._session = session
        self._prompt = prompt
        self._write = write
        self._writer = ResultWriter(write, write, interactive=True)
        self._clock = clock
        self._clear = clear
        self._live = live

    def run(self) -> None:
        """Until QUIT, EXIT or Ctrl-D. A statement that fails does not end the shell."""
        self._write("Millstream SQL. HELP; lists what there is, QUIT; leaves.")
        while True:
            try:
                text = self._prompt.read()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            command = command_of(text)
            if command in ("QUIT", "EXIT"):
                return
            if command == "HELP":
                self._write(HELP)
            elif command == "CLEAR":
                self._clear()
            elif text.strip():
                self._execute(text)

    def _execute(self, text: str) -> None:
        try:
            started_s = self._clock.monotonic_s()
            for _, result in self._session.execute_script(text):
                self._show(result)
                if self._session.configuration[options.SQL_CLIENT_PRINT_TIME]:
                    self._write(f"({self._clock.monotonic_s() - started_s:.2f} s)")
                started_s = self._clock.monotonic_s()
        except MillstreamError as error:
            self._write(f"error: {error}")
        except KeyboardInterrupt:
            self._write("Cancelled.")

    def _show(self, result: StatementResult) -> None:
        configuration = self._session.configuration
        as_lines = configuration[options.SQL_CLIENT_RESULT_MODE] == "TABLEAU"
        if isinstance(result, Streaming) and self._live is not None and not as_lines:
            self._live(result.result, configuration)
        else:
            self._writer.show(result, configuration)
