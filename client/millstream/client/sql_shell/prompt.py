"""The line editor of the shell: history, completion, colours, and statements of several lines."""

from __future__ import annotations

from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import Output

from millstream.client.sql_shell.colours import SqlLexer
from millstream.client.sql_shell.completion import SqlCompleter
from millstream.client.sql_shell.statement_end import is_whole
from millstream.sql.session.sql_session import SqlSession

PROMPT = "millstream> "
CONTINUATION = "        ... "


class Prompt:
    """Reads one input: statements up to a semicolon at the end of a line, or a command."""

    def __init__(
        self,
        session: SqlSession,
        history_file: Path | None,
        *,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        self._editor: PromptSession[str] = PromptSession(
            PROMPT,
            history=open_history(history_file),
            completer=SqlCompleter(session),
            complete_while_typing=False,
            lexer=SqlLexer(),
            auto_suggest=AutoSuggestFromHistory(),
            multiline=True,
            prompt_continuation=CONTINUATION,
            key_bindings=_bindings(),
            editing_mode=EditingMode.EMACS,
            input=input,
            output=output,
        )

    def read(self) -> str:
        """Raises ``EOFError`` for Ctrl-D on an empty line, ``KeyboardInterrupt`` for Ctrl-C."""
        return self._editor.prompt()


def open_history(file: Path | None) -> History:
    """In the file, or in memory where there is none or its directory cannot be made."""
    if file is None:
        return InMemoryHistory()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(file))


def _bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter")
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.is_cursor_at_the_end and is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return bindings
