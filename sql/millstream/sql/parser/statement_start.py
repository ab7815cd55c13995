"""Where a statement begins, and its common fields once it is read."""

from __future__ import annotations

from typing import TypedDict

from millstream.sql.parser.errors import Position
from millstream.sql.parser.token_cursor import TokenCursor


class StatementFields(TypedDict):
    """What every statement has."""

    position: Position
    text: str
    source: str


class Start:
    """Made before the first token is read; ``fields`` is called after the last."""

    def __init__(self, cursor: TokenCursor) -> None:
        self._cursor = cursor
        self.offset = cursor.offset
        self._position = cursor.position

    def fields(self) -> StatementFields:
        return StatementFields(
            position=self._position, text=self._cursor.text_since(self.offset), source=self._cursor.source
        )
