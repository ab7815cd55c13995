"""What is wrong in a SQL text, with the line and a caret under the place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from sqlglot import exp

from millstream.core.errors import ErrorPlace, UserError


@dataclass(frozen=True)
class Position:
    """A place in a SQL text; ``line`` and ``column`` count from 1, ``offset`` (characters) from 0."""

    line: int
    column: int
    offset: int

    @classmethod
    def of(cls, source: str, offset: int) -> Position:
        line = source.count("\n", 0, offset) + 1
        return cls(line, offset - (source.rfind("\n", 0, offset) + 1) + 1, offset)

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class SqlError(UserError):
    """A statement cannot run as written. ``str`` shows the line, a caret under the place, and a hint."""

    def __init__(self, line: int, column: int, message: str, hint: str = "", source_line: str = "") -> None:
        self.line = line
        self.column = column
        self.reason = message
        self.hint = hint
        self.source_line = source_line
        text = f"line {line}, column {column}: {message}"
        if source_line:
            shown = source_line.replace("\t", " ")
            text += f"\n  {shown}\n  {' ' * (column - 1)}^"
        if hint:
            text += f"\n{hint}"
        super().__init__(text, place=ErrorPlace(line=line))

    @classmethod
    def at(cls, source: str, offset: int, message: str, hint: str = "") -> Self:
        """The error at the character ``offset`` of ``source``."""
        position = Position.of(source, offset)
        return cls(position.line, position.column, message, hint, source.split("\n")[position.line - 1].rstrip("\r"))

    @classmethod
    def at_node(cls, source: str, node: exp.Expr, message: str, hint: str = "", default: int = 0) -> Self:
        """The error at a node of a parsed query, or at offset ``default`` when the node's place is not known."""
        offset = offset_of(node)
        return cls.at(source, default if offset is None else offset, message, hint)


class SqlParseError(SqlError):
    """The text is not SQL, or SQL that Millstream does not support; the message names what."""


class SqlValidationError(SqlError):
    """The text is SQL, but what it names does not exist or does not fit (tables, columns, functions, types)."""


def offset_of(node: exp.Expr) -> int | None:
    """Where the text of ``node`` begins in the script it was parsed from; None if no part of it knows."""
    starts = [found.meta["start"] for found in node.walk() if found.meta.get("start") is not None]
    return min(starts, default=None)
