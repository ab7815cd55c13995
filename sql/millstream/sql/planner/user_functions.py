"""Functions of the catalog: from ``module.attribute`` to what the planner calls."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence
from typing import Any

from millstream.core.table.expressions import Expression, PythonCall
from millstream.core.table.functions.coercion import common_type
from millstream.core.table.functions.registry import implicit_cast
from millstream.core.table.logical_types import LogicalType, TypeRoot, row
from millstream.core.table.python_functions import (
    PythonAggregateFunction,
    PythonScalarFunction,
    PythonTableFunction,
    Vector,
    infer_types,
    is_asynchronous,
    vector_of,
)
from millstream.sql.errors import query_error

UserFunction = PythonScalarFunction | PythonTableFunction | PythonAggregateFunction


def load_function(name: str, target: str) -> UserFunction:
    """The function ``target``. Raises ``QueryError`` when it cannot be imported, or its types are not known."""
    module_name, _, attribute = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise query_error(f"the function {name} is {target!r}, which cannot be imported: {error}") from error
    return as_function(name, found)


def as_function(name: str, found: Any) -> UserFunction:
    """What a user gave as a function: one that has declared types, a plain function, an aggregate.

    A generator is a table function, an object with ``create_accumulator`` an aggregate, everything else is scalar.
    """
    if isinstance(found, UserFunction):
        return found
    if inspect.isclass(found):
        found = found()
    if hasattr(found, "create_accumulator"):
        arguments, _ = infer_types(found.accumulate, name, _declared_result(found.get_value, name))
        result = _declared_result(found.get_value, name)
        return PythonAggregateFunction(name, found, None if arguments is None else arguments[1:], result)
    function = found.eval if hasattr(found, "eval") else found
    if not callable(function):
        raise query_error(f"the function {name} is a {type(found).__name__}, which cannot be called")
    if inspect.isasyncgenfunction(function):
        raise query_error(
            f"the function {name} is an asynchronous generator, and table functions cannot be asynchronous: return a "
            f"list from an async def, and UNNEST it"
        )
    if inspect.isgeneratorfunction(function):
        arguments, made = infer_types(function, name)
        return PythonTableFunction(name, function, arguments, row_of_table_function(made))
    arguments, result = infer_types(function, name)
    vector, asynchronous = vector_of(function), is_asynchronous(function)
    if asynchronous and vector is not Vector.ROW:
        raise query_error(f"the function {name} takes columns and is an async def: it can be one or the other")
    return PythonScalarFunction(name, function, arguments, result, vector=vector, asynchronous=asynchronous)


def _declared_result(function: Any, name: str) -> LogicalType:
    return infer_types(function, name)[1]


def row_of_table_function(made: LogicalType) -> LogicalType:
    """The columns of a table function: the fields of the rows it yields, or one column."""
    element = made.element if made.root is TypeRoot.ARRAY and made.element is not None else made
    return element if element.root is TypeRoot.ROW else row(("f0", element))


def call_scalar(function: PythonScalarFunction, arguments: Sequence[Expression]) -> Expression:
    """A call of a user's scalar function. Raises ``QueryError`` for arguments of other types."""
    bound = checked_arguments(function, arguments)
    return PythonCall(function.result_type, function.name, function, tuple(bound))


def checked_arguments(function: UserFunction, arguments: Sequence[Expression]) -> list[Expression]:
    """The arguments, cast to what the function declares."""
    wanted = function.argument_types
    if wanted is None:
        return list(arguments)
    if len(wanted) != len(arguments):
        raise query_error(f"{function.name} takes {len(wanted)} arguments, not {len(arguments)}")
    bound = []
    for position, (argument, kind) in enumerate(zip(arguments, wanted, strict=True), 1):
        common = common_type([argument.type, kind])
        if common is None or (common.root is not kind.root and argument.type.root is not TypeRoot.NULL):
            raise query_error(
                f"argument {position} of {function.name} must be {kind.text()}, not {argument.type.text()}; "
                f"CAST it, or change the function's annotation"
            )
        bound.append(implicit_cast(argument, kind))
    return bound
