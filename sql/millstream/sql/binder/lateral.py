"""LATERAL: the rows of a table function, of an array or of a query for each row of what stands before.

A table function is a ``exp.Lateral`` around the call, a query one around the subquery; UNNEST is sqlglot's own node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlglot import exp

from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Expression
from millstream.core.table.logical_types import LogicalType, TypeRoot
from millstream.core.table.row_type import Column, RowType
from millstream.sql.binder.columns import appended, nullable_columns
from millstream.sql.binder.correlated import query_of
from millstream.sql.binder.expressions import call_of
from millstream.sql.binder.lateral_query import bind_lateral_query
from millstream.sql.binder.scope import Relation, Scope
from millstream.sql.binder.subqueries import has_outer
from millstream.sql.errors import did_you_mean, query_error, unsupported
from millstream.sql.plan.nodes import Correlate

if TYPE_CHECKING:
    from millstream.sql.binder.query import QueryBinder

UNNEST: Final = "UNNEST"


def bind_lateral(
    binder: QueryBinder, left: Relation, item: exp.Expr, parent: Scope | None, *, left_outer: bool
) -> Relation:
    """``left`` with the rows of a table function of its columns, or of UNNEST."""
    scope = Scope(left, parent)
    if isinstance(item, exp.Lateral) and isinstance(item.this, exp.Subquery | exp.Query):
        return _lateral_query(binder, scope, item, left_outer=left_outer)
    function: Any
    arguments: tuple[Expression, ...]
    ordinality = False
    if isinstance(item, exp.Unnest):
        arguments = tuple(binder.expressions(scope, UNNEST).bind(argument) for argument in item.expressions)
        if len(arguments) != 1:
            raise unsupported("UNNEST of several arrays", item)
        function = UNNEST
        ordinality = bool(item.args.get("offset"))
        columns = _unnested(arguments[0].type, item)
    else:
        call = item.this if isinstance(item, exp.Lateral) else item
        named = call_of(call)
        if named is None:
            raise unsupported(f"LATERAL {call.sql():.60}", item)
        function = binder.services.table_function(named[0])
        if function is None:
            known = binder.services.function_names()
            raise query_error(f"there is no table function {named[0]!r}.{did_you_mean(named[0], known)}", item)
        arguments = tuple(binder.expressions(scope, named[0]).bind(argument) for argument in named[1])
        columns = list(binder.services.table_function_row(function, arguments))
    if any(has_outer(argument) for argument in arguments):
        raise unsupported("a table function of columns of the query around the subquery", item)
    if ordinality:
        columns.append(("ordinality", lt.INT.with_nullable(False)))
    made = RowType(tuple(Column(name, kind) for name, kind in columns))
    shown = nullable_columns(made.columns) if left_outer else list(made.columns)
    node = Correlate(appended(left.row, shown), left.node, function, arguments, left_outer, ordinality)
    right = Relation.of(Correlate(made, left.node, function, arguments, left_outer, ordinality))
    alias = item.args.get("alias")
    if alias is not None and (alias.name or alias.columns):
        right = right.aliased(alias.name, tuple(column.name for column in alias.columns))
    return Relation(node, left.qualifiers + right.qualifiers, left.names + right.names, left.hidden)


def _lateral_query(binder: QueryBinder, scope: Scope, item: exp.Lateral, *, left_outer: bool) -> Relation:
    """The rows of a query for each row of the scope, under the alias of the item."""
    joined = bind_lateral_query(binder, scope, query_of(item.this), left_outer=left_outer)
    width = len(scope.relation.row)
    made = [at for at in range(width, len(joined.row)) if at not in joined.hidden]
    alias = item.args.get("alias")
    if alias is None:
        return joined
    columns = [column.name for column in alias.columns]
    if len(columns) > len(made):
        raise query_error(f"{alias.name!r} names {len(columns)} columns, but there are {len(made)}", item)
    names, qualifiers = list(joined.names), list(joined.qualifiers)
    for at, name in zip(made, columns, strict=False):
        names[at] = name
    for at in made:
        qualifiers[at] = alias.name
    return Relation(joined.node, tuple(qualifiers), tuple(names), joined.hidden)


def _unnested(kind: LogicalType, item: exp.Expr) -> list[tuple[str, LogicalType]]:
    if kind.root is TypeRoot.MAP:
        assert kind.key is not None and kind.element is not None
        return [("KEY", kind.key), ("VALUE", kind.element)]
    if kind.root not in (TypeRoot.ARRAY, TypeRoot.MULTISET):
        raise query_error(f"UNNEST takes an ARRAY, MULTISET or MAP, not {kind.text()}", item)
    assert kind.element is not None
    if kind.element.root is TypeRoot.ROW:
        return [
            (name, field.with_nullable(field.nullable or kind.element.nullable)) for name, field in kind.element.fields
        ]
    return [("EXPR$0", kind.element)]
