"""Binds queries: SELECT, set operations, VALUES, WITH.

The clauses of a SELECT are bound in the order in which they mean something: FROM, WHERE, GROUP BY, HAVING, OVER,
QUALIFY, SELECT, DISTINCT, ORDER BY, LIMIT. Each step replaces the relation of the scope by one that computes the
clause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlglot import exp

from millstream.core.table.expressions import Expression, InputRef, Literal
from millstream.core.table.functions.coercion import common_type
from millstream.core.table.functions.registry import implicit_cast
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import SortKey
from millstream.sql.binder import from_clause, membership, subqueries, subquery_conditions
from millstream.sql.binder.aggregate_calls import is_grouped
from millstream.sql.binder.columns import project
from millstream.sql.binder.correlated import scalar_subquery
from millstream.sql.binder.expressions import ExpressionBinder, call_of
from millstream.sql.binder.grouping import Grouping, aggregated, auxiliary_column, bind_grouping
from millstream.sql.binder.hints import state_ttls
from millstream.sql.binder.literals import integer_of, row_limit
from millstream.sql.binder.over_calls import order_item, ordered_by
from millstream.sql.binder.over_columns import attach_overs
from millstream.sql.binder.placeholders import OrderExpression
from millstream.sql.binder.scope import Relation, Scope
from millstream.sql.binder.services import BinderServices
from millstream.sql.errors import did_you_mean, query_error, unsupported
from millstream.sql.plan.conditions import conjunction
from millstream.sql.plan.nodes import ONE_ROW, Aggregate, Filter, Node, SetOperation, Sort, Union, Values

_DEPTH_MAX: Final = 64


@dataclass
class SelectParts:
    """A SELECT on its way: expressions over the scope's relation, with what each is called and where it stands."""

    expressions: list[Expression] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    texts: list[exp.Expr] = field(default_factory=list)


class QueryBinder:
    """Binds one query with its common table expressions."""

    def __init__(
        self,
        services: BinderServices,
        ctes: Mapping[str, exp.Expr] | None = None,
        depth: int = 0,
    ) -> None:
        self.services = services
        self.ctes: dict[str, exp.Expr] = dict(ctes or {})
        self._depth = depth
        self._grouping: Grouping | None = None
        self.ttls_ms: dict[str, int] = {}
        """From the STATE_TTL hint, by table or alias."""

    # -- queries ----------------------------------------------------------------------------------------------------

    def bind(self, query: exp.Expr) -> Relation:
        """The relation of a whole query. Raises ``QueryError``."""
        binder = self.within(query)
        if isinstance(query, exp.Subquery | exp.Paren):
            inner = binder.bind(query.this)
            return binder._ordered_whole(inner, query)
        if isinstance(query, exp.SetOperation):
            return binder._ordered_whole(binder._set_operation(query), query)
        if isinstance(query, exp.Select):
            scope, _ = binder.from_where(query, None)
            return binder.after_where(query, scope)
        if isinstance(query, exp.Values):
            return binder._ordered_whole(binder._values(query), query)
        if isinstance(query, exp.Table):
            return from_clause.bind_item(binder, query, None)
        raise unsupported(f"{type(query).__name__} as a query", query)

    def within(self, query: exp.Expr) -> QueryBinder:
        """The binder of a query inside of this one, which knows its common table expressions as well."""
        if self._depth > _DEPTH_MAX:
            raise unsupported(f"a query of more than {_DEPTH_MAX} levels", query)
        binder = QueryBinder(self.services, self.ctes, self._depth + 1)
        with_clause = query.args.get("with_")
        if with_clause is not None:
            if with_clause.args.get("recursive"):
                raise unsupported("WITH RECURSIVE", with_clause)
            for cte in with_clause.expressions:
                binder.ctes[cte.alias] = cte
        return binder

    def expressions(
        self, scope: Scope, clause: str, *, aggregates: bool = False, overs: bool = False, scalars: bool = False
    ) -> ExpressionBinder:
        """A binder of expressions for one clause; the flags say which placeholders the caller makes columns of."""
        return _SelectExpressions(self, scope, clause, aggregates, overs, scalars)

    def scalar(self, query: exp.Expr, scope: Scope) -> Expression:
        """Implements ``Subqueries``."""
        return scalar_subquery(self, query, scope)

    def exists(self, query: exp.Expr, scope: Scope) -> Expression:
        """Implements ``Subqueries``."""
        return membership.exists(self, query, scope)

    def contained(self, values: Sequence[Expression], node: exp.In, scope: Scope) -> Expression:
        """Implements ``Subqueries``."""
        return membership.contained(self, values, node, scope)

    def compared(self, symbol: str, value: Expression, node: exp.Any | exp.All, scope: Scope) -> Expression:
        """Implements ``Subqueries``."""
        return membership.compared(self, symbol, value, node, scope)

    # -- SELECT -----------------------------------------------------------------------------------------------------

    def after_where(self, select: exp.Select, scope: Scope) -> Relation:
        """The relation of a SELECT, from that of its FROM and WHERE."""
        grouped = is_grouped(select, self.services)
        if grouped:
            self._grouping = bind_grouping(self, scope, select.args.get("group"))
        parts = self.select_list(select, scope, aggregates=grouped)
        visible = len(parts.expressions)
        having = self._clause(select, "having", scope, parts, aggregates=grouped)
        qualify = self._clause(select, "qualify", scope, parts, aggregates=grouped)
        order = self.order_items(select, scope, parts, visible, grouped)
        relation, expressions = scope.relation, parts.expressions
        if grouped:
            assert self._grouping is not None
            node, expressions = aggregated(scope, self._grouping, expressions, parts.texts)
            relation = Relation.of(replace(node, ttl_ms=self.ttl_of(scope.relation)))
        elif having is not None:
            raise query_error("HAVING needs GROUP BY or an aggregate", select.args["having"])
        relation, expressions = subqueries.attach_scalars(relation, expressions)
        if having is not None:
            relation = relation.over(Filter(relation.node.row, relation.node, expressions[having]))
        relation, expressions = attach_overs(relation, expressions)
        if qualify is not None:
            relation = relation.over(Filter(relation.node.row, relation.node, expressions[qualify]))
        return self._projected(select, relation, expressions, parts.names, visible, order)

    def ttl_of(self, relation: Relation) -> int | None:
        """The time to live that a hint gives the state of a relation."""
        for qualifier in relation.qualifiers:
            if qualifier in self.ttls_ms:
                return self.ttls_ms[qualifier]
        return None

    def _check_ttls(self, relation: Relation, select: exp.Select) -> None:
        for name in self.ttls_ms:
            if name not in relation.qualifiers:
                near = did_you_mean(name, set(relation.qualifiers))
                raise query_error(f"STATE_TTL names {name!r}, which is no table or alias of this query.{near}", select)

    def from_where(self, select: exp.Select, parent: Scope | None) -> tuple[Scope, list[Expression]]:
        """The scope after FROM and WHERE, and the conditions that mean columns of ``parent``."""
        self.ttls_ms = state_ttls(select)
        relation = from_clause.bind_from(self, select, parent)
        self._check_ttls(relation, select)
        scope = Scope(relation, parent)
        plain: list[Expression] = []
        correlated: list[Expression] = []
        later: list[exp.Expr] = []
        where = select.args.get("where")
        for condition in subquery_conditions.conjuncts_of(where.this if where is not None else None):
            if subquery_conditions.is_subquery_condition(condition):
                later.append(condition)
                continue
            bound = self.expressions(scope, "WHERE", scalars=True).bind_boolean(condition, "WHERE")
            (correlated if subqueries.has_outer(bound) else plain).append(bound)
        scope.relation, correlated = subqueries.attach_scalars(scope.relation, correlated)
        relation, plain = subqueries.attach_scalars(scope.relation, plain)
        condition_of_all = conjunction(plain)
        if condition_of_all is not None:
            scope.relation = relation.over(Filter(relation.node.row, relation.node, condition_of_all))
        for condition in later:
            subquery_conditions.apply_condition(self, scope, condition)
        return scope, correlated

    def select_list(self, select: exp.Select, scope: Scope, *, aggregates: bool) -> SelectParts:
        parts = SelectParts()
        binder = self.expressions(scope, "SELECT", aggregates=aggregates, overs=True, scalars=True)
        for item in select.expressions:
            qualifier = _star_qualifier(item)
            if qualifier is not None:
                self._add_star(scope, qualifier, item, parts)
                continue
            text = item.this if isinstance(item, exp.Alias) else item
            parts.expressions.append(binder.bind(text))
            parts.names.append(_name_of(item, len(parts.names)))
            parts.texts.append(text)
        return parts

    def _add_star(self, scope: Scope, qualifier: str, item: exp.Expr, parts: SelectParts) -> None:
        relation = scope.relation
        columns = relation.visible(qualifier or None)
        if not columns:
            raise query_error(f"there is no table or alias {qualifier!r} here" if qualifier else "* needs FROM", item)
        for index in columns:
            parts.expressions.append(InputRef(relation.row[index].type, index))
            parts.names.append(relation.names[index])
            parts.texts.append(item)

    def _clause(
        self, select: exp.Select, key: str, scope: Scope, parts: SelectParts, *, aggregates: bool
    ) -> int | None:
        """Bind HAVING or QUALIFY behind the SELECT list; its position."""
        clause = select.args.get(key)
        if clause is None:
            return None
        name = key.upper()
        condition = _aliases_replaced(clause.this, select) if key == "qualify" else clause.this
        binder = self.expressions(scope, name, aggregates=aggregates, overs=key == "qualify", scalars=True)
        parts.expressions.append(binder.bind_boolean(condition, name))
        parts.names.append(f"${key}")
        parts.texts.append(clause.this)
        return len(parts.expressions) - 1

    def order_items(
        self, select: exp.Select, scope: Scope, parts: SelectParts, visible: int, grouped: bool
    ) -> list[tuple[int, OrderExpression]]:
        """ORDER BY items as positions among the expressions; new ones are added behind."""
        order = select.args.get("order")
        items: list[tuple[int, OrderExpression]] = []
        for item in order.expressions if order is not None else []:
            text = item.this if isinstance(item, exp.Ordered) else item
            binder = self.expressions(scope, "ORDER BY", aggregates=grouped, overs=True, scalars=True)
            position = _ordinal(text, parts.names[:visible])
            if position is None:
                bound = order_item(binder, item)
                if bound.expression in parts.expressions[:visible]:
                    position = parts.expressions.index(bound.expression)
                else:
                    position = len(parts.expressions)
                    parts.expressions.append(bound.expression)
                    parts.names.append(f"$o{position}")
                    parts.texts.append(text)
            else:
                bound = ordered_by(item, parts.expressions[position])
            items.append((position, bound))
        return items

    def _projected(
        self,
        select: exp.Select,
        relation: Relation,
        expressions: list[Expression],
        names: list[str],
        visible: int,
        order: list[tuple[int, OrderExpression]],
    ) -> Relation:
        extra = [position for position, _ in order if position >= visible]
        chosen = [*range(visible), *dict.fromkeys(extra)]
        node: Node = project(relation.node, [expressions[i] for i in chosen], [names[i] for i in chosen])
        if select.args.get("distinct") is not None:
            if select.args["distinct"].args.get("on") is not None:
                raise unsupported("DISTINCT ON", select, "Use ROW_NUMBER() OVER (...) = 1.")
            if extra:
                raise query_error("with DISTINCT, ORDER BY may use columns of the SELECT list only", select)
            node = Aggregate(node.row, node, tuple(range(visible)), ())
        keys = tuple(SortKey(chosen.index(position), item.ascending, item.nulls_first) for position, item in order)
        node = _sorted(node, keys, select)
        if extra:
            refs = [InputRef(node.row[i].type, i) for i in range(visible)]
            node = project(node, refs, names[:visible])
        return Relation(node, ("",) * visible, tuple(names[:visible]))

    # -- other queries ----------------------------------------------------------------------------------------------

    def _set_operation(self, query: exp.SetOperation) -> Relation:
        left, right = self.bind(query.this), self.bind(query.expression)
        name = type(query).__name__.upper()
        if len(left.row) != len(right.row):
            raise query_error(
                f"{name} needs as many columns on both sides, not {len(left.row)} and {len(right.row)}", query
            )
        left_node, right_node = _with_common_types(left, right, name, query)
        everything = not query.args.get("distinct", True)
        node: Node
        if isinstance(query, exp.Union):
            parts = [*_union_parts(left_node), *_union_parts(right_node)]
            node = Union(_union_row(parts), tuple(parts))
            if not everything:
                node = Aggregate(node.row, node, tuple(range(len(node.row))), ())
        else:
            node = SetOperation(left_node.row, left_node, right_node, isinstance(query, exp.Intersect), everything)
        return Relation(node, ("",) * len(node.row), left.names)

    def _values(self, values: exp.Values) -> Relation:
        scope = Scope(Relation.of_one_row())
        binder = self.expressions(scope, "VALUES")
        rows = [
            [binder.bind(item) for item in (line.expressions if isinstance(line, exp.Tuple) else [line])]
            for line in values.expressions
        ]
        if len({len(line) for line in rows}) != 1:
            raise query_error("all rows of VALUES must have the same number of columns", values)
        kinds = []
        for i in range(len(rows[0])):
            kind = common_type([line[i].type for line in rows])
            if kind is None:
                kinds_here = " and ".join(dict.fromkeys(line[i].type.text() for line in rows))
                raise query_error(f"column {i + 1} of VALUES has values of {kinds_here}", values)
            kinds.append(kind)
        names = [f"EXPR${i}" for i in range(len(kinds))]
        parts: list[Node] = []
        constant = []
        for line in rows:
            converted = [implicit_cast(value, kind) for value, kind in zip(line, kinds, strict=True)]
            if all(isinstance(value, Literal) for value in converted):
                constant.append(tuple(value.value for value in converted if isinstance(value, Literal)))
            else:
                parts.append(project(ONE_ROW, converted, names))
        row = RowType(tuple(Column(name, kind) for name, kind in zip(names, kinds, strict=True)))
        if constant:
            parts.insert(0, Values(row, tuple(constant)))
        node = parts[0] if len(parts) == 1 else Union(row, tuple(parts))
        alias = values.args.get("alias")
        relation = Relation.of(node)
        if alias is not None:
            relation = relation.aliased(alias.name, tuple(column.name for column in alias.columns))
        return relation

    def _ordered_whole(self, relation: Relation, query: exp.Expr) -> Relation:
        """ORDER BY and LIMIT behind a set operation or a query in parentheses."""
        order = query.args.get("order")
        keys: list[SortKey] = []
        for item in order.expressions if order is not None else []:
            text = item.this if isinstance(item, exp.Ordered) else item
            position = _ordinal(text, list(relation.names))
            if position is None:
                raise unsupported("ORDER BY of something other than a column of the whole query", text)
            bound = ordered_by(item, InputRef(relation.row[position].type, position))
            keys.append(SortKey(position, bound.ascending, bound.nulls_first))
        return replace(relation, node=_sorted(relation.node, tuple(keys), query))


class _SelectExpressions(ExpressionBinder):
    """Knows TUMBLE_START and its like, whose columns the grouping has."""

    def __init__(
        self, query: QueryBinder, scope: Scope, clause: str, aggregates: bool, overs: bool, scalars: bool
    ) -> None:
        inner = query if scalars else None
        super().__init__(scope, query.services, subqueries=inner, clause=clause, aggregates=aggregates, overs=overs)
        self._query = query

    def bind(self, node: exp.Expr) -> Expression:
        grouping = self._query._grouping
        if grouping is not None and grouping.window_columns is not None:
            named = call_of(node)
            auxiliary = None if named is None else auxiliary_column(grouping, self.scope, named[0])
            if auxiliary is not None:
                return auxiliary
        return super().bind(node)


def _star_qualifier(item: exp.Expr) -> str | None:
    """``""`` for ``*``, the table for ``t.*``, None for anything else."""
    if isinstance(item, exp.Star):
        return ""
    if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
        return str(item.table)
    return None


def _name_of(item: exp.Expr, position: int) -> str:
    if isinstance(item, exp.Alias):
        return str(item.alias)
    if isinstance(item, exp.Column | exp.Dot) and item.name:
        return str(item.name)
    return f"EXPR${position}"


def _ordinal(text: exp.Expr, names: list[str]) -> int | None:
    """The position in the SELECT list that an ORDER BY item means by number or by name."""
    if isinstance(text, exp.Literal) and not text.is_string:
        number = integer_of(text, "ORDER BY")
        if not 1 <= number <= len(names):
            raise query_error(f"ORDER BY {number}: the query has {len(names)} columns", text)
        return number - 1
    if isinstance(text, exp.Column) and len(text.parts) == 1 and names.count(text.name) == 1:
        return names.index(text.name)
    return None


def _aliases_replaced(condition: exp.Expr, select: exp.Select) -> exp.Expr:
    """QUALIFY may use the names of the SELECT list."""
    aliases = {item.alias: item.this for item in select.expressions if isinstance(item, exp.Alias)}

    def change(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and len(node.parts) == 1 and node.name in aliases:
            return exp.Paren(this=aliases[node.name].copy())
        return node

    return condition.copy().transform(change)


def _sorted(node: Node, keys: tuple[SortKey, ...], query: exp.Expr) -> Node:
    limit, offset = query.args.get("limit"), query.args.get("offset")
    fetch = row_limit(limit)
    skipped = integer_of(offset.expression, "OFFSET") if offset is not None else 0
    if not keys and fetch is None and not skipped:
        return node
    return Sort(node.row, node, keys, skipped, fetch)


def _union_parts(node: Node) -> tuple[Node, ...]:
    return node.parts if isinstance(node, Union) else (node,)


def _union_row(parts: list[Node]) -> RowType:
    columns = []
    for index, column in enumerate(parts[0].row.columns):
        others = [part.row[index] for part in parts]
        kind = column.type.with_nullable(any(other.type.nullable for other in others))
        same_time = all(other.time is column.time for other in others)
        columns.append(replace(column if same_time else column.materialized(), type=kind))
    return RowType(tuple(columns))


def _with_common_types(left: Relation, right: Relation, name: str, query: exp.Expr) -> tuple[Node, Node]:
    """Both sides with columns of the same types."""
    sides: tuple[list[Expression], list[Expression]] = ([], [])
    for index, (mine, other) in enumerate(zip(left.row.columns, right.row.columns, strict=True)):
        if mine.type.same_kind(other.type):
            kinds = (mine.type, other.type)
        else:
            common = common_type([mine.type, other.type])
            if common is None:
                raise query_error(
                    f"column {index + 1} of {name} is {mine.type.text()} on one side and {other.type.text()} on the "
                    f"other",
                    query,
                )
            kinds = (common.with_nullable(mine.type.nullable), common.with_nullable(other.type.nullable))
        for side, column, kind in zip(sides, (mine, other), kinds, strict=True):
            side.append(implicit_cast(InputRef(column.type, index), kind))
    nodes = []
    for relation, expressions in zip((left, right), sides, strict=True):
        trivial = all(isinstance(expression, InputRef) for expression in expressions)
        nodes.append(relation.node if trivial else project(relation.node, expressions, left.names))
    return nodes[0], nodes[1]
