"""Functions over whole rows: ``map``, ``flat_map``, ``aggregate``, ``join_lateral``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from millstream.core.api.row import Row
from millstream.core.table.expressions import Expression as BoundExpression
from millstream.core.table.expressions import InputRef
from millstream.core.table.logical_types import TypeRoot
from millstream.datastream.call_site import refuse
from millstream.sql.binder.columns import project
from millstream.sql.binder.expressions import field_of
from millstream.table.expression import Attached, Expression, function_call, user_call
from millstream.table.expressions import col
from millstream.table.user_functions import CallableFunction, as_user_function, unnamed

if TYPE_CHECKING:
    from millstream.table.table import Table


def mapped(table: Table, func: Any) -> Table:
    """One row for each, by a call or by a function of the whole row."""
    call, names = _split(call_over_row(func, table, "map"))
    return flattened(table.select(Expression(call._node, call._attached)), 0, names)


def flat_mapped(table: Table, func: Any) -> Table:
    """The rows that a table function makes, alone."""
    joined = table.join_lateral(call_over_row(func, table, "flat_map"))
    made = joined._row.names[len(table._row) :]
    return joined.select(*map(col, made))


def lateral_of(given: Any, method: str) -> tuple[exp.Lateral, Attached]:
    """How a call of a table function stands in FROM."""
    if isinstance(given, CallableFunction):
        given = given()
    if not isinstance(given, Expression):
        raise refuse(f"{method} takes a call of a table function, not {given!r:.60}.")
    call, names = _split(given)
    if not isinstance(call._node, exp.Anonymous):
        raise refuse(f"{method} takes a call of a table function, not {given}.")
    columns = [exp.to_identifier(name, quoted=True) for name in names]
    alias = exp.TableAlias(this=exp.to_identifier("$made", quoted=True), columns=columns)
    return exp.Lateral(this=call._copy(), alias=alias), call._attached


def aggregate_call(func: Any, table: Table) -> tuple[exp.Expr, list[str], Attached]:
    """The call of an aggregate function, and the names that its alias gives."""
    call, names = _split(call_over_row(func, table, "aggregate"))
    return call._copy(), names, call._attached


def flattened(table: Table, position: int, names: Sequence[str]) -> Table:
    """The last column, at ``position``, replaced by its fields if it is a ROW; ``names`` are for the new columns."""
    node = table._node
    kind = node.row[position].type
    own: list[BoundExpression] = [InputRef(node.row[at].type, at) for at in range(position)]
    value = InputRef(kind, position)
    if kind.root is TypeRoot.ROW:
        fields = [name for name, _ in kind.fields]
        made = [field_of(value, name, exp.null()) for name in fields]
    else:
        fields, made = ["f0"], [value]
    if len(names) > len(fields):
        raise refuse(f"alias gives {len(names)} names, but the function makes {len(fields)} columns.")
    shown = [*names, *fields[len(names) :]]
    return table._made(project(node, [*own, *made], [*node.row.names[:position], *shown]))


def call_over_row(func: Any, table: Table, method: str) -> Expression:
    """A call as it is; of a function that is not called, its call with the whole row, as ``Row``."""
    if isinstance(func, Expression):
        return func
    if not isinstance(func, CallableFunction) and not callable(func):
        raise refuse(f"{method} takes a function, or its call with columns, not {func!r:.60}.")
    function = as_user_function(getattr(func, "__name__", type(func).__name__), func)
    user = function.function
    if hasattr(user, "accumulate"):
        raise refuse(f"{method}: call the aggregate function with its columns: f(col('a')).")
    whole = function_call("ROW", *map(col, table._row.names))
    names = table._row.names
    over_row = replace(function, function=RowArgument(user, names), argument_types=None)
    return user_call(unnamed(over_row), over_row, [whole])


class RowArgument:
    """A user's function of a ``Row``, for rows that come as dicts in the order of ``names``."""

    def __init__(self, function: Callable[..., Any], names: Sequence[str]) -> None:
        self._function = function
        self._names = list(names)

    def __call__(self, record: dict[str, Any]) -> Any:
        row = Row(*record.values())
        row.set_field_names(self._names)
        return self._function(row)


def _split(call: Expression) -> tuple[Expression, list[str]]:
    """A call and the names that an alias gives to what it makes."""
    node = call._node
    if isinstance(node, exp.Alias):
        return Expression(node.this, call._attached), [str(node.alias)]
    if isinstance(node, exp.Aliases):
        return Expression(node.this, call._attached), [str(name.name) for name in node.expressions]
    return call, []
