"""Functions that users write for tables: ``udf``, ``udtf``, ``udaf`` (``pyflink.table.udf``).

Types come from annotations, or from ``input_types`` and ``result_type``. A function whose first annotation is
``pyarrow.Array``, ``pandas.Series`` or ``polars.Series`` is called once a batch.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable
from typing import Any, Final

from millstream.core.errors import MillstreamError
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
from millstream.core.table.python_types import type_of_annotation
from millstream.datastream.call_site import refuse
from millstream.sql.parser.types import parse_type
from millstream.sql.planner.user_functions import UserFunction, as_function, row_of_table_function
from millstream.table.expression import Expression, user_call

Types = LogicalType | str | Iterable[LogicalType | str]

_FUNC_TYPES: Final = {"general": None, "pandas": Vector.PANDAS, "arrow": Vector.ARROW, "polars": Vector.POLARS}
_numbers = itertools.count(1)


class FunctionContext:
    """What ``open`` gets."""


class UserDefinedFunction:
    """Base of functions that are classes. ``open`` runs where the function runs, before its first call."""

    def open(self, function_context: FunctionContext) -> None:
        """Make what should not travel with the job: connections, models."""

    def is_deterministic(self) -> bool:
        """Whether it answers the same to the same arguments."""
        return True


class ScalarFunction(UserDefinedFunction):
    """One value for each row: ``eval(*values)``."""


class AsyncScalarFunction(UserDefinedFunction):
    """One value for each row: ``async def eval(*values)``, which may wait for a service while other rows' calls do."""


class TableFunction(UserDefinedFunction):
    """Any number of rows for each row: ``eval(*values)`` yields them."""


class AggregateFunction(UserDefinedFunction):
    """One value for a group.

    ``create_accumulator()``, ``accumulate(accumulator, *values)`` and ``get_value(accumulator)``; ``retract`` where
    rows are taken back, ``merge(accumulator, accumulators)`` for session windows. ``get_result_type()`` may tell the
    type of the result.
    """


class CallableFunction:
    """A user's function in Python code: called with expressions it makes one."""

    def __init__(self, function: UserFunction) -> None:
        self.function = function
        self._name = unnamed(function)

    @property
    def name(self) -> str:
        return self.function.name

    def __call__(self, *arguments: Any) -> Expression:
        return user_call(self._name, self.function, arguments)

    def alias(self, *names: str) -> Expression:
        """A call without arguments, its columns named."""
        return self().alias(*names)


def udf(
    f: Any = None,
    input_types: Types | None = None,
    result_type: LogicalType | str | None = None,
    deterministic: bool | None = None,
    name: str | None = None,
    func_type: str = "general",
) -> Any:
    """A scalar function, of a function, a lambda or a ``ScalarFunction``; also as a decorator.

    An ``async def`` or an ``AsyncScalarFunction`` is called for several rows of a batch at a time.

    ``func_type``: ``"pandas"``, ``"arrow"`` or ``"polars"`` for one that takes and returns columns.
    """
    if func_type not in _FUNC_TYPES:
        raise refuse(f"func_type is one of {', '.join(_FUNC_TYPES)}, not {func_type!r}.")

    def make(given: Any) -> CallableFunction:
        function, shown = _callable(given, name, "udf")
        if inspect.isgeneratorfunction(function):
            raise refuse(f"{shown} is a generator, which makes rows: declare it with udtf.")
        if inspect.isasyncgenfunction(function):
            raise refuse(f"{shown} is an asynchronous generator; return a list, and UNNEST it.")
        arguments, result = _types(function, shown, input_types, result_type)
        vector, steady = _FUNC_TYPES[func_type] or vector_of(function), _deterministic(given, deterministic)
        asynchronous = is_asynchronous(function)
        if asynchronous and vector is not Vector.ROW:
            raise refuse(f"{shown} takes columns and is an async def: it can be one or the other.")
        if isinstance(getattr(function, "__self__", None), AsyncScalarFunction) and not asynchronous:
            raise refuse(f"eval of the AsyncScalarFunction {shown} is no async def.")
        return CallableFunction(
            PythonScalarFunction(shown, _runnable(function), arguments, result, steady, vector, asynchronous)
        )

    return make if f is None else make(f)


def udtf(
    f: Any = None,
    input_types: Types | None = None,
    result_types: Types | None = None,
    deterministic: bool | None = None,
    name: str | None = None,
) -> Any:
    """A table function, of a generator, a function that returns an iterable, or a ``TableFunction``."""

    def make(given: Any) -> CallableFunction:
        function, shown = _callable(given, name, "udtf")
        if inspect.isasyncgenfunction(function) or is_asynchronous(function):
            raise refuse(f"{shown} is asynchronous, which a table function cannot be: UNNEST the list of a udf.")
        made = None if result_types is None else _row_type(_type_list(result_types))
        arguments, result = _types(function, shown, input_types, made)
        return CallableFunction(
            PythonTableFunction(
                shown,
                _runnable(function),
                arguments,
                row_of_table_function(result),
                _deterministic(given, deterministic),
            )
        )

    return make if f is None else make(f)


def udaf(
    f: Any = None,
    input_types: Types | None = None,
    result_type: LogicalType | str | None = None,
    accumulator_type: LogicalType | str | None = None,
    deterministic: bool | None = None,
    name: str | None = None,
    func_type: str = "general",
) -> Any:
    """An aggregate function, of an ``AggregateFunction``. Accumulators are any Python objects: their type is not asked.

    A plain function of lists may be given too: it gets the values of a group at once (``func_type="pandas"``: as
    Series), and keeps them all until then.
    """
    del accumulator_type
    if func_type not in ("general", "pandas"):
        raise refuse(f"func_type of udaf is general or pandas, not {func_type!r}.")

    def make(given: Any) -> CallableFunction:
        instance: Any = given() if inspect.isclass(given) else given
        shown: str = name or getattr(given, "__name__", "") or type(instance).__name__
        if not hasattr(instance, "create_accumulator"):
            if not callable(instance):
                raise refuse(f"udaf takes an AggregateFunction or a function, not {given!r:.60}.")
            arguments, result = _types(instance, shown, input_types, result_type)
            whole = WholeGroup(instance, as_series=func_type == "pandas")
            return CallableFunction(PythonAggregateFunction(shown, whole, arguments, result))
        result = _result_of_aggregate(instance, shown, result_type)
        arguments = _given_types(input_types)
        if arguments is None:
            inferred, _ = infer_types(instance.accumulate, shown, result)
            arguments = None if inferred is None else inferred[1:]
        steady = _deterministic(instance, deterministic)
        return CallableFunction(PythonAggregateFunction(shown, instance, arguments, result, steady))

    return make if f is None else make(f)


class WholeGroup:
    """An aggregate by a function of all values of the group."""

    def __init__(self, function: Callable[..., Any], *, as_series: bool) -> None:
        self._function = function
        self._as_series = as_series

    def create_accumulator(self) -> list[tuple[Any, ...]]:
        return []

    def accumulate(self, accumulator: list[tuple[Any, ...]], *values: Any) -> None:
        accumulator.append(values)

    def retract(self, accumulator: list[tuple[Any, ...]], *values: Any) -> None:
        accumulator.remove(values)

    def merge(self, accumulator: list[tuple[Any, ...]], others: list[list[tuple[Any, ...]]]) -> None:
        for other in others:
            accumulator.extend(other)

    def get_value(self, accumulator: list[tuple[Any, ...]]) -> Any:
        columns = [list(column) for column in zip(*accumulator, strict=True)]
        if not columns:
            return None
        if not self._as_series:
            return self._function(*columns)
        import pandas as pd

        answer = self._function(*(pd.Series(column) for column in columns))
        return answer.item() if hasattr(answer, "item") else answer


def as_user_function(name: str, given: Any) -> UserFunction:
    """What was given as a function, whether or not it went through ``udf``. Raises ``JobGraphError``."""
    if isinstance(given, CallableFunction):
        return given.function
    if isinstance(given, TableFunction) or (inspect.isclass(given) and issubclass(given, TableFunction)):
        made: CallableFunction = udtf(given, name=name)
        return made.function
    try:
        return as_function(name, given)
    except MillstreamError as error:
        raise refuse(error.message) from error


def unnamed(function: UserFunction) -> str:
    """A name for trees that no other function has."""
    return f"{function.name}${next(_numbers)}"


def _callable(given: Any, name: str | None, what: str) -> tuple[Callable[..., Any], str]:
    instance = given() if inspect.isclass(given) else given
    function = instance.eval if hasattr(instance, "eval") else instance
    if not callable(function):
        raise refuse(f"{what} takes a function or an object with a method eval, not {given!r:.60}.")
    return function, name or getattr(given, "__name__", None) or type(instance).__name__


class OpenedCall:
    """``eval`` of an object whose ``open`` is called before."""

    def __init__(self, instance: UserDefinedFunction, function: Callable[..., Any]) -> None:
        self._instance = instance
        self._function = function
        self._is_open = False

    def __call__(self, *values: Any) -> Any:
        if not self._is_open:
            self._instance.open(FunctionContext())
            self._is_open = True
        return self._function(*values)


def _runnable(function: Callable[..., Any]) -> Callable[..., Any]:
    """What is called where the job runs."""
    owner = getattr(function, "__self__", None)
    opens = isinstance(owner, UserDefinedFunction) and type(owner).open is not UserDefinedFunction.open
    return OpenedCall(owner, function) if isinstance(owner, UserDefinedFunction) and opens else function


def _deterministic(given: Any, declared: bool | None) -> bool:
    if declared is not None:
        return declared
    return bool(given.is_deterministic()) if isinstance(given, UserDefinedFunction) else True


def _types(
    function: Callable[..., Any], name: str, inputs: Types | None, result: LogicalType | str | None
) -> tuple[tuple[LogicalType, ...] | None, LogicalType]:
    declared = None if result is None else _type(result)
    try:
        inferred, found = infer_types(function, name, declared)
    except MillstreamError as error:
        raise refuse(error.message) from error
    given = _given_types(inputs)
    return inferred if given is None else given, found


def _result_of_aggregate(instance: Any, name: str, declared: LogicalType | str | None) -> LogicalType:
    if declared is None and hasattr(instance, "get_result_type"):
        declared = instance.get_result_type()
    try:
        return infer_types(instance.get_value, name, None if declared is None else _type(declared))[1]
    except MillstreamError as error:
        raise refuse(error.message) from error


def _given_types(inputs: Types | None) -> tuple[LogicalType, ...] | None:
    return None if inputs is None else tuple(_type_list(inputs))


def _type_list(given: Types) -> list[LogicalType]:
    if isinstance(given, LogicalType | str):
        return [_type(given)]
    return [_type(item) for item in given]


def _type(given: Any) -> LogicalType:
    if isinstance(given, LogicalType):
        return given
    if isinstance(given, str):
        return parse_type(given)
    found = type_of_annotation(given)
    if found is None:
        raise refuse(f"{given!r:.60} is no type of a column: use DataTypes.INT() and its like, or 'INT'.")
    return found


def _row_type(types: list[LogicalType]) -> LogicalType:
    if len(types) == 1 and types[0].root is TypeRoot.ROW:
        return types[0]
    return row(*[(f"f{index}", kind) for index, kind in enumerate(types)])
