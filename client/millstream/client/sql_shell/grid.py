"""Lines of a table in plain characters, with columns of fixed width, for terminals and for files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from millstream.client.sql_shell.cell_text import is_numeric
from millstream.core.table.logical_types import TEXT, LogicalType, TypeRoot

_ELLIPSIS = "..."
_WIDTHS = {
    TypeRoot.BOOLEAN: 7, TypeRoot.TINYINT: 4, TypeRoot.SMALLINT: 6, TypeRoot.INTEGER: 11, TypeRoot.BIGINT: 20,
    TypeRoot.FLOAT: 15, TypeRoot.DOUBLE: 25, TypeRoot.DATE: 10, TypeRoot.TIME: 12,
}  # fmt: skip


@dataclass(frozen=True)
class Grid:
    """Widths and alignment of the columns."""

    names: tuple[str, ...]
    widths: tuple[int, ...]
    at_right: tuple[bool, ...]

    @classmethod
    def for_types(cls, names: Sequence[str], kinds: Sequence[LogicalType], max_width: int) -> Grid:
        """For rows that are not known yet: widths by type, as Flink's client has them."""
        widths = [max(cell_len(name), type_width(kind, max_width)) for name, kind in zip(names, kinds, strict=True)]
        return cls(tuple(names), tuple(widths), tuple(is_numeric(kind) for kind in kinds))

    @classmethod
    def for_rows(cls, names: Sequence[str], rows: Sequence[Sequence[str]], max_width: int = 0) -> Grid:
        """As wide as the widest value, at most ``max_width`` unless that is 0."""
        widths = [max([cell_len(name), *(cell_len(row[at]) for row in rows)]) for at, name in enumerate(names)]
        if max_width:
            widths = [min(width, max(max_width, cell_len(name))) for width, name in zip(widths, names, strict=True)]
        return cls(tuple(names), tuple(widths), (False,) * len(names))

    def rule(self) -> str:
        return "+" + "+".join("-" * (width + 2) for width in self.widths) + "+"

    def header(self) -> list[str]:
        return [self.rule(), self.row(self.names), self.rule()]

    def row(self, cells: Sequence[str]) -> str:
        """One line; line breaks in values become ``\\n``."""
        shown = [
            _fitted(cell.replace("\n", "\\n"), width, right)
            for cell, width, right in zip(cells, self.widths, self.at_right, strict=True)
        ]
        return "| " + " | ".join(shown) + " |"


def type_width(kind: LogicalType, max_width: int) -> int:
    """Characters that values of the type take, at most ``max_width`` for those without a limit."""
    if kind.root in _WIDTHS:
        return _WIDTHS[kind.root]
    if kind.root is TypeRoot.DECIMAL:
        return kind.precision + 2
    if kind.root in (TypeRoot.TIMESTAMP, TypeRoot.TIMESTAMP_LTZ):
        return 19 + (kind.precision + 1 if kind.precision else 0)
    return min(kind.precision, max_width) if kind.root in TEXT else max_width


def _fitted(text: str, width: int, right: bool) -> str:
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(width - len(_ELLIPSIS), 0)) + _ELLIPSIS[:width]
    padding = " " * (width - length)
    return padding + text if right else text + padding
