"""Functions that users write for SQL and tables: scalar, table and aggregate, with the types they were declared with.

They travel with the job (cloudpickle). Their errors are ``UserCodeError``s that name the function, the user's own line
and the record; the operator that runs them adds its name.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import os
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

import millstream
from millstream.core.errors import ErrorPlace, JobGraphError, MillstreamError, RecordTypeError, UserCodeError
from millstream.core.table.logical_types import LogicalType, TypeRoot
from millstream.core.table.python_types import (
    WrongValue,
    column_of,
    hints_of,
    python_values,
    row_values,
    type_of_annotation,
)

if TYPE_CHECKING:
    from millstream.core.table.async_calls import AsyncCalls, CallFailed

PREVIEW_CHARACTERS_MAX: Final = 300
_OWN_ROOTS: Final = tuple(str(Path(root).resolve()) + os.sep for root in millstream.__path__)
_NO_ROW: Final = object()


class Vector(enum.Enum):
    """What a function takes and returns."""

    ROW = "row"
    """One Python value an argument, a call a row."""
    ARROW = "arrow"
    """``pyarrow.Array``, a call a batch."""
    PANDAS = "pandas"
    """``pandas.Series``, a call a batch."""
    POLARS = "polars"
    """``polars.Series``, a call a batch."""


def is_asynchronous(function: Callable[..., Any]) -> bool:
    """Whether it is an ``async def``, or an object that is called as one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


_VECTORS: Final = {"pyarrow.lib": Vector.ARROW, "pandas": Vector.PANDAS, "polars": Vector.POLARS}


def vector_of(function: Callable[..., Any]) -> Vector:
    """By its annotations: a first one of ``pyarrow.Array``, ``pandas.Series`` or ``polars.Series`` decides."""
    for annotation in hints_of(function).values():
        if isinstance(annotation, type) and annotation.__name__ in ("Array", "ChunkedArray", "Series"):
            for module, vector in _VECTORS.items():
                if annotation.__module__.startswith(module):
                    return vector
    return Vector.ROW


@dataclasses.dataclass(frozen=True)
class PythonScalarFunction:
    """One value for each row."""

    name: str
    function: Callable[..., Any]
    argument_types: tuple[LogicalType, ...] | None
    """None: any number of arguments of any types."""
    result_type: LogicalType
    deterministic: bool = True
    vector: Vector = Vector.ROW
    asynchronous: bool = False
    """It is an ``async def``."""

    def evaluate(self, arguments: Sequence[pa.Array], rows: int, calls: AsyncCalls | None = None) -> pa.Array:
        """The column of results; ``calls`` make those of an asynchronous function.

        Raises ``UserCodeError``, or ``RecordTypeError`` for a result of another type.
        """
        if self.vector is not Vector.ROW:
            return self._evaluate_vectors(arguments, rows)
        columns = [python_values(values) for values in arguments]
        given = zip(*columns, strict=True) if columns else [()] * rows
        answers = self._answers_beside(list(given), calls) if self.asynchronous else self._answers(given)
        try:
            return column_of(answers, self.result_type)
        except WrongValue as error:
            row = tuple(values[error.row] for values in columns)
            told = wrong_result(error, self.name, self.function, row)
            raise (failed_call(told) if self.asynchronous else told) from error

    def _answers(self, rows: Iterable[tuple[Any, ...]]) -> list[Any]:
        answers: list[Any] = []
        function = self.function
        row: Any = _NO_ROW
        try:
            for row in rows:
                answers.append(function(*row))
        except Exception as error:
            raise user_error(error, self.name, function, row) from error
        return answers

    def _answers_beside(self, rows: list[tuple[Any, ...]], calls: AsyncCalls | None) -> list[Any]:
        if calls is None:
            raise JobGraphError(f"the function {self.name} is asynchronous, and what calls it here cannot wait for it")
        return calls.answers(
            self.function, rows, lambda error, row: failed_call(user_error(error, self.name, self.function, row))
        )

    def _evaluate_vectors(self, arguments: Sequence[pa.Array], rows: int) -> pa.Array:
        try:
            given = [_to_vector(values, self.vector) for values in arguments]
            answer = _from_vector(self.function(*given), self.result_type)
        except Exception as error:
            raise user_error(error, self.name, self.function, _NO_ROW) from error
        if len(answer) != rows:
            raise RecordTypeError(
                f"{self.name} returned {len(answer)} values for {rows} rows; it must return one for each",
                place=ErrorPlace(function=self.name),
            )
        return answer


@dataclasses.dataclass(frozen=True)
class PythonTableFunction:
    """Any number of rows for each row: a generator, or a function that returns an iterable or None."""

    name: str
    function: Callable[..., Any]
    argument_types: tuple[LogicalType, ...] | None
    result_type: LogicalType
    """A ROW; its fields are the columns."""
    deterministic: bool = True

    def evaluate(self, arguments: Sequence[pa.Array], rows: int) -> tuple[npt.NDArray[np.int64], list[pa.Array]]:
        """For each resulting row the position of the row it came from, and the resulting columns."""
        columns = [python_values(values) for values in arguments]
        origins: list[int] = []
        answers: list[list[Any]] = [[] for _ in self.result_type.fields]
        row: Any = _NO_ROW
        try:
            for place, row in enumerate(zip(*columns, strict=True) if columns else [()] * rows):
                for made in self.function(*row) or ():
                    origins.append(place)
                    for collected, value in zip(answers, row_values(made, self.result_type), strict=True):
                        collected.append(value)
        except Exception as error:
            raise user_error(error, self.name, self.function, row) from error
        try:
            made_columns = [
                column_of(values, kind) for values, (_, kind) in zip(answers, self.result_type.fields, strict=True)
            ]
        except WrongValue as error:
            row = tuple(values[origins[error.row]] for values in columns)
            raise wrong_result(error, self.name, self.function, row) from error
        return np.array(origins, np.int64), made_columns


@dataclasses.dataclass(frozen=True)
class PythonAggregateFunction:
    """One value for a group. ``function`` is the user's object.

    It has ``create_accumulator()``, ``accumulate(accumulator, *values)`` and ``get_value(accumulator)``; ``retract``
    where rows may be taken back and ``merge(accumulator, accumulators)`` where groups are joined (session windows).
    """

    name: str
    function: Any
    argument_types: tuple[LogicalType, ...] | None
    result_type: LogicalType
    deterministic: bool = True

    @property
    def can_retract(self) -> bool:
        return callable(getattr(self.function, "retract", None))

    @property
    def can_merge(self) -> bool:
        return callable(getattr(self.function, "merge", None))

    def create(self) -> Any:
        return self._call("create_accumulator")

    def accumulate(self, accumulator: Any, values: Sequence[Any], *, retract: bool = False) -> Any:
        """Adds or takes back one row; the accumulator to go on with: what the user's method returns, or the same."""
        answer = self._call("retract" if retract else "accumulate", accumulator, *values)
        return accumulator if answer is None else answer

    def merge(self, accumulator: Any, others: Sequence[Any]) -> Any:
        answer = self._call("merge", accumulator, list(others))
        return accumulator if answer is None else answer

    def value(self, accumulator: Any) -> Any:
        return self._call("get_value", accumulator)

    def column(self, values: list[Any]) -> pa.Array:
        """Results as a column. Raises ``RecordTypeError`` for one of another type."""
        try:
            return column_of(values, self.result_type)
        except WrongValue as error:
            raise wrong_result(error, self.name, self.function.get_value, _NO_ROW) from error

    def _call(self, method: str, *arguments: Any) -> Any:
        function = getattr(self.function, method, None)
        if function is None:
            raise JobGraphError(f"the aggregate function {self.name} has no method {method}, which this query needs")
        try:
            return function(*arguments)
        except Exception as error:
            row = arguments[1:] if method in ("accumulate", "retract") else _NO_ROW
            raise user_error(error, self.name, function, row) from error


def infer_types(
    function: Callable[..., Any], name: str, result: LogicalType | None = None
) -> tuple[tuple[LogicalType, ...] | None, LogicalType]:
    """Argument and result types from annotations; ``result`` where it is declared.

    Arguments without annotation make them all unknown. Raises ``JobGraphError`` when the result is not known.
    """
    hints = hints_of(function)
    try:
        parameters: Mapping[str, inspect.Parameter] | None = inspect.signature(function).parameters
    except ValueError:  # some functions written in C do not tell: their arguments are unknown
        parameters = None
    declared = [type_of_annotation(hints.get(parameter)) for parameter in parameters or ()]
    known = [kind for kind in declared if kind is not None and kind.root is not TypeRoot.NULL]
    if result is None:
        result = type_of_annotation(hints.get("return")) if "return" in hints else None
    if result is None or result.root is TypeRoot.NULL:
        raise JobGraphError(
            f"the result type of the function {name} is not known: annotate what it returns "
            "(int, str, list[float], a dataclass, ...), or pass result_type=DataTypes...."
        )
    complete = parameters is not None and len(known) == len(parameters)
    return (tuple(known) if complete else None), result.with_nullable(True)


def failed_call(told: MillstreamError) -> CallFailed:
    """The error of an asynchronous call."""
    from millstream.core.table.async_calls import CallFailed

    return CallFailed(told.message, place=told.place)


def user_error(error: Exception, name: str, function: Any, row: Any) -> MillstreamError:
    """The user's exception with its place; an error of Millstream stays what it is."""
    if isinstance(error, MillstreamError):
        return error
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OWN_ROOTS)]
    file, line = (frames[-1].filename, frames[-1].lineno or 0) if frames else _definition(function)
    preview = "" if row is _NO_ROW else _preview(row)
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    where = f" ({file}, line {line})" if file else ""
    message = f"the function {name}{where} failed" + (f" on {preview}" if preview else "") + f"\n{told}"
    shown = "".join(traceback.format_list(frames))
    return UserCodeError(message, place=ErrorPlace("", name, file, line, preview, f"{shown}{told}"))


def wrong_result(error: WrongValue, name: str, function: Any, row: Any) -> RecordTypeError:
    """The error for a result that is not of the declared type."""
    file, line = _definition(function)
    preview = "" if row is _NO_ROW else _preview(row)
    where = f" ({file}, line {line})" if file else ""
    message = f"the function {name}{where} {error.message}" + (f"\nThe arguments were {preview}." if preview else "")
    return RecordTypeError(message, place=ErrorPlace("", name, file, line, preview))


def _definition(function: Any) -> tuple[str, int]:
    code = getattr(function, "__code__", None)
    return ("", 0) if code is None else (code.co_filename, code.co_firstlineno)


def _preview(row: Any) -> str:
    try:
        text = repr(row)
    except Exception as error:  # a user's __repr__ may do anything
        return f"<a row whose repr raises {type(error).__name__}>"
    return text if len(text) <= PREVIEW_CHARACTERS_MAX else text[:PREVIEW_CHARACTERS_MAX] + "..."


def _to_vector(values: pa.Array, vector: Vector) -> Any:
    if vector is Vector.ARROW:
        return values
    if vector is Vector.PANDAS:
        return values.to_pandas()
    import polars

    return polars.from_arrow(values)


def _from_vector(answer: Any, kind: LogicalType) -> pa.Array:
    arrow = kind.arrow()
    if isinstance(answer, pa.ChunkedArray):
        answer = answer.combine_chunks()
    elif not isinstance(answer, pa.Array):
        answer = answer.to_arrow() if hasattr(answer, "to_arrow") else pa.Array.from_pandas(answer)
        answer = answer.combine_chunks() if isinstance(answer, pa.ChunkedArray) else answer
    return answer if answer.type == arrow else answer.cast(arrow)
