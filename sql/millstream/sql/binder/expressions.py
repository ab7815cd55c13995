"""Binds expressions: syntax nodes of sqlglot to typed expressions over the columns of a scope.

A handler a kind of syntax node; functions, operators included, are resolved by the registry of
``core.table.functions``, which also inserts the casts. What is not an expression over one row, aggregates and OVER,
becomes a placeholder (``placeholders``) where the clause allows it and an error where it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from sqlglot import exp

from millstream.core.errors import JobGraphError
from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Call, Expression, Literal
from millstream.core.table.functions.registry import bind_call, cast_call, scalar_function
from millstream.core.table.specs import WindowKind
from millstream.sql.binder import aggregate_calls, over_calls
from millstream.sql.binder.json_clauses import JSON_CALLS, json_arguments
from millstream.sql.binder.literals import (
    boolean_literal,
    bytes_literal,
    interval_literal,
    null_literal,
    number_literal,
    text_literal,
    typed_literal,
    unicode_literal,
)
from millstream.sql.binder.names import resolve_column
from millstream.sql.binder.scope import Scope
from millstream.sql.errors import QueryError, did_you_mean, query_error, unsupported
from millstream.sql.parser.query_nodes import TypedLiteral
from millstream.sql.parser.types import parse_type

GROUPING_FUNCTIONS: Final = frozenset({"GROUPING", "GROUPING_ID"})
"""They speak of the grouping set; ``grouping`` gives them their meaning."""


class Subqueries(Protocol):
    """Makes columns of subqueries inside expressions."""

    def scalar(self, query: exp.Expr, scope: Scope) -> Expression:
        """A column that holds the one value of ``query``."""
        ...

    def exists(self, query: exp.Expr, scope: Scope) -> Expression:
        """Whether ``query`` has rows."""
        ...

    def contained(self, values: Sequence[Expression], node: exp.In, scope: Scope) -> Expression:
        """Whether the query of ``node`` has a row of ``values``."""
        ...

    def compared(self, symbol: str, value: Expression, node: exp.Any | exp.All, scope: Scope) -> Expression:
        """Whether ``value`` compares so with any or all rows of the query of ``node``."""
        ...


class UserFunctions(Protocol):
    """Functions that the catalog knows."""

    def bind_function(self, name: str, arguments: Sequence[Expression]) -> Expression | None:
        """A call of a user's scalar function; None when there is none of that name."""
        ...

    def aggregate_function(self, name: str) -> Any | None:
        """A user's aggregate function; None when there is none of that name."""
        ...

    def function_names(self) -> Sequence[str]: ...


class ExpressionBinder:
    """Binds the expressions of one clause."""

    def __init__(
        self,
        scope: Scope,
        functions: UserFunctions,
        *,
        subqueries: Subqueries | None = None,
        clause: str = "",
        aggregates: bool = False,
        overs: bool = False,
    ) -> None:
        """``clause`` names the clause in errors; ``aggregates`` and ``overs`` say what it may contain."""
        self.scope = scope
        self.functions = functions
        self.clause = clause
        self.aggregates = aggregates
        self.overs = overs
        self._subqueries = subqueries

    def bind(self, node: exp.Expr) -> Expression:
        """The bound expression. Raises ``QueryError`` at the place of what is wrong."""
        handler = _HANDLERS.get(type(node))
        try:
            if handler is not None:
                return handler(self, node)
            if aggregate_calls.is_aggregate(node, self.functions):
                return aggregate_calls.bind_aggregate(self, node)
            named = call_of(node)
            if named is not None:
                return self._function(*named)
        except QueryError as error:
            error.node = error.node or node
            raise
        except JobGraphError as error:
            raise query_error(error.message, node) from error
        raise unsupported(f"{type(node).__name__} ({node.sql():.80})", node)

    def bind_boolean(self, node: exp.Expr, where: str) -> Expression:
        """A condition. Raises ``QueryError`` when it is not BOOLEAN."""
        bound = self.bind(node)
        if bound.type.is_a(lt.TypeRoot.NULL):
            return null_literal(lt.BOOLEAN)
        if not bound.type.is_a(lt.TypeRoot.BOOLEAN):
            raise query_error(f"{where} takes a BOOLEAN, not {bound.type.text()}", node)
        return bound

    def call(self, name: str, *arguments: Expression | exp.Expr) -> Expression:
        """A call of the built-in function ``name``."""
        return bind_call(name, [self.bind(item) if isinstance(item, exp.Expr) else item for item in arguments])

    # -- functions --------------------------------------------------------------------------------------------------

    def _function(self, name: str, arguments: list[exp.Expr]) -> Expression:
        if name in JSON_CALLS:
            return bind_call(*json_arguments(name, arguments, self.bind))
        if any(isinstance(argument, exp.Star) for argument in arguments):
            raise self._unknown_function(name) if scalar_function(name) is None else query_error(f"{name} takes no *")
        bound = [self.bind(argument) for argument in arguments]
        if name in GROUPING_FUNCTIONS and self.aggregates:
            return Call(lt.BIGINT.with_nullable(False), name, tuple(bound))
        user = self.functions.bind_function(name, bound)
        if user is not None:
            return user
        if scalar_function(name) is None:
            raise self._unknown_function(name)
        return bind_call(name, bound)

    def _unknown_function(self, name: str) -> QueryError:
        window, _, end = name.rpartition("_")
        if name in GROUPING_FUNCTIONS:
            return query_error(f"{name} needs GROUP BY")
        if window in WindowKind.__members__ and end in ("START", "END", "ROWTIME", "PROCTIME"):
            return query_error(f"{name} needs GROUP BY {window}(...) of the same time and intervals")
        near = did_you_mean(name, self.functions.function_names()) or " SHOW FUNCTIONS lists all."
        return query_error(f"there is no function {name}.{near}")

    # -- leaves -----------------------------------------------------------------------------------------------------

    def _column(self, node: exp.Column) -> Expression:
        parts = [part.name for part in node.parts]
        if any(isinstance(part, exp.Star) for part in node.parts):
            raise query_error(f"* stands for all columns and cannot be part of an expression{self._in_clause()}", node)
        expression, rest = resolve_column(self.scope, parts, node)
        for name in rest:
            expression = field_of(expression, name, node)
        return expression

    def _dot(self, node: exp.Dot) -> Expression:
        inner, name = node.this, node.expression
        if isinstance(name, exp.Identifier):
            return field_of(self.bind(inner), name.name, node)
        raise unsupported(f"{node.sql():.80}", node)

    def _literal(self, node: exp.Literal) -> Expression:
        return text_literal(node.this) if node.is_string else number_literal(node.this, node)

    def _negative(self, node: exp.Neg) -> Expression:
        if isinstance(node.this, exp.Literal) and not node.this.is_string:
            return number_literal("-" + node.this.this, node)
        return self.call("-", node.this)

    def _bracket(self, node: exp.Bracket) -> Expression:
        if len(node.expressions) != 1:
            raise query_error("[...] takes one index or key", node)
        return self.call("ITEM", node.this, node.expressions[0])

    # -- predicates -------------------------------------------------------------------------------------------------

    def _between(self, node: exp.Between) -> Expression:
        value = self.bind(node.this)
        low, high = self.bind(node.args["low"]), self.bind(node.args["high"])
        inside = self.call("AND", self.call(">=", value, low), self.call("<=", value, high))
        if not node.args.get("symmetric"):
            return inside
        return self.call("OR", inside, self.call("AND", self.call(">=", value, high), self.call("<=", value, low)))

    def _in(self, node: exp.In) -> Expression:
        if node.args.get("query") is not None:
            items = node.this.expressions if isinstance(node.this, exp.Tuple) else [node.this]
            return self._with_subqueries(node).contained([self.bind(item) for item in items], node, self.scope)
        if node.args.get("unnest") is not None:
            raise unsupported("IN UNNEST", node)
        return self.call("IN", node.this, *node.expressions)

    def _exists(self, node: exp.Exists) -> Expression:
        return self._with_subqueries(node).exists(node.this, self.scope)

    def _compared(self, node: exp.Binary, symbol: str) -> Expression:
        quantified = node.expression
        if not isinstance(quantified, exp.Any | exp.All):
            return self.call(symbol, node.this, quantified)
        if (symbol, type(quantified)) in (("=", exp.Any), ("<>", exp.All)):
            inside = self.bind(exp.In(this=node.this, query=quantified.this))
            return inside if symbol == "=" else self.call("NOT", inside)
        return self._with_subqueries(node).compared(symbol, self.bind(node.this), quantified, self.scope)

    def _is(self, node: exp.Is) -> Expression:
        right = node.expression
        if isinstance(right, exp.Null):
            return self.call("IS NULL", node.this)
        if isinstance(right, exp.Boolean):
            return self.call("IS TRUE" if right.this else "IS FALSE", node.this)
        if isinstance(right, exp.Not) and isinstance(right.this, exp.Null):
            return self.call("IS NOT NULL", node.this)
        if right.name.upper() == "UNKNOWN":
            return self.call("IS UNKNOWN", node.this)
        if isinstance(right, exp.JSON):
            return self.call(f"IS JSON {right.this}".removesuffix(" None"), node.this)
        raise unsupported(node.sql(), node)

    def _not(self, node: exp.Not) -> Expression:
        inner = node.this
        if isinstance(inner, exp.Is) and isinstance(inner.expression, exp.Null):
            return self.call("IS NOT NULL", inner.this)
        return self.call("NOT", inner)

    def _like(self, node: exp.Expr) -> Expression:
        return self.call("LIKE", node.this, node.expression)

    def _escape(self, node: exp.Escape) -> Expression:
        like = node.this
        name = "SIMILAR TO" if isinstance(like, exp.SimilarTo) else "LIKE"
        return self.call(name, like.this, like.expression, node.expression)

    # -- conditionals, casts, constructors --------------------------------------------------------------------------

    def _case(self, node: exp.Case) -> Expression:
        arguments: list[Expression] = []
        for branch in node.args["ifs"]:
            if node.this is None:
                arguments.append(self.bind_boolean(branch.this, "WHEN"))
            else:
                arguments.append(self.call("=", node.this, branch.this))
            arguments.append(self.bind(branch.args["true"]))
        default = node.args.get("default")
        arguments.append(null_literal() if default is None else self.bind(default))
        return bind_call("CASE", arguments)

    def _cast(self, node: exp.Cast) -> Expression:
        target = parse_type(node.args["to"])
        inner = node.this
        return cast_call(self.bind(inner), target, attempt=isinstance(node, exp.TryCast))

    def _typed_literal(self, node: TypedLiteral) -> Expression:
        return typed_literal(parse_type(str(node.args["kind"])), node.this.name, node)

    def _tuple(self, node: exp.Tuple) -> Expression:
        return bind_call("ROW", [self.bind(item) for item in node.expressions])

    def _subquery(self, node: exp.Expr) -> Expression:
        query = node.this if isinstance(node, exp.Subquery) else node
        return self._with_subqueries(node).scalar(query, self.scope)

    def _with_subqueries(self, node: exp.Expr) -> Subqueries:
        if self._subqueries is None:
            raise unsupported(f"a subquery{self._in_clause()}", node)
        return self._subqueries

    def _window(self, node: exp.Window) -> Expression:
        return over_calls.bind_over(self, node)

    def _in_clause(self) -> str:
        return f" in {self.clause}" if self.clause else ""


def call_of(node: exp.Expr) -> tuple[str, list[exp.Expr]] | None:
    """Name and arguments of a call of a function, however sqlglot represents it."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper(), list(node.expressions)
    if not isinstance(node, exp.Func):
        return None
    arguments: list[exp.Expr] = []
    for key in node.arg_types:
        value = node.args.get(key)
        if isinstance(value, list):
            arguments += value
        elif isinstance(value, exp.Expr):
            arguments.append(value)
    return node.sql_name().upper(), arguments


def field_of(value: Expression, name: str, node: exp.Expr) -> Expression:
    """The field ``name`` of a ROW. Raises ``QueryError`` when there is none."""
    found = value.type.field(name)
    if found is None:
        if value.type.root is not lt.TypeRoot.ROW:
            raise query_error(f"{name!r} is read from a {value.type.text()}, which has no fields", node)
        known = [field for field, _ in value.type.fields]
        raise query_error(f"the row has no field {name!r}; it has {', '.join(known)}.{did_you_mean(name, known)}", node)
    position, kind = found
    place = Literal(lt.INT.with_nullable(False), position)
    return Call(kind.with_nullable(kind.nullable or value.type.nullable), "FIELD", (value, place))


def _named(name: str) -> Callable[[ExpressionBinder, Any], Expression]:
    return lambda binder, node: binder.call(name, node.this, node.expression)


def _comparison(symbol: str) -> Callable[[ExpressionBinder, Any], Expression]:
    return lambda binder, node: binder._compared(node, symbol)


_HANDLERS: Final[dict[type, Callable[[ExpressionBinder, Any], Expression]]] = {
    exp.Column: ExpressionBinder._column,
    exp.Dot: ExpressionBinder._dot,
    exp.Literal: ExpressionBinder._literal,
    exp.Boolean: lambda binder, node: boolean_literal(bool(node.this)),
    exp.Null: lambda binder, node: null_literal(),
    exp.Interval: lambda binder, node: interval_literal(node),
    exp.Paren: lambda binder, node: binder.bind(node.this),
    exp.Neg: ExpressionBinder._negative,
    exp.Bracket: ExpressionBinder._bracket,
    exp.Between: ExpressionBinder._between,
    exp.In: ExpressionBinder._in,
    exp.Exists: ExpressionBinder._exists,
    exp.Is: ExpressionBinder._is,
    exp.Not: ExpressionBinder._not,
    exp.Like: ExpressionBinder._like,
    exp.SimilarTo: _named("SIMILAR TO"),
    exp.Escape: ExpressionBinder._escape,
    exp.Case: ExpressionBinder._case,
    exp.Cast: ExpressionBinder._cast,
    exp.TryCast: ExpressionBinder._cast,
    TypedLiteral: ExpressionBinder._typed_literal,
    exp.Var: lambda binder, node: text_literal(node.name.upper()),
    exp.UnicodeString: lambda binder, node: unicode_literal(node),
    exp.HexString: lambda binder, node: bytes_literal(bytes.fromhex(node.this)),
    exp.Tuple: ExpressionBinder._tuple,
    exp.Subquery: ExpressionBinder._subquery,
    exp.Select: ExpressionBinder._subquery,
    exp.Window: ExpressionBinder._window,
    exp.And: _named("AND"),
    exp.Or: _named("OR"),
    exp.EQ: _comparison("="),
    exp.NEQ: _comparison("<>"),
    exp.LT: _comparison("<"),
    exp.LTE: _comparison("<="),
    exp.GT: _comparison(">"),
    exp.GTE: _comparison(">="),
    exp.Add: _named("+"),
    exp.Sub: _named("-"),
    exp.Mul: _named("*"),
    exp.Div: _named("/"),
    exp.Mod: _named("%"),
    exp.DPipe: _named("||"),
    exp.Overlaps: lambda binder, node: binder.call("OVERLAPS", *node.this.expressions, *node.expression.expressions),
    exp.NullSafeEQ: _named("IS NOT DISTINCT FROM"),
    exp.NullSafeNEQ: _named("IS DISTINCT FROM"),
}
