"""The parts of a compiled expression: each gives its value for a frame of columns, once a frame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.errors import MillstreamError
from millstream.core.table.functions.columns import column, failed
from millstream.core.table.functions.function import EvaluationContext, Value
from millstream.core.table.logical_types import LogicalType


class Frame:
    """The columns of a batch, or of some of its rows, with the values computed from them so far."""

    def __init__(self, columns: Sequence[pa.Array], context: EvaluationContext) -> None:
        self.context = context
        self.values: dict[int, Value] = {}
        self._columns = columns
        self._places: pa.Array | None = None

    def column(self, index: int) -> pa.Array:
        """A column of the input; of a part of the rows only as the first node asks for it."""
        if self._places is None:
            return self._columns[index]
        key = -1 - index
        if key not in self.values:
            self.values[key] = self._columns[index].take(self._places)
        return self.values[key]

    def rows_at(self, places: npt.NDArray[np.int64]) -> Frame:
        """A frame of the rows at ``places``, positions in this frame."""
        if len(places) == self.context.rows:
            return self
        taken = pa.array(places)
        part = Frame(self._columns, replace(self.context, rows=len(places)))
        part._places = taken if self._places is None else self._places.take(taken)
        return part


class Node(Protocol):
    """A part of an expression."""

    def value(self, frame: Frame) -> Value:
        """Its column for the rows of ``frame``, or a constant."""
        ...


class ColumnNode:
    """A column of the input, by reference."""

    def __init__(self, index: int) -> None:
        self._index = index

    def value(self, frame: Frame) -> Value:
        return frame.column(self._index)


class Constant:
    """The same value for all rows."""

    def __init__(self, scalar: pa.Scalar) -> None:
        self.scalar = scalar

    def value(self, frame: Frame) -> Value:
        return self.scalar


class Remembered(ABC):
    """A node whose value is computed once a frame."""

    def value(self, frame: Frame) -> Value:
        key = id(self)
        if key not in frame.values:
            frame.values[key] = self._value(frame)
        return frame.values[key]

    @abstractmethod
    def _value(self, frame: Frame) -> Value: ...


class Computed(Remembered):
    """A function of whole columns. Of constants it is computed for one row, which stands for all."""

    def __init__(
        self,
        name: str,
        compute: Callable[[Sequence[Value], EvaluationContext], Value],
        arguments: Sequence[Node],
        deterministic: bool,
        spread: int = 0,
    ) -> None:
        """``spread``: the argument that becomes a column where all are constants."""
        self._spread = spread
        self._name = name
        self._compute = compute
        self._arguments = arguments
        self._deterministic = deterministic

    def _value(self, frame: Frame) -> Value:
        arguments = [argument.value(frame) for argument in self._arguments]
        context = frame.context
        constant = bool(arguments) and all(isinstance(value, pa.Scalar) for value in arguments)
        if constant:
            rows = 1 if self._deterministic else context.rows
            context = replace(context, rows=rows)
            arguments[self._spread] = pa.repeat(arguments[self._spread], rows)
        try:
            answer = self._compute(arguments, context)
        except MillstreamError:
            raise
        except (pa.ArrowException, ValueError, ArithmeticError) as error:
            raise failed(self._name, [_preview(value) for value in arguments], str(error)) from error
        if isinstance(answer, pa.ChunkedArray):
            answer = column(answer, context.rows)
        return answer[0] if constant and self._deterministic and not isinstance(answer, pa.Scalar) else answer


class Chosen(Remembered):
    """CASE: each branch is computed only for the rows that reach it."""

    def __init__(self, conditions: Sequence[Node], values: Sequence[Node], kind: LogicalType) -> None:
        """``values``: one a condition, and the last for the rows where none holds."""
        self._conditions = conditions
        self._values = values
        self._arrow = kind.arrow()

    def _value(self, frame: Frame) -> Value:
        open_rows = np.arange(frame.context.rows, dtype=np.int64)
        pieces: list[tuple[npt.NDArray[np.int64], Value]] = []
        for condition, branch in zip(self._conditions, self._values, strict=False):
            if not len(open_rows):
                break
            holds = _true_rows(condition.value(frame.rows_at(open_rows)), len(open_rows))
            chosen = open_rows[holds]
            if len(chosen):
                pieces.append((chosen, branch.value(frame.rows_at(chosen))))
            open_rows = open_rows[~holds]
        if len(open_rows):
            pieces.append((open_rows, self._values[-1].value(frame.rows_at(open_rows))))
        return gathered(pieces, frame.context.rows, self._arrow)


class Gathered(Remembered):
    """AND, OR, COALESCE: the next argument is computed for the rows that the ones before leave undecided."""

    def __init__(self, name: str, arguments: Sequence[Node], kind: LogicalType) -> None:
        self._name = name
        self._arguments = arguments
        self._arrow = kind.arrow()

    def _value(self, frame: Frame) -> Value:
        rows = frame.context.rows
        answer = column(self._arguments[0].value(frame), rows)
        for argument in self._arguments[1:]:
            undecided = np.flatnonzero(~self._decided(answer))
            if not len(undecided):
                break
            later = column(argument.value(frame.rows_at(undecided)), len(undecided))
            earlier = answer.take(pa.array(undecided))
            merged = self._merged(earlier, later)
            if len(undecided) == rows:
                answer = merged
                continue
            decided = np.flatnonzero(self._decided(answer))
            answer = gathered([(decided, answer.take(pa.array(decided))), (undecided, merged)], rows, self._arrow)
        return answer

    def _decided(self, answer: pa.Array) -> npt.NDArray[np.bool_]:
        if self._name in ("AND", "OR"):
            decisive = answer if self._name == "OR" else pc.invert(answer)
            return _true_rows(decisive, len(answer))
        return np.asarray(pc.is_valid(answer).to_numpy(zero_copy_only=False), np.bool_)

    def _merged(self, earlier: pa.Array, later: pa.Array) -> pa.Array:
        if self._name == "AND":
            return pc.and_kleene(earlier, later)
        return pc.or_kleene(earlier, later) if self._name == "OR" else later


class UserCall(Remembered):
    """A function that the user wrote."""

    def __init__(self, function: Any, arguments: Sequence[Node], kind: LogicalType, name: str) -> None:
        self._function = function
        self._arguments = arguments
        self._name = name

    def _value(self, frame: Frame) -> Value:
        arguments = [column(argument.value(frame), frame.context.rows) for argument in self._arguments]
        answer: Value = self._function.evaluate(arguments, frame.context.rows, frame.context.calls)
        return answer


def gathered(pieces: list[tuple[npt.NDArray[np.int64], Value]], rows: int, kind: pa.DataType) -> pa.Array:
    """One column of values computed for parts of the rows. The positions of the parts make up all rows."""
    if not pieces:
        return pa.nulls(0, kind)
    columns = [column(value, len(places)) for places, value in pieces]
    if len(pieces) == 1:
        return columns[0]
    order = np.empty(rows, np.int64)
    order[np.concatenate([places for places, _ in pieces])] = np.arange(rows)
    return pa.concat_arrays([values if values.type == kind else values.cast(kind) for values in columns]).take(
        pa.array(order)
    )


def _true_rows(condition: Value, rows: int) -> npt.NDArray[np.bool_]:
    """Where a BOOLEAN is true; NULL is not."""
    if isinstance(condition, pa.Scalar):
        return np.full(rows, condition.as_py() is True)
    known = pc.fill_null(condition, False) if condition.null_count else condition
    return np.asarray(known.to_numpy(zero_copy_only=False), np.bool_)


def _preview(value: Value) -> Any:
    return value.as_py() if isinstance(value, pa.Scalar) else value[0].as_py() if len(value) else None
