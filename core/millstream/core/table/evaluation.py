"""Bound expressions compiled to functions over Arrow columns.

Equal parts of one list of expressions are computed once a batch, constants once ever. CASE, IF, COALESCE, AND and OR
look first at what decides: where a part might fail (a CAST, a division, a user's function) it sees only the rows it
applies to. A column that passes unchanged is handed on by reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.errors import MillstreamError
from millstream.core.table.evaluation_nodes import (
    Chosen,
    ColumnNode,
    Computed,
    Constant,
    Frame,
    Gathered,
    Node,
    UserCall,
)
from millstream.core.table.expressions import Call, Expression, InputRef, Literal, PythonCall, rewrite, walk
from millstream.core.table.functions.cast import cast_can_fail, cast_value
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Value
from millstream.core.table.functions.registry import scalar_function
from millstream.core.table.logical_types import COMPOSITE, LogicalType, TypeRoot
from millstream.core.table.row_type import RowType

Evaluator = Callable[[Sequence[pa.Array], EvaluationContext], Value]
Projector = Callable[[pa.RecordBatch, EvaluationContext], list[pa.Array]]
Predicate = Callable[[Sequence[pa.Array], EvaluationContext], pa.BooleanArray]


def compile_expression(expression: Expression, schema: RowType) -> Evaluator:
    """A function from the columns of ``schema`` to the column of the expression, or to a constant."""
    node = _Compiler().node(expression)

    def evaluate(columns: Sequence[pa.Array], context: EvaluationContext) -> Value:
        return node.value(Frame(columns, context))

    return evaluate


def compile_predicate(expression: Expression, schema: RowType) -> Predicate:
    """A function to a BOOLEAN column without NULLs: true where the condition holds."""
    node = _Compiler().node(expression)

    def evaluate(columns: Sequence[pa.Array], context: EvaluationContext) -> pa.BooleanArray:
        value = node.value(Frame(columns, context))
        if isinstance(value, pa.Scalar):
            return pa.array(np.full(context.rows, value.as_py() is True))
        return pc.fill_null(value, False) if value.null_count else value

    return evaluate


def compile_projections(expressions: Sequence[Expression], schema: RowType) -> Projector:
    """A function from a batch to one column an expression; equal parts of all expressions are computed once."""
    compiler = _Compiler()
    nodes = [compiler.node(expression) for expression in expressions]
    types = [expression.type.arrow() for expression in expressions]

    def project(batch: pa.RecordBatch, context: EvaluationContext) -> list[pa.Array]:
        frame = Frame(batch.columns, context)
        columns = []
        for node, kind in zip(nodes, types, strict=True):
            value = node.value(frame)
            if isinstance(value, pa.Scalar):
                value = pa.repeat(value if value.type == kind else pc.cast(value, kind), context.rows)
            columns.append(value)
        return columns

    return project


def fold_constants(expression: Expression) -> Expression:
    """A copy in which what depends on no column is a literal; what fails stays, to fail where it is met."""
    return rewrite(expression, _folded)


def is_deterministic(expression: Expression) -> bool:
    """Whether it gives the same value for the same row, always."""
    return all(_part_is_deterministic(part) for part in walk(expression))


def can_fail(expression: Expression) -> bool:
    """Whether the evaluation may raise on some row."""
    return any(_part_can_fail(part) for part in walk(expression))


class _Compiler:
    """Nodes of one list of expressions; equal expressions share a node."""

    def __init__(self) -> None:
        self._known: dict[Expression, Node] = {}

    def node(self, expression: Expression) -> Node:
        try:
            known = self._known.get(expression)
        except TypeError:  # a literal array or map: not hashable, and not worth sharing
            return self._make(expression)
        if known is None:
            known = self._known[expression] = self._make(expression)
        return known

    def _make(self, expression: Expression) -> Node:
        if isinstance(expression, InputRef):
            return ColumnNode(expression.index)
        if isinstance(expression, Literal):
            return Constant(literal_scalar(expression))
        if isinstance(expression, PythonCall):
            arguments = [self.node(argument) for argument in expression.arguments]
            return UserCall(expression.function, arguments, expression.type, expression.name)
        assert isinstance(expression, Call), f"no evaluation of {type(expression).__name__}"
        return self._call(expression)

    def _call(self, call: Call) -> Node:
        function = scalar_function(call.name)
        assert function is not None, f"the registry bound {call.name} and does not know it"
        arguments = [self.node(argument) for argument in call.arguments]
        lazy = any(can_fail(argument) for argument in call.arguments[1:])
        if lazy and call.name in ("CASE", "IF"):
            conditions, values = arguments[:-1:2], [*arguments[1::2], arguments[-1]]
            if call.name == "IF":
                conditions, values = arguments[:1], arguments[1:]
            return Chosen(conditions, values, call.type)
        if lazy and call.name in ("COALESCE", "IFNULL", "AND", "OR"):
            return Gathered(call.name, arguments, call.type)
        compute = _cast_of(call) if call.name in ("CAST", "TRY_CAST") else _evaluation_of(function, call.type)
        spread = -1 if call.name in _CONSTANT_FIRST else 0
        node: Node = Computed(call.name, compute, arguments, function.deterministic, spread)
        if (
            arguments
            and function.deterministic
            and not _zone_matters(call)
            and all(isinstance(argument, Constant) for argument in arguments)
        ):
            return _precomputed(node)
        return node


def _precomputed(node: Node) -> Node:
    """The node as a constant; as it is where it fails, so that it does so only on rows that need it."""
    try:
        value = node.value(Frame([], EvaluationContext(rows=1)))
    except MillstreamError:
        return node
    return Constant(value) if isinstance(value, pa.Scalar) else node


_CONSTANT_FIRST: Final = frozenset({"EXTRACT", "TIMESTAMPADD", "TIMESTAMPDIFF", "TRIM"})
"""Their first argument is a word of the syntax."""
_ZONED: Final = frozenset({"FROM_UNIXTIME", "TO_TIMESTAMP_LTZ"})


def _zone_matters(call: Call) -> bool:
    """Whether the session's zone, known only when the job runs, takes part."""
    kinds = [call.type, *[argument.type for argument in call.arguments]]
    return call.name in _ZONED or any(kind.root is TypeRoot.TIMESTAMP_LTZ for kind in kinds)


def _evaluation_of(
    function: ScalarFunction, kind: LogicalType
) -> Callable[[Sequence[Value], EvaluationContext], Value]:
    return lambda arguments, context: function.evaluate(arguments, kind, context)


def _cast_of(call: Call) -> Callable[[Sequence[Value], EvaluationContext], Value]:
    source, target, attempt = call.arguments[0].type, call.type, call.name == "TRY_CAST"
    return lambda arguments, context: cast_value(arguments[0], source, target, context, attempt=attempt)


def literal_scalar(literal: Literal) -> pa.Scalar:
    """The constant as Arrow holds it."""
    return pa.scalar(literal.value, literal.type.arrow())


def _folded(expression: Expression) -> Expression | None:
    if not isinstance(expression, Call) or not expression.arguments:
        return None
    shortcut = _simplified(expression)
    if shortcut is not None:
        return shortcut
    if not all(isinstance(argument, Literal) for argument in expression.arguments):
        return None
    if expression.type.root in COMPOSITE or not _part_is_deterministic(expression):
        return None
    node = _Compiler().node(expression)
    if not isinstance(node, Constant):
        return None
    try:
        value = node.scalar.as_py()
    except (ValueError, OverflowError):  # nanoseconds and years that Python's datetime does not hold
        return None
    return Literal(expression.type, value)


def _simplified(call: Call) -> Expression | None:
    """AND, OR and CASE whose outcome a constant decides; None where none does."""
    if call.name in ("AND", "OR"):
        decisive = call.name == "OR"
        kept = [
            a
            for a in call.arguments
            if not (isinstance(a, Literal) and a.value is not decisive and a.value is not None)
        ]
        for argument in kept:
            if isinstance(argument, Literal) and argument.value is decisive:
                return argument
        if len(kept) == 1:
            return kept[0]
        if not kept:
            return Literal(call.type, not decisive)
        return replace(call, arguments=tuple(kept)) if len(kept) < len(call.arguments) else None
    if call.name == "CASE" and isinstance(call.arguments[0], Literal):
        rest = call.arguments[1:] if call.arguments[0].value else call.arguments[2:]
        chosen = rest[0] if call.arguments[0].value or len(rest) == 1 else replace(call, arguments=rest)
        return (
            (_simplified(chosen) or chosen) if isinstance(chosen, Call) else replace(chosen, type=_kept(chosen, call))
        )
    return None


def _kept(chosen: Expression, call: Call) -> LogicalType:
    return call.type if isinstance(chosen, Literal) else chosen.type


def _part_is_deterministic(part: Expression) -> bool:
    if isinstance(part, PythonCall):
        return bool(part.function.deterministic)
    if isinstance(part, Call):
        function = scalar_function(part.name)
        return function is not None and function.deterministic
    return True


def _part_can_fail(part: Expression) -> bool:
    if isinstance(part, PythonCall):
        return True
    if not isinstance(part, Call) or part.name == "TRY_CAST":
        return False
    if part.name == "CAST":
        return cast_can_fail(part.arguments[0].type, part.type)
    function: Any = scalar_function(part.name)
    if function.can_fail is None:
        return False
    return bool(function.can_fail([argument.type for argument in part.arguments], part.type))
