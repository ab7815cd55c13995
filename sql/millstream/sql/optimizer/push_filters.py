"""Conditions move towards the sources: fewer rows for everything between. Those over both sides of a join join it.

They do not pass a watermark: rows that are left out move event time along as well.
"""

from __future__ import annotations

from dataclasses import replace

from millstream.core.table.evaluation import is_deterministic
from millstream.core.table.expressions import (
    Expression,
    InputRef,
    PythonCall,
    input_refs,
    rewrite,
    shifted,
    walk,
)
from millstream.core.table.specs import JoinKind
from millstream.sql.binder.literals import boolean_literal
from millstream.sql.plan import nodes as n
from millstream.sql.plan.conditions import conjunction, conjuncts


def push_filters(node: n.Node) -> n.Node:
    """The plan with every condition as far down as it means the same."""
    return _push(node, [])


def substituted(expression: Expression, expressions: tuple[Expression, ...]) -> Expression:
    """``expression`` over the input of a projection instead of over its columns."""
    return rewrite(expression, lambda part: expressions[part.index] if isinstance(part, InputRef) else None)


def _push(node: n.Node, conditions: list[Expression]) -> n.Node:
    match node:
        case n.Filter():
            return _push(node.input, conditions + conjuncts(node.condition))
        case n.Project():
            movable = [c for c in conditions if all(_cheap(node.expressions[i]) for i in input_refs(c))]
            below = [substituted(condition, node.expressions) for condition in movable]
            kept = [condition for condition in conditions if condition not in movable]
            return _filtered(replace(node, input=_push(node.input, below)), kept)
        case n.Join():
            return _push_join(node, conditions)
        case n.IntervalJoin() | n.WindowJoin() | n.TemporalJoin():
            width = len(node.left.row)
            mine = [c for c in conditions if all(i < width for i in input_refs(c))]
            kept = [c for c in conditions if c not in mine]
            return _filtered(replace(node, left=_push(node.left, mine), right=_push(node.right, [])), kept)
        case n.WindowTable() | n.Correlate():
            width = len(node.input.row)
            below = [c for c in conditions if all(i < width for i in input_refs(c))]
            if isinstance(node, n.WindowTable) and node.partition:
                below = [c for c in below if input_refs(c) <= set(node.partition)]
            return _through(node, conditions, below)
        case n.Over() | n.Rank() | n.Deduplicate():
            keys = set(node.keys if isinstance(node, n.Deduplicate) else node.partition)
            return _through(node, conditions, [c for c in conditions if input_refs(c) <= keys])
        case n.Aggregate() if node.keys:
            below = [c for c in conditions if all(i < len(node.keys) for i in input_refs(c))]
            moved = [shifted(c, lambda i: node.keys[i]) for c in below]
            kept = [c for c in conditions if c not in below]
            return _filtered(replace(node, input=_push(node.input, moved)), kept)
        case n.Union():
            return replace(node, parts=tuple(_push(part, conditions) for part in node.parts))
    inputs = tuple(_push(child, []) for child in node.inputs)
    return _filtered(node.with_inputs(inputs) if inputs else node, conditions)


def _through(
    node: n.WindowTable | n.Correlate | n.Over | n.Rank | n.Deduplicate,
    conditions: list[Expression],
    below: list[Expression],
) -> n.Node:
    """``below`` means the same over the only input, whose columns come first."""
    kept = [condition for condition in conditions if condition not in below]
    return _filtered(replace(node, input=_push(node.input, below)), kept)


def _push_join(node: n.Join, conditions: list[Expression]) -> n.Node:
    width = len(node.left.row)
    kind = node.join
    left: list[Expression] = []
    right: list[Expression] = []
    joined: list[Expression] = []
    kept: list[Expression] = []
    for condition in conditions:
        refs = input_refs(condition)
        if refs and all(i < width for i in refs) and not kind.keeps_right:
            left.append(condition)
        elif refs and all(i >= width for i in refs) and not kind.keeps_left and kind is not JoinKind.ANTI:
            right.append(_to_right(condition, width))
        elif kind is JoinKind.INNER:
            joined.append(condition)
        else:
            kept.append(condition)
    for condition in conjuncts(node.condition):
        refs = input_refs(condition)
        if refs and all(i < width for i in refs) and kind in (JoinKind.INNER, JoinKind.RIGHT, JoinKind.SEMI):
            left.append(condition)
        elif refs and all(i >= width for i in refs) and kind not in (JoinKind.RIGHT, JoinKind.FULL):
            right.append(_to_right(condition, width))
        else:
            joined.append(condition)
    condition_left = conjunction(joined) or boolean_literal(True)
    changed = replace(node, left=_push(node.left, left), right=_push(node.right, right), condition=condition_left)
    return _filtered(changed, kept)


def _to_right(condition: Expression, width: int) -> Expression:
    return shifted(condition, lambda index: index - width)


def _cheap(expression: Expression) -> bool:
    """Whether it may be computed twice."""
    return is_deterministic(expression) and not any(isinstance(part, PythonCall) for part in walk(expression))


def _filtered(node: n.Node, conditions: list[Expression]) -> n.Node:
    condition = conjunction(conditions)
    return node if condition is None else n.Filter(node.row, node, condition)
