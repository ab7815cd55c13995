"""``DataStream``: transformations of records (``pyflink.datastream.data_stream``).

The other kinds of stream have a module each, and can be imported from here as in PyFlink.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from millstream.core.api.functions import FilterFunction, FlatMapFunction, MapFunction, Partitioner, ProcessFunction
from millstream.core.api.output_tag import OutputTag
from millstream.core.api.state import MapStateDescriptor
from millstream.core.api.watermarks import WatermarkStrategy
from millstream.core.api.windows import CountSlidingWindowAssigner, CountTumblingWindowAssigner, WindowAssigner
from millstream.core.errors import JobGraphError
from millstream.core.graph.specs import (
    FilterSpec,
    FlatMapSpec,
    MapSpec,
    OperatorSpec,
    ProcessSpec,
    TimestampsAndWatermarksSpec,
)
from millstream.core.graph.stream_graph import Exchange
from millstream.datastream.arguments import (
    class_argument,
    field_argument,
    function_argument,
    instance_argument,
    key_selector_argument,
)
from millstream.datastream.call_site import refuse
from millstream.datastream.collecting import CollectableStream
from millstream.datastream.inference import declared_type, element_type, returned_type
from millstream.datastream.stream import Upstream

if TYPE_CHECKING:
    from millstream.core.api.types import TypeInformation
    from millstream.datastream.broadcast_stream import BroadcastConnectedStream, BroadcastStream
    from millstream.datastream.connected_streams import ConnectedStreams
    from millstream.datastream.keyed_stream import KeyedStream
    from millstream.datastream.windowed_stream import AllWindowedStream

T = TypeVar("T")
OUT = TypeVar("OUT")
OTHER = TypeVar("OTHER")

_NEED_KEYS = {
    **dict.fromkeys(("reduce", "sum", "min", "max", "min_by", "max_by"), "call key_by first: it is computed per key"),
    "window": "call key_by first, or use window_all for windows over all records in one subtask",
    "count_window": "call key_by first, or use count_window_all for windows over all records in one subtask",
}
"""Methods that only keyed streams have, and what to do about it."""


class DataStream(CollectableStream[T], Generic[T]):
    """A stream of records of type ``T``."""

    # -- transformations ----------------------------------------------------------------------------------------------

    @overload
    def map(self, func: Callable[[T], OUT], output_type: Any = None) -> DataStream[OUT]: ...
    @overload
    def map(self, func: MapFunction[T, OUT], output_type: Any = None) -> DataStream[OUT]: ...
    def map(self, func: Any, output_type: Any = None) -> DataStream[Any]:
        """One record out for each in."""
        function_argument(func, MapFunction, "map", "map", 1)
        return self._transformed("map", MapSpec(func), declared_type(output_type, "map") or returned_type(func, "map"))

    @overload
    def flat_map(self, func: Callable[[T], Iterable[OUT] | None], output_type: Any = None) -> DataStream[OUT]: ...
    @overload
    def flat_map(self, func: FlatMapFunction[T, OUT], output_type: Any = None) -> DataStream[OUT]: ...
    def flat_map(self, func: Any, output_type: Any = None) -> DataStream[Any]:
        """Any number out for each in: the function returns or yields an iterable, or returns None."""
        function_argument(func, FlatMapFunction, "flat_map", "flat_map", 1)
        found = declared_type(output_type, "flat_map") or element_type(func, "flat_map")
        return self._transformed("flat_map", FlatMapSpec(func), found)

    def filter(self, func: Callable[[T], bool] | FilterFunction[T]) -> DataStream[T]:
        """Keeps the records for which the function is true."""
        function_argument(func, FilterFunction, "filter", "filter", 1)
        return self._transformed("filter", FilterSpec(func), self._record_type)

    def process(self, func: ProcessFunction | Callable[[T, Any], Any], output_type: Any = None) -> DataStream[Any]:
        """A ProcessFunction, or a function of ``(value, ctx)``, that yields or returns any number of records."""
        checked = class_argument(func, (ProcessFunction,), ("process_element",), "process", 2)
        if hasattr(checked, "on_timer"):
            raise refuse(f"{type(func).__name__} has timers, which need keys: call key_by before process.")
        found = declared_type(output_type, "process") or element_type(checked, "process_element")
        return self._transformed("process", ProcessSpec(checked), found)

    def project(self, *field_indexes: int) -> DataStream[Any]:
        """Tuples of the fields at these positions."""
        for index in field_indexes:
            if not isinstance(field_argument(index, self._record_type, "project"), int):
                raise refuse(f"project takes positions of fields, not {index!r}.")
        if not field_indexes:
            raise refuse("project takes at least one position of a field.")
        return self._transformed("project", MapSpec(_Projection(field_indexes)), None)

    def assign_timestamps_and_watermarks(self, watermark_strategy: WatermarkStrategy) -> DataStream[T]:
        """Give records event times, and the stream watermarks; those it had are replaced."""
        call, example = "assign_timestamps_and_watermarks", "WatermarkStrategy.for_bounded_out_of_orderness('5s')"
        instance_argument(watermark_strategy, WatermarkStrategy, call, example)
        spec = TimestampsAndWatermarksSpec(watermark_strategy)
        return self._transformed("timestamps and watermarks", spec, self._record_type)

    def get_side_output(self, output_tag: OutputTag) -> DataStream[Any]:
        """What the operator sends to ``output_tag``."""
        instance_argument(output_tag, OutputTag, "get_side_output", "OutputTag('late')")
        node = self._operator("get_side_output")
        record_type = declared_type(output_tag.type_info, "OutputTag")
        return DataStream(self._environment, [Upstream(node, side_output=output_tag.tag_id)], record_type)

    # -- several streams ----------------------------------------------------------------------------------------------

    def union(self, *streams: DataStream[T]) -> DataStream[T]:
        """All records of this and the other streams."""
        if not streams:
            raise refuse("union takes at least one other stream.")
        for stream in streams:
            self._check_partner(stream, "union")
        upstreams = [upstream for stream in (self, *streams) for upstream in stream._upstreams]
        types = {stream._record_type for stream in (self, *streams)}
        return DataStream(self._environment, upstreams, types.pop() if len(types) == 1 else None)

    @overload
    def connect(self, ds: DataStream[OTHER]) -> ConnectedStreams[T, OTHER]: ...
    @overload
    def connect(self, ds: BroadcastStream[OTHER]) -> BroadcastConnectedStream[T, OTHER]: ...
    def connect(self, ds: Any) -> Any:
        """Two streams of different kinds, for functions that see both; the other one may be a broadcast stream."""
        from millstream.datastream.broadcast_stream import BroadcastConnectedStream, BroadcastStream
        from millstream.datastream.connected_streams import ConnectedStreams

        if isinstance(ds, BroadcastStream):
            self._check_partner(ds._stream, "connect")
            return BroadcastConnectedStream(self, ds)
        self._check_partner(ds, "connect")
        return ConnectedStreams(self, ds)

    # -- keys and windows ---------------------------------------------------------------------------------------------

    def key_by(self, key_selector: Any, key_type: Any = None) -> KeyedStream[T]:
        """Records with the same key go to the same subtask of what follows.

        ``key_selector``: a function, a KeySelector, the position or name of a field, or a list of those.
        """
        from millstream.datastream.keyed_stream import KeyedStream

        selector = key_selector_argument(key_selector, self._record_type, "key_by")
        declared_type(key_type, "key_by")
        upstreams = self._handed_on(exchange=Exchange.HASH, key_selector=selector, custom_partitioner=None)
        return KeyedStream(self._environment, upstreams, self._record_type, selector)

    def window_all(self, window_assigner: WindowAssigner[Any, Any]) -> AllWindowedStream[T]:
        """Windows over all records, computed by one subtask."""
        from millstream.datastream.windowed_stream import AllWindowedStream

        instance_argument(window_assigner, WindowAssigner, "window_all", "TumblingEventTimeWindows.of('1 min')")
        return AllWindowedStream(self, window_assigner)

    def count_window_all(self, size: int, slide: int = 0) -> AllWindowedStream[T]:
        """Windows of ``size`` records, one behind the other, or one every ``slide`` records."""
        return self.window_all(count_assigner(size, slide))

    # -- partitioning -------------------------------------------------------------------------------------------------

    def shuffle(self) -> DataStream[T]:
        """Each record to a random subtask."""
        return self._partitioned(Exchange.SHUFFLE)

    def rebalance(self) -> DataStream[T]:
        """Records evenly over all subtasks."""
        return self._partitioned(Exchange.REBALANCE)

    def rescale(self) -> DataStream[T]:
        """Records evenly over a share of the subtasks; fewer connections than ``rebalance``."""
        return self._partitioned(Exchange.RESCALE)

    @overload
    def broadcast(self) -> DataStream[T]: ...
    @overload
    def broadcast(self, first: MapStateDescriptor, /, *more: MapStateDescriptor) -> BroadcastStream[T]: ...
    def broadcast(self, *descriptors: MapStateDescriptor) -> Any:
        """Each record to every subtask. With descriptors of broadcast states: a stream for ``connect``."""
        stream = self._partitioned(Exchange.BROADCAST)
        if not descriptors:
            return stream
        from millstream.datastream.broadcast_stream import BroadcastStream

        for descriptor in descriptors:
            instance_argument(descriptor, MapStateDescriptor, "broadcast", "MapStateDescriptor('rules')")
        return BroadcastStream(stream, descriptors)

    def global_(self) -> DataStream[T]:
        """All records to the first subtask."""
        return self._partitioned(Exchange.GLOBAL)

    def forward(self) -> DataStream[T]:
        """Each subtask to the one of the same index; both operators need the same parallelism."""
        return self._partitioned(Exchange.FORWARD)

    def partition_custom(
        self, partitioner: Partitioner[Any] | Callable[[Any, int], int], key_selector: Any
    ) -> DataStream[T]:
        """To the subtask that ``partitioner(key, number of subtasks)`` says, counted from 0."""
        function_argument(partitioner, Partitioner, "partition", "partition_custom", 2)
        selector = key_selector_argument(key_selector, self._record_type, "partition_custom")
        partition = getattr(partitioner, "partition", partitioner)
        return self._partitioned(Exchange.CUSTOM, key_selector=selector, custom_partitioner=partition)

    # -- inner --------------------------------------------------------------------------------------------------------

    def _transformed(self, name: str, spec: OperatorSpec, output_type: TypeInformation | None) -> DataStream[Any]:
        """The stream behind a new operator on this one."""
        node = self._add(name, spec, output_type=output_type)
        return DataStream(self._environment, [Upstream(node)], output_type)

    def _partitioned(
        self, exchange: Exchange, key_selector: Any = None, custom_partitioner: Any = None
    ) -> DataStream[T]:
        upstreams = self._handed_on(exchange=exchange, key_selector=key_selector, custom_partitioner=custom_partitioner)
        return DataStream(self._environment, upstreams, self._record_type)

    def _check_partner(self, other: Any, call: str) -> None:
        if not isinstance(other, DataStream):
            raise refuse(f"{call} takes streams, not {other!r:.60} of type {type(other).__name__}.")
        if other._environment is not self._environment:
            raise refuse(f"{call} takes streams of one environment, but these come from two.")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            remedy = _NEED_KEYS.get(name)
            if remedy is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
            raise KeysNeededError(str(refuse(f"{name} needs a keyed stream; {remedy}.")))


class KeysNeededError(JobGraphError, AttributeError):
    """A method of keyed streams was called on one without keys. An ``AttributeError`` too, so that hasattr works."""


class _Projection:
    """Some fields of a record as a tuple."""

    def __init__(self, positions: tuple[int, ...]) -> None:
        self.positions = positions

    def __call__(self, record: Any) -> tuple[Any, ...]:
        return tuple([record[position] for position in self.positions])


def count_assigner(size: int, slide: int) -> WindowAssigner[Any, Any]:
    """Windows by number of records; a ``slide`` of 0 is that of tumbling ones."""
    for number in (size, slide):
        if not isinstance(number, int) or isinstance(number, bool):
            raise refuse(f"count windows take whole numbers of records, not {number!r}.")
    if slide == 0:
        return CountTumblingWindowAssigner.of(size)
    return CountSlidingWindowAssigner.of(size, slide)


_ELSEWHERE = {
    "AllWindowedStream": "windowed_stream",
    "BroadcastConnectedStream": "broadcast_stream",
    "BroadcastStream": "broadcast_stream",
    "CloseableIterator": "collecting",
    "ConnectedStreams": "connected_streams",
    "DataStreamSink": "data_stream_sink",
    "KeyedStream": "keyed_stream",
    "WindowedStream": "windowed_stream",
}


def __getattr__(name: str) -> Any:
    """PyFlink's home of all stream classes; loaded on demand, for they import this module."""
    if name in _ELSEWHERE:
        from importlib import import_module

        return getattr(import_module(f"millstream.datastream.{_ELSEWHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
