"""The items of a ``select``: expressions as syntax nodes, with those that stand for several columns spelled out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlglot import exp

from millstream.core.table.row_type import RowType
from millstream.datastream.call_site import refuse
from millstream.sql.errors import did_you_mean
from millstream.table.expression import Attached, Expression, _attached_to


def items(expressions: Iterable[Any], row: RowType, method: str) -> list[exp.Expr]:
    """The syntax nodes of ``expressions``. Raises ``JobGraphError`` for what is none."""
    found: list[exp.Expr] = []
    for given in expressions:
        node = checked(given, method)._copy()
        several = _several(node, row, method)
        found += [node] if several is None else [column(name) for name in several]
    return found


def checked(given: Any, method: str) -> Expression:
    """An expression. Texts are refused: they could be a name or a constant."""
    if isinstance(given, Expression):
        return given
    if isinstance(given, str):
        raise refuse(f"{method} takes expressions: write col({given!r}) for the column, lit({given!r}) for the text.")
    raise refuse(f"{method} takes expressions such as col('a') + 1, not {given!r:.60}.")


def attached_to(expressions: Iterable[Any]) -> Attached:
    """The functions and tables that the expressions name."""
    return _attached_to(expressions)


def column(name: str) -> exp.Column:
    """A column by its exact name."""
    return exp.Column(this=exp.to_identifier(name, quoted=True))


def ordered(field: Expression) -> exp.Ordered:
    """As an item of ORDER BY: ascending, NULLs first, unless it says otherwise."""
    node = field._copy()
    return node if isinstance(node, exp.Ordered) else exp.Ordered(this=node, nulls_first=True)


def known_name(name: str, row: RowType, method: str) -> str:
    """``name``, which is a column of the table. Raises ``JobGraphError`` naming the nearest."""
    if row.index_of(name) is None:
        raise refuse(f"{method}: there is no column {name!r}.{did_you_mean(name, row.names)}")
    return name


def output_name(item: exp.Expr) -> str:
    """What a column made by ``item`` is called; empty when it has no name of its own."""
    if isinstance(item, exp.Alias):
        return str(item.alias)
    return str(item.name) if isinstance(item, exp.Column | exp.Dot) else ""


def _several(node: exp.Expr, row: RowType, method: str) -> list[str] | None:
    """The columns that ``with_columns`` and its like stand for; None for any other node."""
    if not isinstance(node, exp.Anonymous) or node.this not in ("$WITH_COLUMNS", "$WITHOUT_COLUMNS", "$RANGE"):
        return None
    if node.this == "$RANGE":
        first, last = (_position(part, row, method) for part in node.expressions)
        return list(row.names[first : last + 1])
    chosen: list[str] = []
    for part in node.expressions:
        nested = _several(part, row, method)
        chosen += [row.names[_position(part, row, method)]] if nested is None else nested
    return chosen if node.this == "$WITH_COLUMNS" else _without(row.names, chosen)


def _without(names: Sequence[str], left_out: Sequence[str]) -> list[str]:
    return [name for name in names if name not in left_out]


def _position(part: exp.Expr, row: RowType, method: str) -> int:
    if isinstance(part, exp.Literal) and not part.is_string and part.this.isdigit():
        position = int(part.this) - 1
        if not 0 <= position < len(row):
            raise refuse(f"{method}: there is no column {position + 1}; the table has {len(row)}.")
        return position
    if not isinstance(part, exp.Column):
        raise refuse(f"{method}: columns are chosen by name or position, not by {part.sql():.60}.")
    position_of_name = row.index_of(known_name(str(part.name), row, method))
    assert position_of_name is not None
    return position_of_name
