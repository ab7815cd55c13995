"""Process functions: plain, keyed, and on two inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import index
from typing import Any, NamedTuple

from millstream.core.api.functions import KeyedProcessContext, TimeDomain, TimerContext, TimerService
from millstream.core.elements.batch import NO_TIMESTAMP_MS, Batch, ObjectBatch
from millstream.core.elements.control import MIN_WATERMARK_MS, Watermark
from millstream.core.errors import JobGraphError
from millstream.core.graph.specs import (
    BroadcastProcessSpec,
    ChainedOperator,
    CoProcessSpec,
    KeyedBroadcastProcessSpec,
    KeyedCoProcessSpec,
    KeyedProcessSpec,
    ProcessSpec,
)
from millstream.taskmanager.operators.emission import RecordCollector
from millstream.taskmanager.operators.keyed import KeyedOperator
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output
from millstream.taskmanager.operators.rows import as_rows
from millstream.taskmanager.operators.runtime_context import FunctionLife, OperatorRuntimeContext
from millstream.taskmanager.operators.user_code import NO_RECORD, wrap_user_error

Method = Callable[[Any, Any], Iterable[Any] | None]


class ProcessOperator(Operator):
    """``process_element`` for each record of one or two unkeyed inputs."""

    def __init__(self, chained: ChainedOperator, spec: ProcessSpec | CoProcessSpec | BroadcastProcessSpec) -> None:
        self.chained = chained
        self._life = FunctionLife(chained, [spec.function])
        self._methods = methods_of(spec.function)
        self.watermark_ms = MIN_WATERMARK_MS

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self._collector = RecordCollector(output)
        self._context = self.new_context()
        self._life.open(OperatorRuntimeContext(context))

    def new_context(self) -> UnkeyedContext:
        """The ``ctx`` of the function."""
        return UnkeyedContext(self)

    def process(self, batch: Batch, input_index: int) -> None:
        rows = as_rows(batch)
        method = self._methods[input_index]
        context, take = self._context, self._collector.take
        value: Any = NO_RECORD
        try:
            for value, time_ms in zip(rows.values, times_of(rows), strict=True):
                context.time_ms = time_ms
                returned = method(value, context)
                if returned is not None:
                    take(returned, time_ms)
        except Exception as error:
            raise wrap_user_error(error, chained=self.chained, function=method, record=value) from error
        self._collector.flush()

    def process_watermark(self, watermark: Watermark) -> None:
        self.watermark_ms = max(self.watermark_ms, watermark.timestamp_ms)
        super().process_watermark(watermark)

    def close(self) -> None:
        self._life.close()


class KeyedProcessOperator(KeyedOperator):
    """``process_element`` and ``on_timer`` with keyed state, on one input or on two that are keyed alike."""

    def __init__(
        self, chained: ChainedOperator, spec: KeyedProcessSpec | KeyedCoProcessSpec | KeyedBroadcastProcessSpec
    ) -> None:
        super().__init__(chained, [spec.function])
        self._function = spec.function
        self._methods = methods_of(spec.function)

    def open(self, context: OperatorContext, output: Output) -> None:
        self._collector = RecordCollector(output)
        super().open(context, output)
        self._context = self.new_context()

    def new_context(self) -> KeyedContext:
        """The ``ctx`` of the function."""
        return KeyedContext(self)

    def process(self, batch: Batch, input_index: int) -> None:
        rows, keys = self.rows_and_keys(batch, input_index)
        method = self._methods[input_index]
        backend, context, take = self.backend, self._context, self._collector.take
        value: Any = NO_RECORD
        try:
            for key, value, time_ms in zip(keys, rows.values, times_of(rows), strict=True):
                backend.current_key = key
                context.time_ms = time_ms
                returned = method(value, context)
                if returned is not None:
                    take(returned, time_ms)
        except Exception as error:
            raise wrap_user_error(error, chained=self.chained, function=method, record=value) from error
        self._collector.flush()

    def process_watermark(self, watermark: Watermark) -> None:
        self.watermark_ms = max(self.watermark_ms, watermark.timestamp_ms)
        while (due := self.timers.event.pop_due(watermark.timestamp_ms)) is not None:
            self._fire(due, TimeDomain.EVENT_TIME)
        self._collector.flush()
        super().process_watermark(watermark)

    def on_processing_time(self, now_ms: int) -> None:
        while (due := self.timers.pop_processing(now_ms)) is not None:
            self._fire(due, TimeDomain.PROCESSING_TIME)
        self._collector.flush()

    def _fire(self, due: tuple[int, Any, Any], domain: TimeDomain) -> None:
        time_ms, key, _ = due
        self.backend.focus(key)
        self._context.time_ms = time_ms
        self._context.domain = domain
        self.context.metrics.timers_fired += 1
        on_timer: Callable[[int, Any], Iterable[Any] | None] = self._function.on_timer
        emitted_ms = time_ms if domain is TimeDomain.EVENT_TIME else None
        try:
            returned = on_timer(time_ms, self._context)
            if returned is not None:
                self._collector.take(returned, emitted_ms)
        except Exception as error:
            fired = TimerOfKey(key, time_ms)
            raise wrap_user_error(error, chained=self.chained, function=on_timer, record=fired) from error


class TimerOfKey(NamedTuple):
    """What ``on_timer`` worked on when it raised; takes the record's place in the error message."""

    key: Any
    timestamp_ms: int


class UnkeyedContext(TimerService):
    """``ctx`` and its timer service for functions without keys: time, but no timers."""

    def __init__(self, operator: ProcessOperator) -> None:
        self._operator = operator
        self.time_ms: int | None = None

    def timer_service(self) -> TimerService:
        return self

    def timestamp(self) -> int | None:
        return self.time_ms

    def current_processing_time(self) -> int:
        return self._operator.context.clock.wall_ms()

    def current_watermark(self) -> int:
        return self._operator.watermark_ms

    def register_processing_time_timer(self, timestamp: int) -> None:
        raise JobGraphError(
            f"operator {self._operator.chained.name!r} sets a timer, but its stream is not keyed. "
            f"Call key_by before process."
        )

    register_event_time_timer = register_processing_time_timer
    delete_processing_time_timer = register_processing_time_timer
    delete_event_time_timer = register_processing_time_timer


class KeyedContext(TimerContext, KeyedProcessContext, TimerService):
    """``ctx`` and its timer service for keyed functions; one object for all calls."""

    def __init__(self, operator: KeyedProcessOperator) -> None:
        self._operator = operator
        self._timers = operator.timers
        self.time_ms: int | None = None
        self.domain = TimeDomain.EVENT_TIME

    def timer_service(self) -> TimerService:
        return self

    def timestamp(self) -> int | None:
        return self.time_ms

    def get_current_key(self) -> Any:
        return self._operator.backend.current_key

    def time_domain(self) -> TimeDomain:
        return self.domain

    def current_processing_time(self) -> int:
        return self._operator.context.clock.wall_ms()

    def current_watermark(self) -> int:
        return self._operator.watermark_ms

    def register_processing_time_timer(self, timestamp: int) -> None:
        self._timers.add_processing(index(timestamp), self.get_current_key())

    def register_event_time_timer(self, timestamp: int) -> None:
        self._timers.event.add(index(timestamp), self.get_current_key())

    def delete_processing_time_timer(self, timestamp: int) -> None:
        self._timers.processing.remove(index(timestamp), self.get_current_key())

    def delete_event_time_timer(self, timestamp: int) -> None:
        self._timers.event.remove(index(timestamp), self.get_current_key())


def methods_of(function: Any) -> list[Method]:
    """The method for each input."""
    if hasattr(function, "process_element1"):
        return [function.process_element1, function.process_element2]
    if hasattr(function, "process_broadcast_element"):
        return [function.process_element, function.process_broadcast_element]
    return [function.process_element]


def times_of(rows: ObjectBatch) -> list[int | None]:
    """Event times as ints, None where a record has none."""
    if rows.timestamps is None:
        return [None] * rows.num_rows
    times: list[int | None] = rows.timestamps.tolist()
    if (rows.timestamps == NO_TIMESTAMP_MS).any():
        return [None if time == NO_TIMESTAMP_MS else time for time in times]
    return times
