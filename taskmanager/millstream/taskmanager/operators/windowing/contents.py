"""What a window keeps of its records: a reduced value, an accumulator, or all of them.

Each kind offers the same few operations on an opaque *content*, and ``add_rows``, the loop over a whole batch that
decides the speed of windows: one dictionary look-up and one call of the user's function a record, nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from millstream.core.graph.specs import WindowSpec
from millstream.taskmanager.operators.user_code import current
from millstream.taskmanager.operators.windowing.aggregations import FieldAggregation, RecordSelection
from millstream.taskmanager.state.isolation import frozen

MISSING: Final = object()
"""No content yet; None is a legal value."""

Table = dict[Any, Any]
"""Contents of one window by key, in order of the keys' arrival."""


class RowFailure(Exception):
    """The user's function raised on ``record``; carries what the error message needs out of a loop over a batch."""

    def __init__(self, cause: Exception, record: Any) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.record = record


class Contents(ABC):
    """Operations on the content of one window of one key."""

    keeps_records = False
    """True when ``elements`` are the records themselves, False when it is the one aggregated value."""

    @abstractmethod
    def first(self, value: Any) -> Any:
        """The content after the first record."""

    @abstractmethod
    def add(self, content: Any, value: Any) -> Any:
        """The content after a further record; may change ``content`` in place."""

    @abstractmethod
    def merge(self, left: Any, right: Any) -> Any:
        """The content of two windows that became one, ``left`` being the earlier."""

    @abstractmethod
    def result(self, content: Any) -> Any:
        """The value emitted when there is no window function."""

    def elements(self, content: Any) -> list[Any]:
        """What the window function sees."""
        return [self.result(content)]

    def frozen(self, content: Any) -> Any:
        """``content`` for a snapshot: later records do not change it."""
        return frozen(content)

    def add_rows(self, table: Table, keys: list[Any], values: list[Any]) -> None:
        """Add ``values[i]`` to the content of ``keys[i]`` for all i, in order. Raises ``RowFailure``."""
        get, add, first = table.get, self.add, self.first
        pending = iter(values)
        try:
            for key, value in zip(keys, pending, strict=True):
                content = get(key, MISSING)
                table[key] = first(value) if content is MISSING else add(content, value)
        except Exception as error:
            raise RowFailure(error, current(values, pending)) from error


class ListContents(Contents):
    """All records, in order of arrival."""

    keeps_records = True

    def first(self, value: Any) -> Any:
        return [value]

    def add(self, content: Any, value: Any) -> Any:
        content.append(value)
        return content

    def merge(self, left: Any, right: Any) -> Any:
        return left + right

    def result(self, content: Any) -> Any:
        return list(content)

    def elements(self, content: Any) -> list[Any]:
        return list(content)

    def frozen(self, content: Any) -> Any:
        return list(content)  # records themselves are never changed

    def add_rows(self, table: Table, keys: list[Any], values: list[Any]) -> None:
        get = table.get
        for key, value in zip(keys, values, strict=True):
            content = get(key)
            if content is None:
                table[key] = [value]
            else:
                content.append(value)


class ReduceContents(Contents):
    """One value: the records so far, reduced."""

    def __init__(self, reduce: Callable[[Any, Any], Any]) -> None:
        self._reduce = reduce

    def first(self, value: Any) -> Any:
        return value

    def add(self, content: Any, value: Any) -> Any:
        return self._reduce(content, value)

    def merge(self, left: Any, right: Any) -> Any:
        return self._reduce(left, right)

    def result(self, content: Any) -> Any:
        return content

    def add_rows(self, table: Table, keys: list[Any], values: list[Any]) -> None:
        get, reduce = table.get, self._reduce
        pending = iter(values)
        try:
            for key, value in zip(keys, pending, strict=True):
                content = get(key, MISSING)
                table[key] = value if content is MISSING else reduce(content, value)
        except Exception as error:
            raise RowFailure(error, current(values, pending)) from error


class AggregateContents(Contents):
    """The accumulator of an ``AggregateFunction``."""

    def __init__(self, function: Any) -> None:
        self._create = function.create_accumulator
        self._add = function.add
        self._merge = function.merge
        self._get_result = function.get_result

    def first(self, value: Any) -> Any:
        return self._add(value, self._create())

    def add(self, content: Any, value: Any) -> Any:
        return self._add(value, content)

    def merge(self, left: Any, right: Any) -> Any:
        return self._merge(left, right)

    def result(self, content: Any) -> Any:
        return self._get_result(content)

    def add_rows(self, table: Table, keys: list[Any], values: list[Any]) -> None:
        get, add, create = table.get, self._add, self._create
        pending = iter(values)
        try:
            for key, value in zip(keys, pending, strict=True):
                content = get(key, MISSING)
                table[key] = add(value, create() if content is MISSING else content)
        except Exception as error:
            raise RowFailure(error, current(values, pending)) from error


class FieldContents(Contents):
    """``sum``/``min``/``max`` of one field: a list of the first record and the field's running value."""

    def __init__(self, aggregation: FieldAggregation) -> None:
        self._get = aggregation.get
        self._combine = aggregation.combine
        self._replace = aggregation.replace

    def first(self, value: Any) -> Any:
        return [value, self._get(value)]

    def add(self, content: Any, value: Any) -> Any:
        content[1] = self._combine(content[1], self._get(value))
        return content

    def merge(self, left: Any, right: Any) -> Any:
        return [left[0], self._combine(left[1], right[1])]

    def result(self, content: Any) -> Any:
        return self._replace(content[0], content[1])

    def frozen(self, content: Any) -> Any:
        return list(content)


def contents_of(spec: WindowSpec) -> Contents:
    """The kind of contents that ``spec`` asks for, evictor aside (an evictor always keeps records)."""
    if spec.aggregation is not None:
        if spec.aggregation.aggregation in ("min_by", "max_by"):
            return ReduceContents(RecordSelection(spec.aggregation).choose)
        return FieldContents(FieldAggregation(spec.aggregation))
    if spec.aggregate is not None:
        return AggregateContents(spec.aggregate)
    if spec.reduce is not None:
        reduce: Any = spec.reduce
        return ReduceContents(getattr(reduce, "reduce", reduce))
    return ListContents()
