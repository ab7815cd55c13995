"""``KeyedStream``: records grouped by key (``pyflink.datastream.data_stream.KeyedStream``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from millstream.core.api.functions import KeyedProcessFunction, ProcessFunction, ReduceFunction
from millstream.core.api.windows import WindowAssigner
from millstream.core.graph.specs import (
    AggregationKind,
    AggregationSpec,
    KeyedProcessSpec,
    KeySelectorCallable,
    OperatorSpec,
    ReduceSpec,
)
from millstream.core.graph.stream_graph import Exchange
from millstream.datastream.arguments import class_argument, field_argument, function_argument, instance_argument
from millstream.datastream.call_site import refuse
from millstream.datastream.data_stream import DataStream, count_assigner
from millstream.datastream.inference import declared_type, element_type
from millstream.datastream.stream import Upstream
from millstream.datastream.windowed_stream import WindowedStream

if TYPE_CHECKING:
    from millstream.core.api.types import TypeInformation
    from millstream.datastream.stream_execution_environment import StreamExecutionEnvironment

T = TypeVar("T")


class KeyedStream(DataStream[T], Generic[T]):
    """Each key is handled by one subtask; functions have state and timers of the key at hand."""

    def __init__(
        self,
        environment: StreamExecutionEnvironment,
        upstreams: Iterable[Upstream],
        record_type: TypeInformation | None,
        key_selector: KeySelectorCallable,
    ) -> None:
        super().__init__(environment, upstreams, record_type)
        self._key_selector = key_selector

    # -- rolling aggregates -------------------------------------------------------------------------------------------

    def reduce(self, func: Callable[[T, T], T] | ReduceFunction[T]) -> DataStream[T]:
        """For each record, the combination of all records of its key so far."""
        function_argument(func, ReduceFunction, "reduce", "reduce", 2)
        return self._transformed("reduce", ReduceSpec(func), self._record_type)

    def sum(self, position_to_sum: int | str = 0) -> DataStream[T]:
        """The running sum of a field; the other fields are those of the key's first record."""
        return self._aggregation("sum", position_to_sum)

    def min(self, position_to_min: int | str = 0) -> DataStream[T]:
        """The least value of a field so far; the other fields are those of the key's first record."""
        return self._aggregation("min", position_to_min)

    def max(self, position_to_max: int | str = 0) -> DataStream[T]:
        """The greatest value of a field so far; the other fields are those of the key's first record."""
        return self._aggregation("max", position_to_max)

    def min_by(self, position_to_min_by: int | str = 0) -> DataStream[T]:
        """The whole record with the least value of a field so far."""
        return self._aggregation("min_by", position_to_min_by)

    def max_by(self, position_to_max_by: int | str = 0) -> DataStream[T]:
        """The whole record with the greatest value of a field so far."""
        return self._aggregation("max_by", position_to_max_by)

    # -- functions with keyed state -----------------------------------------------------------------------------------

    def process(
        self, func: KeyedProcessFunction | ProcessFunction | Callable[[T, Any], Any], output_type: Any = None
    ) -> DataStream[Any]:
        """A KeyedProcessFunction, or a function of ``(value, ctx)``, with state and timers of the key."""
        bases = (KeyedProcessFunction, ProcessFunction)
        checked = class_argument(func, bases, ("process_element",), "process", 2)
        found = declared_type(output_type, "process") or element_type(checked, "process_element")
        return self._transformed("process", KeyedProcessSpec(checked), found)

    # -- windows ------------------------------------------------------------------------------------------------------

    def window(self, window_assigner: WindowAssigner[Any, Any]) -> WindowedStream[T]:
        """Windows of each key."""
        instance_argument(window_assigner, WindowAssigner, "window", "TumblingEventTimeWindows.of('1 min')")
        return WindowedStream(self, window_assigner)

    def count_window(self, size: int, slide: int = 0) -> WindowedStream[T]:
        """Windows of ``size`` records of a key, one behind the other, or one every ``slide`` records."""
        return self.window(count_assigner(size, slide))

    # -- inner --------------------------------------------------------------------------------------------------------

    def _partitioned(self, exchange: Exchange, key_selector: Any = None, custom_partitioner: Any = None) -> Any:
        raise refuse(
            f"a keyed stream is partitioned by its key; {exchange.name.lower()} cannot change that. Partition before "
            f"key_by, or behind the next operator."
        )

    def _transformed(self, name: str, spec: OperatorSpec, output_type: TypeInformation | None) -> DataStream[Any]:
        node = self._add(name, spec, key_selectors=(self._key_selector,), output_type=output_type)
        return DataStream(self._environment, [Upstream(node)], output_type)

    def _aggregation(self, kind: AggregationKind, field: int | str) -> DataStream[T]:
        spec = aggregation_spec(kind, field, self._record_type)
        return self._transformed(kind, spec, self._record_type)


def aggregation_spec(kind: AggregationKind, field: Any, record_type: TypeInformation | None) -> AggregationSpec:
    """A built-in aggregation of ``field``, which must exist where the type of the records is known."""
    field = field_argument(field, record_type, kind)
    is_text = record_type is not None and record_type.name in ("STRING", "BYTES", "CHAR")
    if kind == "sum" and is_text:
        raise refuse(f"sum takes numbers, but the records are {record_type}.")
    return AggregationSpec(kind, None if is_text and field == 0 else field)
