"""Which consumer a record goes to. A partitioner cuts a batch into ``(consumer position, batch)`` pairs.

Positions count the consumers of this producer from 0, in order of subtask index. Partitioners keep the order of the
records that go to one consumer.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.errors import JobGraphError, RecordTypeError
from millstream.core.keys import KeyGroupCache, arrow_key_groups, key_groups, subtasks_of_key_groups

Routed = list[tuple[int, Batch]]


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
    """Each record to the owner of its key group."""

    def __init__(self, select: Callable[[Any], Any], max_parallelism: int, consumers: int) -> None:
        self._select = select
        self._max_parallelism = max_parallelism
        self._consumers = consumers
        self._cache = KeyGroupCache(max_parallelism)

    def route(self, batch: Batch) -> Routed:
        if isinstance(batch, ObjectBatch):
            keys = batch.keys
            if keys is None:
                keys = [self._select(value) for value in batch.values]
                batch = ObjectBatch(batch.values, batch.timestamps, keys)
            if self._consumers == 1:
                return [(0, batch)]
            groups = key_groups(keys, self._max_parallelism, self._cache)
        else:
            groups = arrow_key_groups(_key_columns(batch, self._select), self._max_parallelism)
        targets = subtasks_of_key_groups(groups, self._max_parallelism, self._consumers)
        return scatter(batch, targets, self._consumers)


class ByFunction:
    """A user's partitioner: ``(key, number of consumers) -> consumer``."""

    def __init__(
        self, partition: Callable[[Any, int], int], select: Callable[[Any], Any] | None, consumers: int
    ) -> None:
        self._partition = partition
        self._select = select
        self._consumers = consumers

    def route(self, batch: Batch) -> Routed:
        values = batch.values if isinstance(batch, ObjectBatch) else batch.records.to_pylist()
        select, partition, consumers = self._select, self._partition, self._consumers
        keys = values if select is None else [select(value) for value in values]
        chosen = [partition(key, consumers) for key in keys]
        for choice, key in zip(chosen, keys, strict=True):
            if type(choice) is not int or not 0 <= choice < consumers:
                raise RecordTypeError(
                    f"the custom partitioner returned {choice!r} for the key {key!r:.200}; it must return an int "
                    f"from 0 to {consumers - 1}"
                )
        return scatter(batch, np.array(chosen, np.int64), consumers)


def scatter(batch: Batch, targets: npt.NDArray[Any], consumers: int) -> Routed:
    """The rows of each target, in order; targets without rows are left out."""
    counts = np.bincount(targets, minlength=consumers)
    busy = np.flatnonzero(counts)
    if len(busy) == 1:
        return [(int(busy[0]), batch)]
    order = np.argsort(targets, kind="stable")
    edges = np.cumsum(counts)
    return [(int(t), batch.take(order[edges[t] - counts[t] : edges[t]])) for t in busy]


def _key_columns(batch: ArrowBatch, select: Callable[[Any], Any]) -> list[Any]:
    columns = getattr(select, "arrow_columns", None)
    if columns is None:
        raise JobGraphError(
            "records of an Arrow stream were given a Python key selector; key by column names, or convert to rows first"
        )
    return [batch.records.column(name) for name in columns]
