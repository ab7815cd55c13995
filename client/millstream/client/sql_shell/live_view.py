"""A result that fills the terminal and changes as rows arrive, with paging: modes TABLE and CHANGELOG.

A thread reads the result; the screen shows what it has applied, a few times a second. Leaving cancels the query. The
thread never wakes the screen: the user may leave at that moment, and the screen's event loop would be gone.
"""

from __future__ import annotations

import threading
from typing import Final

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import HSplit, Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.output import Output

from millstream.client.queries.session_zone import session_zone
from millstream.client.sql_shell.grid import Grid
from millstream.client.sql_shell.materialized_result import ChangeLog, MaterializedResult
from millstream.client.sql_shell.result_reader import batch_changes
from millstream.client.sql_shell.result_writer import count_text
from millstream.core.config import Configuration, options
from millstream.core.errors import MillstreamError
from millstream.core.table.logical_types import char
from millstream.sql.session.runner import QueryResult

REFRESH_S: Final = 0.25
_FRAME_LINES: Final = 6
"""Header of three lines, the rule below, the status, the keys."""
_KEYS: Final = " q quit   n/PgDn next page   p/PgUp previous   g first   l last (follows)   ←/→ columns "


class LiveView:
    """One result on the screen. ``run`` returns when the user leaves."""

    def __init__(
        self,
        result: QueryResult,
        configuration: Configuration,
        *,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        rows_max = configuration[options.SQL_CLIENT_MAX_ROWS]
        is_changelog = configuration[options.SQL_CLIENT_RESULT_MODE] == "CHANGELOG"
        self._result = result
        self._zone = session_zone(configuration)
        self._rows: MaterializedResult | ChangeLog = (
            ChangeLog(rows_max) if is_changelog else MaterializedResult(rows_max)
        )
        names, kinds = result.row_type.names, result.row_type.types
        if is_changelog:
            names, kinds = ("op", *names), (char(2), *kinds)
        self._grid = Grid.for_types(names, kinds, configuration[options.TABLE_DISPLAY_MAX_COLUMN_WIDTH])
        self._lock = threading.Lock()
        self._page = 0
        self._follow = True
        self._left = 0
        self._ended = False
        self._failure: MillstreamError | None = None
        self._application: Application[None] = Application(
            layout=Layout(
                HSplit(
                    [
                        Window(FormattedTextControl(self._body), wrap_lines=False),
                        Window(FormattedTextControl(self._status), height=1),
                        Window(FormattedTextControl([("reverse", _KEYS)]), height=1),
                    ]
                )
            ),
            key_bindings=self._bindings(),
            full_screen=True,
            refresh_interval=REFRESH_S,
            input=input,
            output=output,
        )

    def run(self) -> None:
        """Raises what made the job fail, after the user has left."""
        reader = threading.Thread(target=self._read, name="sql result", daemon=True)
        reader.start()
        try:
            self._application.run()
        finally:
            self._result.close()
            reader.join()
        if self._failure is not None:
            raise self._failure

    def lines(self, height: int) -> list[str]:
        """The table on a screen of ``height`` lines, without the status and the keys."""
        with self._lock:
            size = max(height - _FRAME_LINES, 1)
            pages = max(-(-len(self._rows) // size), 1)
            self._page = pages - 1 if self._follow else min(self._page, pages - 1)
            rows = self._rows.rows(self._page * size, size)
        shown = [*self._grid.header(), *(self._grid.row(row) for row in rows), self._grid.rule()]
        return [line[self._left :] for line in shown]

    def status(self, height: int) -> str:
        """How many rows, which page, and whether more can come."""
        size = max(height - _FRAME_LINES, 1)
        with self._lock:
            pages = max(-(-len(self._rows) // size), 1)
            state = "failed, q shows why" if self._failure else "finished" if self._ended else "running"
            dropped = self._rows.dropped if isinstance(self._rows, MaterializedResult) else 0
            text = f" {state}   page {self._page + 1} of {pages}   {count_text(len(self._rows))}"
            text += f"   {count_text(self._rows.changes, 'change')}"
        return text + (f"   the oldest {dropped} were dropped" if dropped else "")

    def _height(self) -> int:
        return self._application.output.get_size().rows

    def _body(self) -> StyleAndTextTuples:
        return [("", "\n".join(self.lines(self._height())))]

    def _status(self) -> StyleAndTextTuples:
        return [("bold", self.status(self._height()))]

    def _read(self) -> None:
        try:
            for batch in self._result:
                with self._lock:
                    for kind, row in batch_changes(batch, self._result, self._zone):
                        self._rows.apply(kind, row)
        except MillstreamError as error:
            with self._lock:
                self._failure = error
        finally:
            with self._lock:
                self._ended = True

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()

        def turn(pages: int) -> None:
            self._follow = False
            self._page = max(self._page + pages, 0)

        def scroll(columns: int) -> None:
            self._left = min(max(self._left + columns, 0), max(len(self._grid.rule()) - 1, 0))

        def leave(event: KeyPressEvent) -> None:
            event.app.exit()

        for key in ("q", "Q", "c-c", "c-d"):
            bindings.add(key)(leave)
        for key in ("n", "pagedown", " "):
            bindings.add(key)(lambda _: turn(1))
        for key in ("p", "pageup"):
            bindings.add(key)(lambda _: turn(-1))
        bindings.add("g")(lambda _: turn(-self._page))
        bindings.add("l")(lambda _: setattr(self, "_follow", True))
        bindings.add("left")(lambda _: scroll(-10))
        bindings.add("right")(lambda _: scroll(10))
        return bindings
