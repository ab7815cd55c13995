"""Function classes that users subclass, and the contexts they are given. Names and signatures are PyFlink's.

Wherever one of these is taken, the API also takes a plain function. ``process_element``, ``on_timer`` and ``flat_map``
may be generators, return an iterable, or return None. To send to a side output, yield ``(OutputTag(...), value)``.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from millstream.core.api.state import (
    AggregatingState,
    AggregatingStateDescriptor,
    ListState,
    ListStateDescriptor,
    MapState,
    MapStateDescriptor,
    ReducingState,
    ReducingStateDescriptor,
    ValueState,
    ValueStateDescriptor,
)

IN = TypeVar("IN")
OUT = TypeVar("OUT")
ACC = TypeVar("ACC")
KEY = TypeVar("KEY")
W = TypeVar("W")


class TimeDomain(enum.Enum):
    """Which clock a timer follows."""

    EVENT_TIME = 0
    PROCESSING_TIME = 1


class KeyedStateStore(ABC):
    """Gives access to keyed state by descriptor."""

    @abstractmethod
    def get_state(self, state_descriptor: ValueStateDescriptor) -> ValueState[Any]: ...

    @abstractmethod
    def get_list_state(self, state_descriptor: ListStateDescriptor) -> ListState[Any]: ...

    @abstractmethod
    def get_map_state(self, state_descriptor: MapStateDescriptor) -> MapState[Any, Any]: ...

    @abstractmethod
    def get_reducing_state(self, state_descriptor: ReducingStateDescriptor) -> ReducingState[Any]: ...

    @abstractmethod
    def get_aggregating_state(self, state_descriptor: AggregatingStateDescriptor) -> AggregatingState[Any, Any]: ...


class Counter(ABC):
    """A user's counter."""

    @abstractmethod
    def inc(self, n: int = 1) -> None: ...

    @abstractmethod
    def dec(self, n: int = 1) -> None: ...

    @abstractmethod
    def get_count(self) -> int: ...


class Meter(ABC):
    """Counts events; the rate is for the monitoring system to derive from the count."""

    @abstractmethod
    def mark_event(self, value: int = 1) -> None: ...

    @abstractmethod
    def get_count(self) -> int: ...


class Distribution(ABC):
    """Count, sum, smallest and largest of the values reported."""

    @abstractmethod
    def update(self, value: float) -> None: ...


class MetricGroup(ABC):
    """Where a function registers its metrics; they appear as ``millstream_operator_user_<name>``."""

    @abstractmethod
    def add_group(self, name: str, extra: str | None = None) -> MetricGroup:
        """A group whose metrics have ``name_`` (and ``extra_``) before their names."""

    @abstractmethod
    def counter(self, name: str) -> Counter: ...

    @abstractmethod
    def gauge(self, name: str, obj: Callable[[], float]) -> None: ...

    @abstractmethod
    def meter(self, name: str, time_span_in_seconds: int = 60) -> Meter: ...

    @abstractmethod
    def distribution(self, name: str) -> Distribution: ...


class RuntimeContext(KeyedStateStore):
    """Where a function runs, and its state. Handed to ``open``."""

    @abstractmethod
    def get_task_name(self) -> str: ...

    @abstractmethod
    def get_number_of_parallel_subtasks(self) -> int: ...

    @abstractmethod
    def get_max_number_of_parallel_subtasks(self) -> int: ...

    @abstractmethod
    def get_index_of_this_subtask(self) -> int: ...

    @abstractmethod
    def get_attempt_number(self) -> int: ...

    @abstractmethod
    def get_task_name_with_subtasks(self) -> str: ...

    @abstractmethod
    def get_job_parameter(self, key: str, default_value: str) -> str: ...

    @abstractmethod
    def get_metrics_group(self) -> MetricGroup: ...


class Function:
    """Base of all functions: ``open`` before the first record, ``close`` after the last, also after a failure."""

    def open(self, runtime_context: RuntimeContext) -> None:
        """Acquire what the function needs in its slot: connections, models, state."""

    def close(self) -> None:
        """Release it."""


class MapFunction(Function, Generic[IN, OUT]):
    """One record in, one out."""

    def map(self, value: IN) -> OUT:
        raise TypeError(f"{type(self).__name__} does not define map")


class FilterFunction(Function, Generic[IN]):
    """Keeps records for which ``filter`` is true."""

    def filter(self, value: IN) -> bool:
        raise TypeError(f"{type(self).__name__} does not define filter")


class FlatMapFunction(Function, Generic[IN, OUT]):
    """One record in, any number out."""

    def flat_map(self, value: IN) -> Iterable[OUT] | None:
        raise TypeError(f"{type(self).__name__} does not define flat_map")


class ReduceFunction(Function, Generic[IN]):
    """Combines two values into one of the same kind. Neither may be changed in place: both may be in use elsewhere."""

    def reduce(self, value1: IN, value2: IN) -> IN:
        raise TypeError(f"{type(self).__name__} does not define reduce")


class AggregateFunction(Function, Generic[IN, ACC, OUT]):
    """Folds values into an accumulator. ``add`` may change the accumulator in place and return it."""

    @abstractmethod
    def create_accumulator(self) -> ACC: ...

    @abstractmethod
    def add(self, value: IN, accumulator: ACC) -> ACC: ...

    @abstractmethod
    def get_result(self, accumulator: ACC) -> OUT: ...

    def merge(self, acc_a: ACC, acc_b: ACC) -> ACC:
        """Needed for session windows."""
        raise TypeError(f"{type(self).__name__} does not define merge, which merging windows need")


class KeySelector(Function, Generic[IN, KEY]):
    """The key of a record: deterministic, and of a type with a stable hash."""

    @abstractmethod
    def get_key(self, value: IN) -> KEY: ...


class Partitioner(Function, Generic[KEY]):
    """Chooses a consumer, from 0 to ``num_partitions - 1``."""

    @abstractmethod
    def partition(self, key: KEY, num_partitions: int) -> int: ...


class CoMapFunction(Function):
    """``map1`` for records of the first stream, ``map2`` for the second; None emits nothing."""

    @abstractmethod
    def map1(self, value: Any) -> Any: ...

    @abstractmethod
    def map2(self, value: Any) -> Any: ...


class CoFlatMapFunction(Function):
    """``flat_map1`` for records of the first stream, ``flat_map2`` for the second."""

    @abstractmethod
    def flat_map1(self, value: Any) -> Iterable[Any] | None: ...

    @abstractmethod
    def flat_map2(self, value: Any) -> Iterable[Any] | None: ...


class TimerService(ABC):
    """Time, and timers of the key at hand. All times are milliseconds since 1970."""

    @abstractmethod
    def current_processing_time(self) -> int: ...

    @abstractmethod
    def current_watermark(self) -> int: ...

    @abstractmethod
    def register_processing_time_timer(self, timestamp: int) -> None: ...

    @abstractmethod
    def register_event_time_timer(self, timestamp: int) -> None: ...

    @abstractmethod
    def delete_processing_time_timer(self, timestamp: int) -> None: ...

    @abstractmethod
    def delete_event_time_timer(self, timestamp: int) -> None: ...


class ProcessContext(ABC):
    """The ``ctx`` of ``process_element``."""

    @abstractmethod
    def timer_service(self) -> TimerService: ...

    @abstractmethod
    def timestamp(self) -> int | None:
        """Event time of the record, or None when it has none."""


class KeyedProcessContext(ProcessContext):
    """With the key of the record."""

    @abstractmethod
    def get_current_key(self) -> Any: ...


class TimerContext(KeyedProcessContext):
    """The ``ctx`` of ``on_timer``."""

    @abstractmethod
    def time_domain(self) -> TimeDomain: ...


class ProcessFunction(Function):
    """Sees each record with its time; no keyed state."""

    Context = ProcessContext

    @abstractmethod
    def process_element(self, value: Any, ctx: ProcessContext) -> Iterable[Any] | None: ...


class KeyedProcessFunction(Function):
    """Sees each record with its key; has keyed state and timers."""

    Context = KeyedProcessContext
    OnTimerContext = TimerContext

    @abstractmethod
    def process_element(self, value: Any, ctx: KeyedProcessContext) -> Iterable[Any] | None: ...

    def on_timer(self, timestamp: int, ctx: TimerContext) -> Iterable[Any] | None:
        """A timer of this key came due."""


class CoProcessFunction(Function):
    """Two streams; no keyed state."""

    Context = ProcessContext

    @abstractmethod
    def process_element1(self, value: Any, ctx: ProcessContext) -> Iterable[Any] | None: ...

    @abstractmethod
    def process_element2(self, value: Any, ctx: ProcessContext) -> Iterable[Any] | None: ...


class KeyedCoProcessFunction(Function):
    """Two streams keyed alike, which share state and timers."""

    Context = KeyedProcessContext
    OnTimerContext = TimerContext

    @abstractmethod
    def process_element1(self, value: Any, ctx: KeyedProcessContext) -> Iterable[Any] | None: ...

    @abstractmethod
    def process_element2(self, value: Any, ctx: KeyedProcessContext) -> Iterable[Any] | None: ...

    def on_timer(self, timestamp: int, ctx: TimerContext) -> Iterable[Any] | None:
        """A timer of this key came due."""


class WindowFunction(Function, Generic[IN, OUT, KEY, W]):
    """All elements of one window of one key."""

    @abstractmethod
    def apply(self, key: KEY, window: W, inputs: Iterable[IN]) -> Iterable[OUT] | None: ...


class AllWindowFunction(Function, Generic[IN, OUT, W]):
    """All elements of one window."""

    @abstractmethod
    def apply(self, window: W, inputs: Iterable[IN]) -> Iterable[OUT] | None: ...


class WindowContext(ABC, Generic[W]):
    """The ``context`` of the process window functions."""

    @abstractmethod
    def window(self) -> W: ...

    @abstractmethod
    def current_processing_time(self) -> int: ...

    @abstractmethod
    def current_watermark(self) -> int: ...

    @abstractmethod
    def window_state(self) -> KeyedStateStore:
        """State of this key and window; clear it in ``clear``."""

    @abstractmethod
    def global_state(self) -> KeyedStateStore:
        """State of this key."""


class ProcessWindowFunction(Function, Generic[IN, OUT, KEY, W]):
    """All elements of one window of one key, with the window, times and state."""

    Context = WindowContext

    @abstractmethod
    def process(self, key: KEY, context: WindowContext[W], elements: Iterable[IN]) -> Iterable[OUT] | None: ...

    def clear(self, context: WindowContext[W]) -> None:
        """The window is gone: clear its ``window_state``."""


class ProcessAllWindowFunction(Function, Generic[IN, OUT, W]):
    """The same without keys."""

    Context = WindowContext

    @abstractmethod
    def process(self, context: WindowContext[W], elements: Iterable[IN]) -> Iterable[OUT] | None: ...

    def clear(self, context: WindowContext[W]) -> None:
        """The window is gone: clear its ``window_state``."""


class NullByteKeySelector(KeySelector[Any, int]):
    """The same key for every record."""

    def get_key(self, value: Any) -> int:
        return 0
