"""Columns of new relations: their names made unique, their time attributes kept where a column is only handed on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from millstream.core.table.expressions import Call, Expression, InputRef
from millstream.core.table.row_type import Column, RowType, TimeAttribute
from millstream.core.table.specs import JoinKind
from millstream.sql.plan.nodes import Node, Project


def unique_names(names: Iterable[str]) -> list[str]:
    """The names, later ones of several equal ones with a number behind."""
    taken: set[str] = set()
    unique: list[str] = []
    for name in names:
        candidate, number = name, 0
        while candidate in taken:
            candidate, number = f"{name}{number}", number + 1
        taken.add(candidate)
        unique.append(candidate)
    return unique


def column_of(expression: Expression, name: str, row: RowType) -> Column:
    """The column that ``expression`` over ``row`` makes."""
    if isinstance(expression, InputRef):
        return row[expression.index].renamed(name)
    time = TimeAttribute.NONE
    if isinstance(expression, Call) and expression.name == "PROCTIME":
        time = TimeAttribute.PROCTIME
    return Column(name, expression.type, time)


def project(node: Node, expressions: Sequence[Expression], names: Sequence[str]) -> Project:
    """``expressions`` over ``node``."""
    columns = [
        column_of(expression, name, node.row) for expression, name in zip(expressions, unique_names(names), strict=True)
    ]
    return Project(RowType(tuple(columns)), node, tuple(expressions))


def with_expressions(node: Node, expressions: Sequence[Expression]) -> tuple[Node, list[int]]:
    """``node`` with columns for ``expressions`` behind its own, and where each of them is."""
    known: dict[Expression, int] = {}
    added: list[Expression] = []
    positions: list[int] = []
    for expression in expressions:
        if isinstance(expression, InputRef):
            positions.append(expression.index)
            continue
        if expression not in known:
            known[expression] = len(node.row) + len(added)
            added.append(expression)
        positions.append(known[expression])
    if not added:
        return node, positions
    names = [*node.row.names, *(f"$f{len(node.row) + index}" for index in range(len(added)))]
    return project(node, [*identity(node.row), *added], names), positions


def identity(row: RowType) -> tuple[InputRef, ...]:
    """Expressions that hand the columns on."""
    return tuple(InputRef(column.type, index) for index, column in enumerate(row.columns))


def row_of(columns: Iterable[Column]) -> RowType:
    """The row of ``columns``, their names made unique."""
    found = tuple(columns)
    names = unique_names(column.name for column in found)
    return RowType(tuple(column.renamed(name) for column, name in zip(found, names, strict=True)))


def appended(row: RowType, columns: Iterable[Column]) -> RowType:
    """``row`` with further columns behind, their names made unique."""
    return row_of([*row.columns, *columns])


def joined_row(left: RowType, right: RowType, kind: JoinKind) -> RowType:
    """The columns of both sides of a join that shows both, nullable where a side may have no match."""
    left_columns = nullable_columns(left.columns) if kind.keeps_right else list(left.columns)
    right_columns = nullable_columns(right.columns) if kind.keeps_left else list(right.columns)
    return row_of([*left_columns, *right_columns])


def nullable_columns(columns: Iterable[Column]) -> list[Column]:
    """As they come out of the side of an outer join that may have no match."""
    return [Column(column.name, column.type.with_nullable(True), TimeAttribute.NONE) for column in columns]
