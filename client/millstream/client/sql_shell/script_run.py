"""Executing the statements of a script; the first that fails ends it."""

from __future__ import annotations

from millstream.client.sql_shell.result_writer import ResultWriter, Write
from millstream.core.errors import MillstreamError
from millstream.sql.session.sql_session import SqlSession


class ScriptFailure(MillstreamError):
    """A statement failed; the message begins with the name of the script."""


def run_script(session: SqlSession, name: str, text: str, *, write: Write, say: Write) -> None:
    """Rows go to ``write``, everything else to ``say``. Raises ``ScriptFailure``."""
    writer = ResultWriter(write, say, interactive=False)
    try:
        for _, result in session.execute_script(text, name):
            writer.show(result, session.configuration)
        session.require_no_open_set()
    except MillstreamError as error:
        raise ScriptFailure(f"{name}, {error}", place=error.place) from error
