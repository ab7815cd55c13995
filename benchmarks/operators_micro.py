"""Nanoseconds a record of single operators, against the plain Python loop that does the same.

Run: ``python benchmarks/operators_micro.py``. The difference between the two columns is what Millstream adds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from millstream.core.api.functions import KeyedProcessContext, KeyedProcessFunction, RuntimeContext
from millstream.core.api.state import ValueState, ValueStateDescriptor
from millstream.core.clock import ManualClock
from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.graph.specs import (
    AggregationSpec,
    ChainedOperator,
    FilterSpec,
    FlatMapSpec,
    KeyedProcessSpec,
    MapSpec,
    OperatorSpec,
    ReduceSpec,
)
from millstream.taskmanager.operators.operator import Operator
from millstream.taskmanager.operators.registry import create_operator
from millstream.testing.context import HarnessContext
from millstream.testing.recording import RecordedOutput

ROWS = 4096
KEYS = 500
ROUNDS = 60
REPEATS = 7

Row2 = tuple[int, int]
VALUES: list[Row2] = [(i * 7919 % KEYS, i) for i in range(ROWS)]
TIMES = np.arange(ROWS, dtype=np.int64)


def grow(value: Row2) -> Row2:
    return (value[0], value[1] + 1)


def is_kept(value: Row2) -> bool:
    return value[1] % 3 != 0


def twice(value: Row2) -> list[Row2]:
    return [value, value]


def add(left: Row2, right: Row2) -> Row2:
    return (left[0], left[1] + right[1])


def key_of(value: Row2) -> int:
    return value[0]


class CountPerKey(KeyedProcessFunction):
    """Emits how many records its key has had."""

    def open(self, runtime_context: RuntimeContext) -> None:
        self.count: ValueState[int] = runtime_context.get_state(ValueStateDescriptor("count"))

    def process_element(self, value: Any, ctx: KeyedProcessContext) -> Any:
        count = (self.count.value() or 0) + 1
        self.count.update(count)
        yield count


class Pipe(RecordedOutput):
    """Hands batches to the next operator, as a chain does; drops them at the end."""

    def __init__(self, following: Operator | None) -> None:
        super().__init__()
        self._following = following

    def emit(self, batch: Batch) -> None:
        if self._following is not None:
            self._following.process(batch, 0)


def opened(*specs: OperatorSpec) -> Operator:
    """A chain of operators; the first is returned."""
    following: Operator | None = None
    for spec in reversed(specs):
        chained = ChainedOperator("id", spec.kind, spec, (key_of,))
        operator = create_operator(chained)
        operator.open(HarnessContext(chained, ManualClock()), Pipe(following))
        following = operator
    assert following is not None
    return following


def bare_map_filter() -> None:
    kept = []
    for value in VALUES:
        value = grow(value)
        if is_kept(value):
            kept.append(value)


def bare_flat_map() -> None:
    results = []
    for value in VALUES:
        results.extend(twice(value))


def bare_reduce(table: dict[int, Row2]) -> None:
    results = []
    for value in VALUES:
        key = key_of(value)
        if key in table:
            value = add(table[key], value)
        table[key] = value
        results.append(value)


def bare_sum(table: dict[int, Row2]) -> None:
    results = []
    for value in VALUES:
        key = key_of(value)
        if key in table:
            before = table[key]
            value = (before[0], before[1] + value[1])
        table[key] = value
        results.append(value)


def bare_count(table: dict[int, int]) -> None:
    results = []
    for value in VALUES:
        key = key_of(value)
        table[key] = count = table.get(key, 0) + 1
        results.append(count)


def nanoseconds(action: Callable[[], None]) -> float:
    """The best of several rounds, a record."""
    best = float("inf")
    for _ in range(REPEATS):
        started = time.perf_counter_ns()
        for _ in range(ROUNDS):
            action()
        best = min(best, (time.perf_counter_ns() - started) / ROUNDS / ROWS)
    return best


def main() -> None:
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    batch = ObjectBatch(VALUES)
    timed = ObjectBatch(VALUES, TIMES)
    tables: list[dict[int, Any]] = [{}, {}, {}]
    cases: list[tuple[str, Callable[[], None], tuple[OperatorSpec, ...]]] = [
        ("map + filter", bare_map_filter, (MapSpec(grow), FilterSpec(is_kept))),
        ("flat_map to two", bare_flat_map, (FlatMapSpec(twice),)),
        ("keyed reduce", lambda: bare_reduce(tables[0]), (ReduceSpec(add),)),
        ("built-in sum", lambda: bare_sum(tables[1]), (AggregationSpec("sum", 1),)),
        ("keyed process, value state", lambda: bare_count(tables[2]), (KeyedProcessSpec(CountPerKey()),)),
    ]
    print(f"{'':28}{'bare loop':>12}{'operator':>12}{'with times':>12}   ns/record")
    for name, bare, specs in cases:
        head = opened(*specs)
        bare_ns = nanoseconds(bare)
        plain_ns = nanoseconds(lambda head=head: head.process(batch, 0))  # type: ignore[misc]
        timed_ns = nanoseconds(lambda head=head: head.process(timed, 0))  # type: ignore[misc]
        print(f"{name:28}{bare_ns:12.0f}{plain_ns:12.0f}{timed_ns:12.0f}")


if __name__ == "__main__":
    main()
