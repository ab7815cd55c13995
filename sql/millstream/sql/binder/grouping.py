"""GROUP BY: keys, grouping sets, windows of the old syntax, and the aggregates of the other clauses."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Call, Expression, InputRef, Literal
from millstream.core.table.functions.registry import implicit_cast
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import WindowKind
from millstream.sql.binder.columns import identity, row_of, with_expressions
from millstream.sql.binder.expressions import GROUPING_FUNCTIONS, call_of
from millstream.sql.binder.literals import null_literal
from millstream.sql.binder.placeholders import AggregateExpression, OverExpression
from millstream.sql.binder.scope import Scope
from millstream.sql.binder.subqueries import attach_scalars
from millstream.sql.binder.table_functions import group_window
from millstream.sql.errors import query_error
from millstream.sql.plan.nodes import Aggregate, Expand, Node

if TYPE_CHECKING:
    from millstream.sql.binder.query import QueryBinder

GROUP_WINDOWS: Final = frozenset({"TUMBLE", "HOP", "SESSION", "CUMULATE"})
_AUXILIARY: Final = {"START": 0, "END": 1, "ROWTIME": 2, "PROCTIME": 2}


@dataclass
class Grouping:
    """The grouping of one SELECT: what stands in GROUP BY, bound, and which sets of it are wanted."""

    keys: list[Expression]
    sets: list[tuple[int, ...]]
    """Positions in ``keys``; a single one with all of them unless there are GROUPING SETS."""
    window_columns: int | None = None
    """Where window_start stands in the input, after a window of the old syntax."""
    explicit_sets: bool = False


def bind_grouping(binder: QueryBinder, scope: Scope, group: exp.Group | None) -> Grouping:
    """Bind GROUP BY. A window of the old syntax becomes a window table function below."""
    grouping = Grouping([], [])
    if group is None:
        grouping.sets = [()]
        return grouping
    plain: list[list[tuple[int, ...]]] = []
    windows = [item for item in group.expressions if _group_window_name(item)]
    others = [item for item in group.expressions if not _group_window_name(item)]
    keys_before_window = [item for item in others if not _is_set(item)]
    if windows:
        _bind_window(binder, scope, grouping, windows[0], keys_before_window)
        plain.append([tuple(range(len(grouping.keys)))])
    for item in [*others, *_listed(group, "grouping_sets"), *_listed(group, "rollup"), *_listed(group, "cube")]:
        plain.append(_sets_of(binder, scope, grouping, item))
    combined = [tuple(dict.fromkeys(itertools.chain(*choice))) for choice in itertools.product(*plain)]
    grouping.sets = combined or [()]
    grouping.explicit_sets = len(combined) > 1 or any(len(one) != len(grouping.keys) for one in combined)
    return grouping


def aggregated(
    scope: Scope, grouping: Grouping, expressions: list[Expression], texts: list[exp.Expr]
) -> tuple[Aggregate, list[Expression]]:
    """The aggregate over the scope's relation, and ``expressions`` over its columns.

    Raises ``QueryError`` for a column that is neither a key nor inside an aggregate.
    """
    found = list(dict.fromkeys(part for item in expressions for part in _aggregates_in(item)))
    operands = [operand for call in found for operand in call.children]
    relation, inputs = attach_scalars(scope.relation, [*grouping.keys, *operands])
    node, positions = with_expressions(relation.node, inputs)
    key_count = len(grouping.keys)
    key_positions, operand_positions = positions[:key_count], iter(positions[key_count:])
    calls = [part.over_columns(operand_positions) for part in found]
    if grouping.explicit_sets:
        node, key_positions, grouping_id = _expanded(node, key_positions, grouping.sets)
    else:
        grouping_id = None
    keys = tuple(key_positions) if grouping_id is None else (*key_positions, grouping_id)
    columns: list[Column] = [node.row[position] for position in keys]
    columns += [Column(f"$agg{i}", call.type) for i, call in enumerate(calls)]
    row = row_of(columns)
    aggregate = Aggregate(row, node, keys, tuple(calls))
    replacements: dict[Expression, Expression] = {}
    for position, key in enumerate(grouping.keys):
        replacements.setdefault(key, InputRef(row[position].type, position))
    for position, part in enumerate(found):
        replacements[part] = InputRef(row[len(keys) + position].type, len(keys) + position)
    result = [
        _over_groups(item, replacements, grouping, row, scope, text)
        for item, text in zip(expressions, texts, strict=True)
    ]
    return aggregate, result


def _over_groups(
    expression: Expression,
    replacements: dict[Expression, Expression],
    grouping: Grouping,
    row: RowType,
    scope: Scope,
    text: exp.Expr,
) -> Expression:
    """From the top: what is a key or an aggregate as a whole is replaced before its parts are looked at."""
    known = replacements.get(expression)
    if known is not None:
        return known
    if isinstance(expression, Call) and expression.name in GROUPING_FUNCTIONS:
        return _grouping_function(expression, grouping, row, text)
    if isinstance(expression, InputRef):
        name = scope.relation.names[expression.index] if expression.index < len(scope.relation.names) else "?"
        raise query_error(f"the column {name!r} must stand in GROUP BY or inside an aggregate function", text)
    children = expression.children
    changed = tuple(_over_groups(child, replacements, grouping, row, scope, text) for child in children)
    return expression.with_children(changed) if changed != children else expression


def _grouping_function(call: Call, grouping: Grouping, row: RowType, text: exp.Expr) -> Expression:
    """GROUPING(k, ...): a bit a key, 1 where the row's grouping set leaves it out."""
    positions = []
    for argument in call.arguments:
        if argument not in grouping.keys:
            raise query_error(f"{call.name} takes what stands in GROUP BY", text)
        positions.append(grouping.keys.index(argument))
    constants: list[Expression] = []
    identifier = InputRef(lt.BIGINT.with_nullable(False), len(grouping.keys))
    for number, one in enumerate(grouping.sets):
        bits = 0
        for position in positions:
            bits = bits << 1 | (position not in one)
        value = Literal(lt.BIGINT.with_nullable(False), bits)
        if not grouping.explicit_sets:
            return value
        this = Literal(lt.BIGINT.with_nullable(False), number)
        constants += [Call(lt.BOOLEAN.with_nullable(False), "=", (identifier, this)), value]
    constants.append(null_literal(lt.BIGINT))
    return Call(lt.BIGINT.with_nullable(False), "CASE", tuple(constants))


def _aggregates_in(expression: Expression) -> list[AggregateExpression]:
    """The outermost ones; those with OVER are not among them, but those inside of OVER are."""
    if isinstance(expression, AggregateExpression):
        return [expression]
    if isinstance(expression, OverExpression):
        parts = [*expression.call.children, *expression.partition, *(item.expression for item in expression.order)]
        return [found for part in parts for found in _aggregates_in(part)]
    return [found for child in expression.children for found in _aggregates_in(child)]


def _expanded(node: Node, keys: list[int], sets: list[tuple[int, ...]]) -> tuple[Node, list[int], int]:
    """Each row once for each grouping set: own columns, keys (NULL where the set has them not), number of the set."""
    width = len(node.row)
    projections = []
    for number, one in enumerate(sets):
        shown: list[Expression] = []
        for position, key in enumerate(keys):
            kind = node.row[key].type.with_nullable(True)
            shown.append(
                implicit_cast(InputRef(node.row[key].type, key), kind) if position in one else null_literal(kind)
            )
        projections.append((*identity(node.row), *shown, Literal(lt.BIGINT.with_nullable(False), number)))
    columns = list(node.row.columns)
    for key in keys:
        column = node.row[key]
        keeps = all(keys.index(key) in one for one in sets)
        columns.append(column if keeps else replace(column.materialized(), type=column.type.with_nullable(True)))
    columns.append(Column("$e", lt.BIGINT.with_nullable(False)))
    return Expand(row_of(columns), node, tuple(projections)), [width + i for i in range(len(keys))], width + len(keys)


# -- windows of the old syntax -------------------------------------------------------------------------------------


def _group_window_name(item: exp.Expr) -> str | None:
    named = call_of(item)
    return named[0] if named is not None and named[0] in GROUP_WINDOWS else None


def _bind_window(binder: QueryBinder, scope: Scope, grouping: Grouping, item: exp.Expr, others: list[exp.Expr]) -> None:
    name = _group_window_name(item)
    assert name is not None
    partition: list[int] = []
    if name == WindowKind.SESSION.value:
        bound = [binder.expressions(scope, "GROUP BY").bind(other) for other in others]
        node, partition = with_expressions(scope.relation.node, bound)
        scope.relation = scope.relation.over(node)
    node = group_window(binder, scope, item, tuple(partition))
    start = len(node.row) - 3
    scope.relation = scope.relation.over(node)
    grouping.window_columns = start
    grouping.keys += [InputRef(node.row[start + i].type, start + i) for i in range(3)]


def auxiliary_column(grouping: Grouping, scope: Scope, name: str) -> Expression | None:
    """What TUMBLE_START and its like mean; None for another name."""
    kind, _, which = name.rpartition("_")
    if kind not in GROUP_WINDOWS or which not in _AUXILIARY or grouping.window_columns is None:
        return None
    position = grouping.window_columns + _AUXILIARY[which]
    return InputRef(scope.relation.row[position].type, position)


# -- grouping sets -------------------------------------------------------------------------------------------------


def _is_set(item: exp.Expr) -> bool:
    return isinstance(item, exp.GroupingSets | exp.Rollup | exp.Cube)


def _listed(group: exp.Group, key: str) -> list[exp.Expr]:
    found = group.args.get(key)
    return [item for item in found if isinstance(item, exp.Expr)] if isinstance(found, list) else []


def _sets_of(binder: QueryBinder, scope: Scope, grouping: Grouping, item: exp.Expr) -> list[tuple[int, ...]]:
    """The alternatives that one item of GROUP BY stands for."""
    if isinstance(item, exp.GroupingSets):
        return [one for inner in item.expressions for one in _sets_of(binder, scope, grouping, inner)]
    if isinstance(item, exp.Rollup | exp.Cube):
        parts = [_keys_of(binder, scope, grouping, inner) for inner in item.expressions]
        if isinstance(item, exp.Rollup):
            return [tuple(itertools.chain(*parts[:count])) for count in range(len(parts), -1, -1)]
        chosen = itertools.product((True, False), repeat=len(parts))
        return [tuple(itertools.chain(*itertools.compress(parts, marks))) for marks in chosen]
    return [_keys_of(binder, scope, grouping, item)]


def _keys_of(binder: QueryBinder, scope: Scope, grouping: Grouping, item: exp.Expr) -> tuple[int, ...]:
    if isinstance(item, exp.Paren):
        return _keys_of(binder, scope, grouping, item.this)
    if isinstance(item, exp.Tuple):
        return tuple(itertools.chain(*(_keys_of(binder, scope, grouping, inner) for inner in item.expressions)))
    bound = binder.expressions(scope, "GROUP BY", scalars=True).bind(item)
    if bound not in grouping.keys:
        grouping.keys.append(bound)
    return (grouping.keys.index(bound),)
