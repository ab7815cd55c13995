"""``KeyedStream``: records grouped by key (``pyflink.datastream.data_stream.KeyedStream``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from millstream.core.graph.specs import (
    AggregationKind,
    AggregationSpec,
    FilterSpec,
    FlatMapSpec,
    KeyedProcessSpec,
    KeySelectorCallable,
    MapSpec,
    ProcessSpec,
    ReduceSpec,
)
from millstream.core.graph.stream_graph import Exchange, StreamNode
from millstream.datastream.arguments import function_argument, instance_argument, reduce_argument, refuse
from millstream.datastream.connected_streams import ConnectedStreams
from millstream.datastream.data_stream import DataStream
from millstream.datastream.stream import Stream
from millstream.datastream.windowed_stream import WindowedStream, count_assigner

if TYPE_CHECKING:
    from millstream.core.api.windows import WindowAssigner
    from millstream.datastream.stream_execution_environment import StreamExecutionEnvironment

T = TypeVar("T")


class KeyedStream(DataStream[T], Generic[T]):
    """Operators on it have keyed state; each key is handled by one subtask."""

    def __init__(
        self,
        environment: StreamExecutionEnvironment,
        node: StreamNode,
        key_selector: KeySelectorCallable,
        *,
        united: tuple[Stream, ...] = (),
        side_output: str = "",
    ) -> None:
        super().__init__(
            environment,
            node,
            exchange=Exchange.HASH,
            explicit_exchange=True,
            side_output=side_output,
            key_selector=key_selector,
            united=united,
        )
        self._selector = key_selector

    # -- rolling aggregates -----------------------------------------------------------------------------------------

    def reduce(self, func: Any) -> DataStream[T]:
        """The combination of all records of the key so far, for each record."""
        spec = ReduceSpec(reduce_argument(func, "reduce"))
        return self._keyed("reduce", spec, output_type=self._node.output_type)

    def sum(self, position_to_sum: int | str | None = None) -> DataStream[T]:
        """The running sum of a field; the other fields are those of the key's first record."""
        return self._aggregation("sum", position_to_sum)

    def min(self, position_to_min: int | str | None = None) -> DataStream[T]:
        """The least value of a field so far."""
        return self._aggregation("min", position_to_min)

    def max(self, position_to_max: int | str | None = None) -> DataStream[T]:
        """The greatest value of a field so far."""
        return self._aggregation("max", position_to_max)

    def min_by(self, position_to_min_by: int | str | None = None) -> DataStream[T]:
        """The record with the least value of a field so far."""
        return self._aggregation("min_by", position_to_min_by)

    def max_by(self, position_to_max_by: int | str | None = None) -> DataStream[T]:
        """The record with the greatest value of a field so far."""
        return self._aggregation("max_by", position_to_max_by)

    # -- functions with keyed state ---------------------------------------------------------------------------------

    def process(self, func: Any, output_type: Any = None) -> DataStream[Any]:
        """A KeyedProcessFunction, with state and timers; or a ProcessFunction."""
        instance_argument(func, ("process_element",), "process", "KeyedProcessFunction")
        spec = KeyedProcessSpec(func) if hasattr(func, "on_timer") else ProcessSpec(func)
        return self._keyed("process", spec, output_type=output_type)

    def map(self, func: Any, output_type: Any = None) -> DataStream[Any]:
        """As on any stream; a MapFunction may use keyed state."""
        function_argument(func, "map", "map")
        return self._keyed("map", MapSpec(func), output_type=output_type)

    def flat_map(self, func: Any, output_type: Any = None) -> DataStream[Any]:
        function_argument(func, "flat_map", "flat_map")
        return self._keyed("flat_map", FlatMapSpec(func), output_type=output_type)

    def filter(self, func: Any) -> DataStream[T]:
        function_argument(func, "filter", "filter")
        return self._keyed("filter", FilterSpec(func), output_type=self._node.output_type)

    def connect(self, ds: DataStream[Any]) -> ConnectedStreams:
        return ConnectedStreams(self, ds)

    # -- windows ----------------------------------------------------------------------------------------------------

    def window(self, window_assigner: WindowAssigner[Any, Any]) -> WindowedStream:
        """Windows of each key."""
        return WindowedStream(self, window_assigner, self._selector)

    def count_window(self, size: int, slide: int | None = None) -> WindowedStream:
        """Windows of ``size`` records of a key, every ``slide`` records."""
        return WindowedStream(self, count_assigner(size, slide), self._selector)

    # -- not on keyed streams -----------------------------------------------------------------------------------------

    def _partitioned(self, exchange: Exchange) -> DataStream[T]:
        raise refuse("a keyed stream is partitioned by its key; partition before key_by, or after the next operator")

    def union(self, *streams: DataStream[T]) -> DataStream[T]:
        raise refuse("union before key_by: the union of keyed streams has no key")

    # -- inner --------------------------------------------------------------------------------------------------------

    def _keyed(self, name: str, spec: Any, output_type: Any = None) -> DataStream[Any]:
        return self._derived(self._add(name, spec, key_selectors=(self._selector,), output_type=output_type))

    def _aggregation(self, kind: AggregationKind, field: int | str | None) -> DataStream[T]:
        if field is not None and (not isinstance(field, int | str) or isinstance(field, bool)):
            raise refuse(f"{kind} takes a tuple position or a field name, not {field!r}")
        return self._keyed(kind, AggregationSpec(kind, field), output_type=self._node.output_type)
