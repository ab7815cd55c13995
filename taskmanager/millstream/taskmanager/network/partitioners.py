"""Which consumer a record goes to. A partitioner cuts a batch into ``(consumer position, batch)`` pairs.

Positions count the consumers of this producer from 0, in order of subtask index. Partitioners keep the order of the
records that go to one consumer.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from itertools import compress
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from millstream.core.api.record_fields import arrow_columns
from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.errors import ErrorPlace, MillstreamError, RecordTypeError, UserCodeError, invariant
from millstream.core.keys import (
    GroupArray,
    KeyGroupCache,
    arrow_key_groups,
    key_groups,
    subtasks_of_key_groups,
    table_key_groups,
)
from millstream.core.table.specs import ColumnKey
from millstream.taskmanager.operators.user_code import NO_RECORD, current, function_name, preview_of, user_frames

Routed = list[tuple[int, Batch]]

_COMPRESS_CONSUMERS_MAX: Final = 8


class Partitioner(Protocol):
    def route(self, batch: Batch) -> Routed: ...


class ToOne:
    """Everything to the consumer at ``position``: forward (the only one) and global (the first)."""

    def __init__(self, position: int = 0) -> None:
        self._position = position

    def route(self, batch: Batch) -> Routed:
        return [(self._position, batch)]


class ToAll:
    """Every record to every consumer."""

    def __init__(self, consumers: int) -> None:
        self._consumers = consumers

    def route(self, batch: Batch) -> Routed:
        return [(position, batch) for position in range(self._consumers)]


class RoundRobin:
    """Rebalance and rescale: an even share of each batch to each consumer, as contiguous slices.

    What does not divide evenly goes on where the last batch stopped, so that shares differ by one record at most.
    """

    def __init__(self, consumers: int, start: int) -> None:
        self._consumers = consumers
        self._next = start % consumers

    def route(self, batch: Batch) -> Routed:
        rows, consumers = batch.num_rows, self._consumers
        if consumers == 1:
            return [(0, batch)]
        share, extra = divmod(rows, consumers)
        routed: Routed = []
        start = 0
        for step in range(min(rows, consumers)):
            stop = start + share + (step < extra)
            routed.append(((self._next + step) % consumers, batch.slice(start, stop)))
            start = stop
        self._next = (self._next + extra) % consumers
        return routed


class Shuffle:
    """Each record to a consumer drawn evenly."""

    def __init__(self, consumers: int, generator: random.Random) -> None:
        self._consumers = consumers
        self._random = np.random.default_rng(generator.getrandbits(64))

    def route(self, batch: Batch) -> Routed:
        return scatter(batch, self._random.integers(0, self._consumers, batch.num_rows), self._consumers)


class ByKey:
    """Each record to the owner of its key group; object batches carry their keys on, for the keyed operator there."""

    def __init__(self, select: Callable[[Any], Any], max_parallelism: int, consumers: int) -> None:
        self._select = select
        self._max_parallelism = max_parallelism
        self._consumers = consumers
        self._cache = KeyGroupCache(max_parallelism)

    def route(self, batch: Batch) -> Routed:
        columns = arrow_columns(self._select)
        if isinstance(batch, ArrowBatch) and columns is not None:
            if self._consumers == 1:
                return [(0, batch)]
            groups = arrow_key_groups([batch.records.column(name) for name in columns], self._max_parallelism)
        else:
            # Keys that came with the batch are of an earlier key_by.
            keys = call_on_rows(self._select, _rows(batch), "the key selector")
            if isinstance(batch, ObjectBatch):
                batch = ObjectBatch(batch.values, batch.timestamps, keys)
            if self._consumers == 1:
                return [(0, batch)]
            groups = key_groups(keys, self._max_parallelism, self._cache)
        targets = subtasks_of_key_groups(groups, self._max_parallelism, self._consumers)
        return scatter(batch, targets, self._consumers)


class ByColumns:
    """SQL rows by the columns of their key."""

    def __init__(self, key: ColumnKey, max_parallelism: int, consumers: int) -> None:
        self._key = key
        self._max_parallelism = max_parallelism
        self._consumers = consumers

    def route(self, batch: Batch) -> Routed:
        if self._consumers == 1:
            return [(0, batch)]
        groups = column_key_groups(self._key, batch, self._max_parallelism)
        return scatter(batch, subtasks_of_key_groups(groups, self._max_parallelism, self._consumers), self._consumers)


def column_key_groups(key: ColumnKey, batch: Batch, max_parallelism: int) -> GroupArray:
    """The key group of each row of a batch of columns."""
    invariant(isinstance(batch, ArrowBatch), f"{batch!r} is to be distributed by columns")
    assert isinstance(batch, ArrowBatch)
    columns = [batch.records.column(index) for index in key.columns]
    return table_key_groups(columns, max_parallelism, batch.num_rows)


class ByFunction:
    """A user's partitioner: ``(key, number of consumers) -> consumer``."""

    def __init__(
        self, partition: Callable[[Any, int], int], select: Callable[[Any], Any] | None, consumers: int
    ) -> None:
        self._partition = partition
        self._select = select
        self._consumers = consumers

    def route(self, batch: Batch) -> Routed:
        values, consumers, partition = _rows(batch), self._consumers, self._partition
        keys = values if self._select is None else call_on_rows(self._select, values, "the key selector")
        chosen = call_on_rows(lambda key: partition(key, consumers), keys, "the custom partitioner", partition)
        for choice, key in zip(chosen, keys, strict=True):
            if not isinstance(choice, int) or not 0 <= choice < consumers:
                raise RecordTypeError(
                    f"the custom partitioner {function_name(partition)} returned {choice!r} for the key "
                    f"{preview_of(key)}; it must return an int from 0 to {consumers - 1}"
                )
        return scatter(batch, np.array(chosen, np.int64), consumers)


def _rows(batch: Batch) -> list[Any]:
    """The records as Python values; a dict each for Arrow records."""
    if isinstance(batch, ObjectBatch):
        return batch.values
    rows: list[Any] = batch.records.to_pylist()
    return rows


def call_on_rows(function: Callable[[Any], Any], rows: list[Any], role: str, described: Any = None) -> list[Any]:
    """``function`` of each row. What it raises becomes a ``UserCodeError`` that names the row and the user's line."""
    pending = iter(rows)
    try:
        return [function(row) for row in pending]
    except Exception as error:
        if isinstance(error, MillstreamError):
            raise
        name = function_name(described or function)
        record = current(rows, pending)
        preview = "" if record is NO_RECORD else preview_of(record)
        frames = user_frames(error.__traceback__)
        file, line = (frames[-1].filename, frames[-1].lineno or 0) if frames else ("", 0)
        where = f" ({file}, line {line})" if file else ""
        cause = f"{type(error).__name__}: {error}"
        shown = "".join(traceback.format_list(frames)) + cause
        raise UserCodeError(
            f"{role} {name} failed{where} on the record {preview}\n{cause}",
            place=ErrorPlace(function=name, file=file, line=line, record=preview, user_traceback=shown),
        ) from error


def scatter(batch: Batch, targets: npt.NDArray[Any], consumers: int) -> Routed:
    """The rows of each target, in order; targets without rows are left out."""
    counts = np.bincount(targets, minlength=consumers)
    busy = np.flatnonzero(counts)
    if len(busy) == 1:
        return [(int(busy[0]), batch)]
    if isinstance(batch, ObjectBatch) and len(busy) <= _COMPRESS_CONSUMERS_MAX:
        return [(int(t), _compressed(batch, targets == t)) for t in busy]
    if isinstance(batch, ObjectBatch):
        order = np.argsort(targets, kind="stable")
        edges = np.append(0, np.cumsum(counts))
    else:
        from millstream.core.kernels.scatter import order_by_target

        order, edges = np.empty(len(targets), np.int64), np.zeros(consumers + 1, np.int64)
        order_by_target(targets, edges, order)
    return [(int(t), batch.take(order[edges[t] : edges[t + 1]])) for t in busy]


def _compressed(batch: ObjectBatch, chosen: npt.NDArray[np.bool_]) -> ObjectBatch:
    """The rows where ``chosen``: a pass over all rows in C, faster than picking them while consumers are few."""
    marks = chosen.tobytes()
    return ObjectBatch(
        list(compress(batch.values, marks)),
        None if batch.timestamps is None else batch.timestamps[chosen],
        None if batch.keys is None else list(compress(batch.keys, marks)),
    )
