"""A statement's queries to the operators of one job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from millstream.core.graph.specs import CollectSpec
from millstream.core.graph.stream_graph import StreamGraph
from millstream.core.table.row_type import RowType
from millstream.core.table.specs import TableToRowsSpec
from millstream.sql.binder.expressions import ExpressionBinder
from millstream.sql.binder.query import QueryBinder
from millstream.sql.binder.scope import Relation, Scope
from millstream.sql.errors import query_error
from millstream.sql.optimizer.merge_projects import merge_projects
from millstream.sql.optimizer.optimize import optimize
from millstream.sql.optimizer.share_parts import share_parts
from millstream.sql.optimizer.share_scans import share_scans
from millstream.sql.plan.nodes import Node, Scan
from millstream.sql.plan.properties import changelog as changes_of
from millstream.sql.planner.explain import logical_text, physical_text
from millstream.sql.planner.graph import add_to_graph
from millstream.sql.planner.physical import PhysicalEdge, PhysicalOperator, kinds_of
from millstream.sql.planner.services import CatalogServices
from millstream.sql.planner.settings import PlannerSettings
from millstream.sql.planner.sinks import fitted, sink
from millstream.sql.planner.state_notes import growing
from millstream.sql.planner.tables import SinkTable
from millstream.sql.planner.translate import Translator
from millstream.sql.planner.uids import assign_uids, operators_of

COLLECT = "collect"


@dataclass(frozen=True)
class InsertPlan:
    """A query, the table that takes it, and the columns that the statement names (none for all)."""

    query: exp.Expr | Node
    table: SinkTable
    columns: tuple[str, ...] = ()
    partition: tuple[tuple[str, exp.Expr], ...] = ()
    """Columns that are the same constant in all rows."""


@dataclass
class PlannedJob:
    """The logical plans before and after optimisation, and the operators at the ends of the job."""

    bound: list[Node]
    optimized: list[Node]
    ends: list[PhysicalOperator]
    row: RowType
    """Of a query's result; of an INSERT the columns that are written."""
    endless: bool = False
    """Some input never ends."""

    @property
    def warnings(self) -> list[str]:
        """What will go wrong one day, as sentences: state that only grows."""
        return growing(operators_of(self.ends)) if self.endless else []

    def graph(self, name: str, parallelism: int, defined_at: str = "") -> tuple[StreamGraph, list[int]]:
        """The stream graph, and the ids of the nodes at the ends."""
        graph = StreamGraph(name)
        nodes = add_to_graph(graph, self.ends, parallelism, defined_at)
        return graph, [node.node_id for node in nodes]

    def explain(self, *, changelog_mode: bool = False, state: bool = False, advice: bool = False) -> str:
        """The three plans as text, as EXPLAIN shows them; ``state``: with what each operator keeps."""
        parts = [
            ("== Abstract Syntax Tree ==", "\n".join(logical_text(node) for node in self.bound)),
            ("== Optimized Plan ==", "\n".join(logical_text(node) for node in self.optimized)),
            ("== Operators ==", physical_text(self.ends, changelog_mode=changelog_mode, state=state)),
        ]
        if advice and self.warnings:
            parts.append(("== Advice ==", "\n".join(self.warnings)))
        return "\n\n".join(f"{title}\n{text}" for title, text in parts) + "\n"


class Planner:
    """Plans with the tables and functions of ``services``. Raises ``QueryError``."""

    def __init__(self, services: CatalogServices, settings: PlannerSettings) -> None:
        self.services = services
        self.settings = settings

    def bind(self, query: exp.Expr | Node) -> Node:
        """The logical plan of a query as it is written."""
        if isinstance(query, Node):
            return query
        return QueryBinder(self.services).bind(query).node

    def _fitted(self, insert: InsertPlan) -> Node:
        scope = Scope(Relation.of_one_row())
        binder = ExpressionBinder(scope, self.services, clause="PARTITION")
        constants = {name: binder.bind(value) for name, value in insert.partition}
        return fitted(self.bind(insert.query), insert.table, insert.columns, constants)

    def plan_query(self, query: exp.Expr | Node) -> PlannedJob:
        """A job whose result the client fetches."""
        bound = self.bind(query)
        (optimized,) = self._optimized([bound])
        translator = Translator(self.settings)
        parts = translator.parts(optimized, before=True)
        collect = PhysicalOperator(COLLECT, CollectSpec(), bound.row, tuple(PhysicalEdge(part) for part in parts))
        collect.changes = kinds_of(parts)
        if len(parts) == 1:
            collect.parallelism = parts[0].parallelism
        return _planned([bound], [optimized], [collect], bound.row)

    def _optimized(self, nodes: Sequence[Node]) -> list[Node]:
        optimized = [optimize(node) for node in nodes]
        if self.settings.reuse_sources:
            optimized = [merge_projects(node) for node in share_scans(optimized)]
        return share_parts(optimized)

    def plan_rows(self, query: exp.Expr | Node, changelog: bool) -> PlannedJob:
        """Operators whose records are ``Row``: inserts alone, or with ``changelog`` all changes.

        Raises ``QueryError`` for a query whose rows change where inserts alone are wanted.
        """
        bound = self.bind(query)
        (optimized,) = self._optimized([bound])
        parts = Translator(self.settings).parts(optimized, before=True)
        if not changelog and not changes_of(optimized).append_only:
            raise query_error("rows of this query are updated or deleted: use to_changelog_stream")
        end = PhysicalOperator(
            "TableToStream",
            TableToRowsSpec(bound.row, changelog),
            bound.row,
            tuple(PhysicalEdge(part) for part in parts),
        )
        return _planned([bound], [optimized], [end], bound.row)

    def plan_inserts(self, inserts: Sequence[InsertPlan]) -> PlannedJob:
        """One job for all ``inserts``; what they have in common runs once."""
        bound = [self._fitted(insert) for insert in inserts]
        optimized = self._optimized(bound)
        translator = Translator(self.settings)
        ends = [sink(translator, node, insert.table) for node, insert in zip(optimized, inserts, strict=True)]
        return _planned(bound, optimized, ends, bound[0].row)


def _planned(bound: list[Node], optimized: list[Node], ends: list[PhysicalOperator], row: RowType) -> PlannedJob:
    assign_uids(ends)
    return PlannedJob(bound, optimized, ends, row, any(_is_endless(node) for node in optimized))


def _is_endless(node: Node) -> bool:
    if isinstance(node, Scan):
        return not node.table.bounded
    return any(_is_endless(child) for child in node.inputs)
