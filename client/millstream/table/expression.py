"""``Expression``: what the DSL builds (``pyflink.table.expression``).

An expression is the syntax tree that the same text in SQL has, so that one binder gives both their meaning, their
casts and their errors. It belongs to no table: ``col("a")`` finds its column when a table gets it. Functions and
tables of the program in the tree have names that nobody else uses; ``attached`` says which they are.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NoReturn

from sqlglot import exp

from millstream.core.errors import PicklingError
from millstream.core.table.functions.registry import canonical_name, function_names
from millstream.core.table.logical_types import LogicalType
from millstream.datastream.call_site import refuse
from millstream.sql.binder.aggregate_calls import AGGREGATES
from millstream.sql.parser.types import type_node
from millstream.sql.plan.nodes import Node
from millstream.sql.planner.user_functions import UserFunction
from millstream.table.interval_methods import IntervalMethods
from millstream.table.literals import literal_node
from millstream.table.method_names import SQL_NAMES

Attached = Mapping[str, UserFunction | Node]
"""Functions and tables of the program that a tree names."""
NOTHING: Final[Attached] = {}


class Expression(IntervalMethods):
    """Immutable. Methods that are no other make the call of the built-in function of their name.

    ``col("name").upper_case``, ``col("name").lpad(8, " ")``: one without arguments needs no parentheses.
    """

    def __init__(self, node: exp.Expr, attached: Attached = NOTHING) -> None:
        self._node = node
        self._attached = attached

    # -- operators ----------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Expression:
        return binary(exp.Add, self, other)

    def __radd__(self, other: Any) -> Expression:
        return binary(exp.Add, other, self)

    def __sub__(self, other: Any) -> Expression:
        return binary(exp.Sub, self, other)

    def __rsub__(self, other: Any) -> Expression:
        return binary(exp.Sub, other, self)

    def __mul__(self, other: Any) -> Expression:
        return binary(exp.Mul, self, other)

    def __rmul__(self, other: Any) -> Expression:
        return binary(exp.Mul, other, self)

    def __truediv__(self, other: Any) -> Expression:
        return binary(exp.Div, self, other)

    def __rtruediv__(self, other: Any) -> Expression:
        return binary(exp.Div, other, self)

    def __mod__(self, other: Any) -> Expression:
        return binary(exp.Mod, self, other)

    def __rmod__(self, other: Any) -> Expression:
        return binary(exp.Mod, other, self)

    def __pow__(self, other: Any) -> Expression:
        return function_call("POWER", self, other)

    def __neg__(self) -> Expression:
        return self._wrapped(exp.Neg)

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return binary(exp.EQ, self, other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return binary(exp.NEQ, self, other)

    def __lt__(self, other: Any) -> Expression:
        return binary(exp.LT, self, other)

    def __le__(self, other: Any) -> Expression:
        return binary(exp.LTE, self, other)

    def __gt__(self, other: Any) -> Expression:
        return binary(exp.GT, self, other)

    def __ge__(self, other: Any) -> Expression:
        return binary(exp.GTE, self, other)

    def __and__(self, other: Any) -> Expression:
        return binary(exp.And, self, other)

    def __rand__(self, other: Any) -> Expression:
        return binary(exp.And, other, self)

    def __or__(self, other: Any) -> Expression:
        return binary(exp.Or, self, other)

    def __ror__(self, other: Any) -> Expression:
        return binary(exp.Or, other, self)

    def __invert__(self) -> Expression:
        return self._wrapped(exp.Not)

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> NoReturn:
        raise refuse(
            "an expression has no truth value until a query runs. Write & for and, | for or, ~ for not, and "
            "parentheses around comparisons: (col('a') > 1) & (col('b') < 2)."
        )

    def __iter__(self) -> NoReturn:
        raise refuse("an expression cannot be iterated over: it stands for a column of a query that has not run.")

    def __getitem__(self, index: Any) -> Expression:
        """An element of an array (from 1 on) or of a map."""
        item, attached = _node_of(index), _attached_to((self, index))
        return Expression(exp.Bracket(this=self._copy(), expressions=[item]), attached)

    def __reduce__(self) -> NoReturn:
        raise PicklingError("an expression cannot travel: functions see values, not expressions")

    def __str__(self) -> str:
        return self._node.sql()

    __repr__ = __str__

    # -- names and types ----------------------------------------------------------------------------------------------

    def alias(self, name: str, *extra_names: str) -> Expression:
        """Name the column that the expression makes; a table function makes several."""
        for given in (name, *extra_names):
            if not isinstance(given, str) or not given:
                raise refuse(f"alias takes names, not {given!r}.")
        node = self._node.this if isinstance(self._node, exp.Alias | exp.Aliases) else self._node
        if extra_names:
            names = [exp.to_identifier(given) for given in (name, *extra_names)]
            return Expression(exp.Aliases(this=node.copy(), expressions=names), self._attached)
        return Expression(exp.Alias(this=node.copy(), alias=exp.to_identifier(name)), self._attached)

    def cast(self, data_type: LogicalType) -> Expression:
        """Convert; a value that cannot be converted fails the job."""
        return self._cast(exp.Cast, data_type, "cast")

    def try_cast(self, data_type: LogicalType) -> Expression:
        """Convert; NULL for a value that cannot be converted."""
        return self._cast(exp.TryCast, data_type, "try_cast")

    def get(self, field: str | int) -> Expression:
        """A field of a row, by name."""
        if not isinstance(field, str):
            raise refuse(f"get takes the name of a field, not {field!r}.")
        node = self._copy()
        if isinstance(node, exp.Column):
            parts = [*node.parts, exp.to_identifier(field)]
            return Expression(
                exp.Column(**dict(zip(("this", "table", "db", "catalog"), reversed(parts), strict=False)))
            )
        return Expression(exp.Dot(this=node, expression=exp.to_identifier(field)), self._attached)

    # -- conditions ---------------------------------------------------------------------------------------------------

    @property
    def is_null(self) -> Expression:
        return self._is(exp.Null())

    @property
    def is_not_null(self) -> Expression:
        return ~self._is(exp.Null())

    @property
    def is_true(self) -> Expression:
        return self._is(exp.Boolean(this=True))

    @property
    def is_false(self) -> Expression:
        return self._is(exp.Boolean(this=False))

    @property
    def is_not_true(self) -> Expression:
        return ~self.is_true

    @property
    def is_not_false(self) -> Expression:
        return ~self.is_false

    def between(self, lower_bound: Any, upper_bound: Any) -> Expression:
        low, high = _node_of(lower_bound), _node_of(upper_bound)
        attached = _attached_to((self, lower_bound, upper_bound))
        return Expression(exp.Between(this=self._copy(), low=low, high=high), attached)

    def not_between(self, lower_bound: Any, upper_bound: Any) -> Expression:
        return ~self.between(lower_bound, upper_bound)

    def in_(self, first: Any, *others: Any) -> Expression:
        """Whether it is one of the values, or in the only column of a table."""
        from millstream.table.table import Table

        if isinstance(first, Table):
            if others:
                raise refuse("in_ takes one table, or values.")
            query, attached = first._as_subquery()
            return Expression(exp.In(this=self._copy(), query=query), {**self._attached, **attached})
        values = [*first, *others] if isinstance(first, list | tuple | set | frozenset) else [first, *others]
        if not values:
            raise refuse("in_ takes at least one value.")
        nodes = [_node_of(value) for value in values]
        return Expression(exp.In(this=self._copy(), expressions=nodes), _attached_to((self, *values)))

    def like(self, pattern: Any, escape: str | None = None) -> Expression:
        """SQL's pattern: ``%`` for any text, ``_`` for one character."""
        return self._pattern(exp.Like, pattern, escape)

    def similar(self, pattern: Any, escape: str | None = None) -> Expression:
        return self._pattern(exp.SimilarTo, pattern, escape)

    def then(self, if_true: Any, if_false: Any) -> Expression:
        """A ternary: one of two values by this condition."""
        return conditional(self, if_true, if_false)

    # -- aggregates ---------------------------------------------------------------------------------------------------

    @property
    def distinct(self) -> Expression:
        """Of an aggregate: over each value once."""
        if not isinstance(self._node, exp.Anonymous) or not self._node.expressions:
            raise refuse("distinct belongs to a call of an aggregate: col('a').count.distinct.")
        call = self._node.copy()
        call.set("expressions", [exp.Distinct(expressions=call.expressions)])
        return Expression(call, self._attached)

    def filter_where(self, condition: Expression) -> Expression:
        """Of an aggregate: over rows that meet the condition only (FILTER of SQL)."""
        where = exp.Where(this=_node_of(condition))
        return Expression(exp.Filter(this=self._copy(), expression=where), _attached_to((self, condition)))

    def over(self, alias: Expression) -> Expression:
        """Of an aggregate: over the window that ``over_window`` of the table calls by this name."""
        if not isinstance(alias, Expression) or not isinstance(alias._node, exp.Column):
            raise refuse("over takes the alias of an over window: col('a').sum.over(col('w')).")
        return Expression(exp.Window(this=self._copy(), alias=exp.to_identifier(alias._node.name)), self._attached)

    # -- order --------------------------------------------------------------------------------------------------------

    @property
    def asc(self) -> Expression:
        return Expression(exp.Ordered(this=self._copy(), nulls_first=True), self._attached)

    @property
    def desc(self) -> Expression:
        return Expression(exp.Ordered(this=self._copy(), desc=True, nulls_first=False), self._attached)

    # -- functions by name --------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> MethodCall:
        """The call of the built-in function ``name`` with this as its first argument."""
        if name.startswith("_"):
            raise AttributeError(name)
        return MethodCall(sql_name(name), self)

    def _is(self, value: exp.Expr) -> Expression:
        return Expression(exp.Is(this=self._copy(), expression=value), self._attached)

    def _pattern(self, kind: type[exp.Expression], pattern: Any, escape: str | None) -> Expression:
        found: exp.Expr = kind(this=self._copy(), expression=_node_of(pattern))
        if escape is not None:
            found = exp.Escape(this=found, expression=literal_node(escape))
        return Expression(found, _attached_to((self, pattern)))

    def _cast(self, kind: type[exp.Expression], data_type: LogicalType, method: str) -> Expression:
        if not isinstance(data_type, LogicalType):
            raise refuse(f"{method} takes a type such as DataTypes.INT(), not {data_type!r:.60}.")
        return Expression(kind(this=self._copy(), to=type_node(data_type)), self._attached)

    def _wrapped(self, kind: type[exp.Expression]) -> Expression:
        return Expression(kind(this=self._copy()), self._attached)

    def _copy(self) -> exp.Expr:
        copied: exp.Expr = self._node.copy()
        return copied

    def _interval(self, unit: str) -> Expression:
        value = self._node.this if isinstance(self._node, exp.Neg) else self._node
        if not isinstance(value, exp.Literal) or value.is_string:
            raise refuse(f"{unit.lower()}s are counted by a number: lit(10).{unit.lower()}s.")
        sign = "-" if isinstance(self._node, exp.Neg) else ""
        if unit == "MILLISECOND":
            number, unit = f"{int(value.this) / 1000}", "SECOND"
        else:
            number = value.this
        return Expression(exp.Interval(this=exp.Literal.string(sign + number), unit=exp.var(unit)))


class MethodCall(Expression):
    """A call of a function that may get more arguments: ``col("a").sum``, ``col("a").sum()``, ``col("a").mod(3)``."""

    def __init__(self, name: str, value: Expression) -> None:
        super().__init__(exp.Anonymous(this=name, expressions=[value._copy()]), value._attached)
        self._name = name
        self._value = value

    def __call__(self, *arguments: Any) -> Expression:
        return function_call(self._name, *_method_arguments(self._name, self._value, arguments))


def sql_name(method: str) -> str:
    """What SQL calls the function behind a method. Raises ``JobGraphError`` naming the nearest method."""
    name = SQL_NAMES.get(method, method.upper())
    if name in AGGREGATES or canonical_name(name) in _built_in() or name.startswith("$"):
        return name
    known = [*SQL_NAMES, *(known.lower() for known in (*_built_in(), *AGGREGATES) if known.isidentifier())]
    near = difflib.get_close_matches(method, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else " A user's function is called by call('name', ...)."
    raise refuse(f"an expression has no method {method!r}.{hint}")


def _built_in() -> frozenset[str]:
    return frozenset(function_names())


def _method_arguments(name: str, value: Expression, arguments: tuple[Any, ...]) -> list[Any]:
    """Arguments in SQL's order, which is not always that of the method."""
    first = arguments[0] if arguments else None
    if name in ("EXTRACT", "TIMESTAMPADD", "TIMESTAMPDIFF"):
        return [_unit_expression(first), value, *arguments[1:]]
    if name in ("FLOOR", "CEIL") and arguments:
        return [value, _unit_expression(first)]
    if name == "TRIM" and arguments:
        return [Expression(exp.var("BOTH")), *arguments, value]
    return [value, *arguments]


def _unit_expression(unit: Any) -> Expression:
    """A unit of time, by its enum or its name."""
    name = getattr(unit, "name", unit)
    if not isinstance(name, str):
        raise refuse(f"a unit of time such as TimeIntervalUnit.DAY is wanted here, not {unit!r:.60}.")
    return Expression(exp.var(name.upper()))


def expression_of(value: Any) -> Expression:
    """An expression as it is; a Python value as a constant."""
    return value if isinstance(value, Expression) else Expression(literal_node(value))


def _node_of(value: Any) -> exp.Expr:
    return value._copy() if isinstance(value, Expression) else literal_node(value)


def _attached_to(values: Iterable[Any]) -> Attached:
    merged: dict[str, UserFunction | Node] = {}
    for value in values:
        if isinstance(value, Expression):
            merged.update(value._attached)
    return merged


def binary(kind: type[exp.Expression], left: Any, right: Any) -> Expression:
    """``left kind right``."""
    return Expression(kind(this=_node_of(left), expression=_node_of(right)), _attached_to((left, right)))


def function_call(name: str, *arguments: Any) -> Expression:
    """A call of a function by its SQL name."""
    nodes = [_node_of(argument) for argument in arguments]
    return Expression(exp.Anonymous(this=name, expressions=nodes), _attached_to(arguments))


def user_call(name: str, function: UserFunction, arguments: Iterable[Any]) -> Expression:
    """A call of a user's function that has no name in a catalog; ``name`` is its own in trees."""
    given = list(arguments)
    made = function_call(name, *given)
    return Expression(made._node, {**made._attached, name.lower(): function})


def conditional(condition: Any, if_true: Any, if_false: Any) -> Expression:
    """CASE WHEN condition THEN if_true ELSE if_false END."""
    branch = exp.If(this=_node_of(condition), true=_node_of(if_true))
    node = exp.Case(ifs=[branch], default=_node_of(if_false))
    return Expression(node, _attached_to((condition, if_true, if_false)))
