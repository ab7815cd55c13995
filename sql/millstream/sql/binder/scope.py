"""Which columns a name may mean at one place of a query."""

from __future__ import annotations

from dataclasses import dataclass, replace

from millstream.core.table.expressions import Expression
from millstream.core.table.row_type import RowType
from millstream.sql.plan.nodes import ONE_ROW, Node


@dataclass(frozen=True)
class OuterRef(Expression):
    """A column of the query around a subquery. It does not survive the binder: it becomes part of a join condition."""

    index: int

    def __str__(self) -> str:
        return f"outer ${self.index}"


@dataclass(frozen=True)
class Relation:
    """A plan node with the names of its columns."""

    node: Node
    qualifiers: tuple[str, ...]
    """By column: the table or alias it belongs to."""
    names: tuple[str, ...]
    """By column, as the query may call it; those of ``node.row`` may differ, for they are unique."""
    hidden: frozenset[int] = frozenset()
    """Columns that ``*`` leaves out and that unqualified names do not mean (the right side of USING)."""

    @property
    def row(self) -> RowType:
        return self.node.row

    @staticmethod
    def of(node: Node, qualifier: str = "") -> Relation:
        return Relation(node, (qualifier,) * len(node.row), node.row.names)

    @staticmethod
    def of_one_row() -> Relation:
        """What stands for FROM where there is none: one row, and no column that has a name."""
        return replace(Relation.of(ONE_ROW), hidden=frozenset([0]))

    def aliased(self, alias: str, columns: tuple[str, ...] = ()) -> Relation:
        """As ``alias (columns)`` names it."""
        names = (*columns, *self.names[len(columns) :])
        return replace(self, qualifiers=(alias,) * len(self.names), names=names)

    def over(self, node: Node) -> Relation:
        """The same names for another node with at least these columns first."""
        extra = len(node.row) - len(self.names)
        return Relation(
            node,
            self.qualifiers + ("",) * extra,
            self.names + node.row.names[len(self.names) :],
            self.hidden | frozenset(range(len(self.names), len(node.row))),
        )

    def beside(self, other: Relation, node: Node) -> Relation:
        """The columns of both, for their join ``node``."""
        shift = len(self.names)
        return Relation(
            node,
            self.qualifiers + other.qualifiers,
            self.names + other.names,
            self.hidden | frozenset(index + shift for index in other.hidden),
        )

    def matches(self, name: str, qualifier: str | None = None) -> list[int]:
        """The columns that ``name`` or ``qualifier.name`` may mean."""
        return [
            index
            for index, known in enumerate(self.names)
            if known == name
            and (self.qualifiers[index] == qualifier if qualifier is not None else index not in self.hidden)
        ]

    def visible(self, qualifier: str | None = None) -> list[int]:
        """The columns of ``*`` or ``qualifier.*``."""
        return [
            index
            for index in range(len(self.names))
            if (qualifier is None and index not in self.hidden)
            or (qualifier is not None and self.qualifiers[index] == qualifier and self.names[index])
        ]


@dataclass
class Scope:
    """The relation whose columns expressions mean, and the scopes around it."""

    relation: Relation
    parent: Scope | None = None
