"""Columns and constants as functions meet them, and the loop over rows for what Arrow has no kernel for.

The loop runs once a distinct value where one argument is a column: texts, days and codes repeat, and a dictionary of
them costs a tenth of what the function does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import pyarrow as pa

from millstream.core.errors import MillstreamError, RecordTypeError
from millstream.core.table.functions.function import EvaluationContext, Value
from millstream.core.table.logical_types import LogicalType

PREVIEW_CHARACTERS_MAX: Final = 120
_ENCODED: Final = (pa.string(), pa.binary(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.date32())


def constant(value: Value) -> Any:
    """The Python value of a constant argument; None for NULL."""
    return value.as_py()


def column(value: Value, rows: int) -> pa.Array:
    """A constant as a column of ``rows``; a column as it is, in one chunk."""
    if isinstance(value, pa.Scalar):
        return pa.repeat(value, rows)
    if isinstance(value, pa.ChunkedArray):
        return value.combine_chunks() if value.num_chunks != 1 else value.chunk(0)
    return value


def rows_of(arguments: Sequence[Value], context: EvaluationContext) -> int:
    """The length of the columns among the arguments."""
    return max([len(value) for value in arguments if not isinstance(value, pa.Scalar)], default=context.rows)


def nulls(kind: LogicalType) -> pa.Scalar:
    """The NULL of a type."""
    return pa.scalar(None, kind.arrow())


def per_row(
    compute: Callable[..., Any],
    arguments: Sequence[Value],
    kind: LogicalType,
    context: EvaluationContext,
    *,
    strict: bool = True,
    name: str = "",
) -> Value:
    """``compute`` of the Python values of each row. ``strict``: a NULL argument gives NULL without a call.

    Raises ``RecordTypeError`` naming the function and the values where ``compute`` raises.
    """
    arrow = kind.arrow()
    columns = [value for value in arguments if not isinstance(value, pa.Scalar)]
    if strict and any(isinstance(value, pa.Scalar) and not value.is_valid for value in arguments):
        return pa.scalar(None, arrow)
    if len(columns) == 1 and columns[0].type in _ENCODED and len(columns[0]) > 1:
        encoded = column(columns[0], 0).dictionary_encode(null_encoding="encode")
        distinct = [encoded.dictionary if value is columns[0] else value for value in arguments]
        answers = _loop(compute, distinct, len(encoded.dictionary), arrow, strict, name)
        return answers.take(encoded.indices)
    rows = len(columns[0]) if columns else context.rows
    return _loop(compute, arguments, rows, arrow, strict, name)


def _loop(
    compute: Callable[..., Any], arguments: Sequence[Value], rows: int, arrow: pa.DataType, strict: bool, name: str
) -> pa.Array:
    lists = [
        [value.as_py()] * rows if isinstance(value, pa.Scalar) else value.to_pylist(maps_as_pydicts=None)
        for value in arguments
    ]
    answers: list[Any] = []
    row: tuple[Any, ...] = ()
    try:
        for row in zip(*lists, strict=True) if lists else [()] * rows:
            answers.append(None if strict and None in row else compute(*row))
    except MillstreamError:
        raise
    except Exception as error:
        raise failed(name or getattr(compute, "__name__", "function"), row, str(error)) from error
    return pa.array(answers, arrow)


def failed(name: str, values: Sequence[Any], why: str) -> RecordTypeError:
    """The error for values that a function cannot take."""
    shown = ", ".join(repr(value)[:PREVIEW_CHARACTERS_MAX] for value in values)
    return RecordTypeError(f"{name}({shown}): {why}")
