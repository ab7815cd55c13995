"""FROM: tables, subqueries, table functions, and the joins between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from millstream.core.table.expressions import Expression, InputRef, walk
from millstream.core.table.row_type import TimeAttribute
from millstream.core.table.specs import JoinKind
from millstream.sql.binder import lateral, table_functions
from millstream.sql.binder.columns import appended, joined_row
from millstream.sql.binder.hints import table_options
from millstream.sql.binder.literals import boolean_literal
from millstream.sql.binder.scope import Relation, Scope
from millstream.sql.binder.subqueries import ScalarSubquery, attach_scalars, has_outer
from millstream.sql.errors import did_you_mean, query_error, unsupported
from millstream.sql.plan.conditions import conjunction, conjuncts
from millstream.sql.plan.nodes import Filter, Join, Node, TemporalJoin, Values

if TYPE_CHECKING:
    from millstream.sql.binder.query import QueryBinder


def bind_from(binder: QueryBinder, select: exp.Select, parent: Scope | None) -> Relation:
    """The relation of the FROM clause; one row without named columns when there is none."""
    clause = select.args.get("from_")
    if clause is None:
        return Relation.of_one_row()
    relation = bind_item(binder, clause.this, parent)
    for join in [*(clause.this.args.get("joins") or []), *(select.args.get("joins") or [])]:
        relation = _joined(binder, relation, join, parent)
    for item in select.args.get("laterals") or []:
        relation = lateral.bind_lateral(binder, relation, item, parent, left_outer=bool(item.args.get("outer")))
    return relation


def bind_item(binder: QueryBinder, item: exp.Expr, parent: Scope | None, *, versioned: bool = False) -> Relation:
    """One item of FROM: a table, a view, a common table expression, a subquery, a window table function.

    ``versioned``: the caller joins it FOR SYSTEM_TIME AS OF, where the item says so.
    """
    if item.args.get("version") is not None and not versioned:
        raise unsupported("FOR SYSTEM_TIME AS OF other than behind JOIN", item, "Tables have no past to read.")
    if table_functions.is_table_function(item):
        return table_functions.bind_table_function(binder, item)
    if isinstance(item, exp.Table):
        return _table(binder, item)
    if isinstance(item, exp.Subquery):
        inner: exp.Expr = item.this
        relation = binder.bind(inner) if not isinstance(inner, exp.Table) else _nested(binder, item, parent)
        return _aliased(relation, item)
    if isinstance(item, exp.Values | exp.Select | exp.SetOperation):
        return _aliased(binder.bind(item), item)
    if isinstance(item, exp.Paren):
        return bind_item(binder, item.this, parent)
    if isinstance(item, exp.Unnest | exp.Lateral):
        single = Relation.of_one_row()
        return lateral.bind_lateral(binder, single, item, parent, left_outer=False)
    raise unsupported(f"{item.sql():.80} in FROM", item)


def _nested(binder: QueryBinder, item: exp.Subquery, parent: Scope | None) -> Relation:
    """``(a JOIN b ON ...)``."""
    relation = bind_item(binder, item.this, parent)
    for join in item.this.args.get("joins") or []:
        relation = _joined(binder, relation, join, parent)
    return relation


def _table(binder: QueryBinder, table: exp.Table) -> Relation:
    if table.args.get("pattern_match") is not None:
        raise unsupported("MATCH_RECOGNIZE", table)
    if isinstance(table.this, exp.Anonymous):
        raise unsupported(
            f"{table.sql():.60} in FROM",
            table,
            "A window stands over TABLE t or TABLE (SELECT ...); others are LATERAL.",
        )
    path = [part.name for part in table.parts]
    cte = binder.ctes.get(path[0]) if len(path) == 1 else None
    if cte is not None:
        columns = tuple(column.name for column in cte.args["alias"].columns)
        outer = {name: query for name, query in binder.ctes.items() if query is not cte}
        inner = type(binder)(binder.services, outer, binder._depth + 1)
        relation = inner.bind(cte.this).aliased(path[0], columns)
    else:
        relation = Relation.of(binder.services.table(path, table, table_options(table)), path[-1])
    return _aliased(relation, table)


def _aliased(relation: Relation, item: exp.Expr) -> Relation:
    alias = item.args.get("alias")
    if alias is None:
        return relation
    columns = tuple(column.name for column in alias.columns)
    if len(columns) > len(relation.names):
        raise query_error(f"{alias.name!r} names {len(columns)} columns, but there are {len(relation.names)}", item)
    return relation.aliased(alias.name or relation.qualifiers[0], columns) if alias.name or columns else relation


# -- joins ---------------------------------------------------------------------------------------------------------


def _joined(binder: QueryBinder, left: Relation, join: exp.Join, parent: Scope | None) -> Relation:
    item = join.this
    kind = _kind(join)
    if isinstance(item, exp.Lateral | exp.Unnest):
        if kind not in (JoinKind.INNER, JoinKind.LEFT):
            raise unsupported(f"{kind.value} JOIN with a table function", join)
        relation = lateral.bind_lateral(binder, left, item, parent, left_outer=kind is JoinKind.LEFT)
        condition = _condition(binder, relation, join, parent)
        if condition is None or condition == boolean_literal(True):
            return relation
        if kind is JoinKind.LEFT:
            raise unsupported("LEFT JOIN of a table function with a condition other than TRUE", join)
        if _has_subquery(condition):
            raise unsupported("a subquery in ON of a table function", join)
        return relation.over(Filter(relation.row, relation.node, condition))
    version = item.args.get("version")
    right = bind_item(binder, item, parent, versioned=True)
    for nested in item.args.get("joins") or [] if isinstance(item, exp.Table) else []:
        right = _joined(binder, right, nested, parent)
    names = _using(left, right, join)
    both = left.beside(right, Values(appended(left.row, right.row.columns), ()))
    if names is None:
        condition = _condition(binder, both, join, parent)
    else:
        condition, both = _using_condition(binder, left, right, both, names, join)
    condition = condition or boolean_literal(True)
    later: list[Expression] = []
    if kind is JoinKind.INNER and version is None:
        later = [part for part in conjuncts(condition) if _has_subquery(part)]
        condition = conjunction([part for part in conjuncts(condition) if part not in later]) or boolean_literal(True)
    if _has_subquery(condition):
        raise unsupported(f"a subquery in ON of a {kind.value} JOIN", join)
    if version is not None:
        node: Node = _temporal(binder, left, right, kind, condition, version)
    elif kind in (JoinKind.SEMI, JoinKind.ANTI):
        return left.over(Join(left.row, left.node, right.node, kind, condition))
    else:
        ttls = (binder.ttl_of(left), binder.ttl_of(right))
        node = Join(joined_row(left.row, right.row, kind), left.node, right.node, kind, condition, ttls)
    relation, attached = attach_scalars(Relation(node, both.qualifiers, both.names, both.hidden), later)
    known = conjunction(attached)
    return relation if known is None else relation.over(Filter(relation.row, relation.node, known))


def _has_subquery(condition: Expression) -> bool:
    return any(isinstance(part, ScalarSubquery) for part in walk(condition))


def _kind(join: exp.Join) -> JoinKind:
    side, kind = (join.side or "").upper(), (join.kind or "").upper()
    if kind in ("SEMI", "ANTI"):
        return JoinKind(kind)
    if side in ("LEFT", "RIGHT", "FULL"):
        return JoinKind(side)
    if kind in ("", "INNER", "CROSS", "OUTER"):
        return JoinKind.INNER
    raise unsupported(f"{kind} JOIN", join)


def _condition(binder: QueryBinder, both: Relation, join: exp.Join, parent: Scope | None) -> Expression | None:
    on = join.args.get("on")
    if on is None:
        return None
    condition = binder.expressions(Scope(both, parent), "ON", scalars=True).bind_boolean(on, "ON")
    if has_outer(condition):
        raise unsupported("a join condition that means columns of the query around the subquery", join)
    return condition


def _using(left: Relation, right: Relation, join: exp.Join) -> list[str] | None:
    """The columns of USING or NATURAL; None for neither."""
    using = join.args.get("using")
    if using:
        return [column.name for column in using]
    if (join.method or "").upper() == "NATURAL":
        mine = [left.names[index] for index in left.visible()]
        return [right.names[index] for index in right.visible() if right.names[index] in mine]
    return None


def _using_condition(
    binder: QueryBinder, left: Relation, right: Relation, both: Relation, names: list[str], join: exp.Join
) -> tuple[Expression | None, Relation]:
    width = len(left.names)
    conditions: list[Expression] = []
    hidden = set(both.hidden)
    for name in names:
        mine, other = left.matches(name), right.matches(name)
        if len(mine) != 1 or len(other) != 1:
            near = did_you_mean(name, set(left.names) & set(right.names) - {name})
            raise query_error(f"USING needs exactly one column {name!r} on each side.{near}", join)
        pair = [InputRef(left.row[mine[0]].type, mine[0]), InputRef(right.row[other[0]].type, width + other[0])]
        conditions.append(binder.expressions(Scope(both), "USING").call("=", *pair))
        hidden.add(width + other[0])
    return conjunction(conditions), Relation(both.node, both.qualifiers, both.names, frozenset(hidden))


def _temporal(
    binder: QueryBinder, left: Relation, right: Relation, kind: JoinKind, condition: Expression, version: exp.Expr
) -> TemporalJoin:
    if kind not in (JoinKind.INNER, JoinKind.LEFT):
        raise unsupported(f"{kind.value} JOIN with FOR SYSTEM_TIME AS OF", version)
    time = binder.expressions(Scope(left), "FOR SYSTEM_TIME AS OF").bind(version.expression)
    if not isinstance(time, InputRef) or left.row[time.index].time is TimeAttribute.NONE:
        raise query_error(
            "FOR SYSTEM_TIME AS OF takes a time attribute of the left side: its event time or a PROCTIME() column",
            version,
        )
    row = joined_row(left.row, right.row, kind)
    return TemporalJoin(row, left.node, right.node, kind, condition, time.index)
