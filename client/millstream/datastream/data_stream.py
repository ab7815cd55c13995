"""``DataStream``: transformations of records (``pyflink.datastream.data_stream``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from millstream.core.api.output_tag import OutputTag
from millstream.core.api.watermarks import WatermarkStrategy
from millstream.core.graph.specs import (
    CollectSpec,
    FilterSpec,
    FlatMapSpec,
    MapSpec,
    ProcessSpec,
    TimestampsAndWatermarksSpec,
)
from millstream.core.graph.stream_graph import Exchange
from millstream.datastream.arguments import (
    function_argument,
    instance_argument,
    key_selector_argument,
    refuse,
)
from millstream.datastream.collecting import CloseableIterator
from millstream.datastream.stream import Stream
from millstream.datastream.writing import WritableStream

if TYPE_CHECKING:
    from millstream.core.api.windows import WindowAssigner
    from millstream.datastream.connected_streams import ConnectedStreams
    from millstream.datastream.keyed_stream import KeyedStream
    from millstream.datastream.windowed_stream import AllWindowedStream

T = TypeVar("T")
OUT = TypeVar("OUT")


class DataStream(WritableStream, Generic[T]):
    """A stream of records of type ``T``."""

    # -- transformations ------------------------------------------------------------------------------------------

    def map(self, func: Callable[[T], OUT] | Any, output_type: Any = None) -> DataStream[OUT]:
        """One record out for each in."""
        function_argument(func, "map", "map")
        return self._derived(self._add("map", MapSpec(func), output_type=output_type or _returned(func, "map")))

    def flat_map(self, func: Any, output_type: Any = None) -> DataStream[Any]:
        """Any number out for each in: the function returns or yields an iterable, or returns None."""
        function_argument(func, "flat_map", "flat_map")
        return self._derived(self._add("flat_map", FlatMapSpec(func), output_type=output_type))

    def filter(self, func: Callable[[T], bool] | Any) -> DataStream[T]:
        """Keeps the records for which the function is true."""
        function_argument(func, "filter", "filter")
        return self._derived(self._add("filter", FilterSpec(func), output_type=self._node.output_type))

    def process(self, func: Any, output_type: Any = None) -> DataStream[Any]:
        """A ProcessFunction."""
        instance_argument(func, ("process_element",), "process", "ProcessFunction")
        if hasattr(func, "on_timer") and type(func).__mro__[1].__name__ == "KeyedProcessFunction":
            raise refuse("a KeyedProcessFunction needs a keyed stream: call key_by before process")
        return self._derived(self._add("process", ProcessSpec(func), output_type=output_type))

    def key_by(self, key_selector: Any, key_type: Any = None) -> KeyedStream[T]:
        """Records with the same key go to the same subtask of what follows.

        ``key_selector``: a function, a KeySelector, a tuple position, a field name, or a list of these.
        """
        from millstream.datastream.keyed_stream import KeyedStream

        selector = key_selector_argument(key_selector)
        return KeyedStream(self._environment, self._node, selector, united=self._united, side_output=self._side_output)

    def union(self, *streams: DataStream[T]) -> DataStream[T]:
        """All records of this and the other streams."""
        if not streams:
            raise refuse("union takes at least one other stream")
        parts: list[Stream] = []
        for stream in (self, *streams):
            if not isinstance(stream, DataStream):
                raise refuse(f"union takes streams, not {stream!r:.100}")
            if stream._environment is not self._environment:
                raise refuse("union takes streams of one environment")
            parts += stream._united or (stream,)
        return DataStream(self._environment, self._node, united=tuple(parts))

    def connect(self, ds: DataStream[Any]) -> ConnectedStreams:
        """Two streams of different kinds, for functions that see both."""
        from millstream.datastream.connected_streams import ConnectedStreams

        if not isinstance(ds, DataStream):
            raise refuse(f"connect takes a stream, not {ds!r:.100}")
        return ConnectedStreams(self, ds)

    def project(self, *field_indexes: int) -> DataStream[Any]:
        """Tuples of some fields."""
        if not field_indexes or not all(isinstance(index, int) for index in field_indexes):
            raise refuse("project takes tuple positions")

        def projection(value: Any) -> tuple[Any, ...]:
            return tuple([value[index] for index in field_indexes])

        projected: DataStream[Any] = self.map(projection)
        return projected.name("project")

    def assign_timestamps_and_watermarks(self, watermark_strategy: WatermarkStrategy) -> DataStream[T]:
        """Give records event times, and the stream watermarks."""
        if not isinstance(watermark_strategy, WatermarkStrategy):
            raise refuse(f"assign_timestamps_and_watermarks takes a WatermarkStrategy, not {watermark_strategy!r:.100}")
        spec = TimestampsAndWatermarksSpec(watermark_strategy)
        return self._derived(self._add("timestamps and watermarks", spec, output_type=self._node.output_type))

    def get_side_output(self, output_tag: OutputTag) -> DataStream[Any]:
        """What the operator sent to ``output_tag``."""
        if not isinstance(output_tag, OutputTag):
            raise refuse(f"get_side_output takes an OutputTag, not {output_tag!r:.100}")
        if self._united:
            raise refuse("a union has no side outputs; take them before union")
        return DataStream(self._environment, self._node, side_output=output_tag.tag_id)

    # -- windows without keys -------------------------------------------------------------------------------------

    def window_all(self, window_assigner: WindowAssigner[Any, Any]) -> AllWindowedStream:
        """Windows over all records, computed by one subtask."""
        from millstream.datastream.windowed_stream import AllWindowedStream

        return AllWindowedStream(self, window_assigner)

    def count_window_all(self, size: int, slide: int | None = None) -> AllWindowedStream:
        """Windows of ``size`` records, every ``slide`` records."""
        from millstream.datastream.windowed_stream import AllWindowedStream, count_assigner

        return AllWindowedStream(self, count_assigner(size, slide))

    # -- partitioning ---------------------------------------------------------------------------------------------

    def shuffle(self) -> DataStream[T]:
        """Each record to a random subtask."""
        return self._partitioned(Exchange.SHUFFLE)

    def rebalance(self) -> DataStream[T]:
        """Records evenly over all subtasks."""
        return self._partitioned(Exchange.REBALANCE)

    def rescale(self) -> DataStream[T]:
        """Records evenly over a share of the subtasks; cheaper than ``rebalance``."""
        return self._partitioned(Exchange.RESCALE)

    def broadcast(self) -> DataStream[T]:
        """Each record to every subtask."""
        return self._partitioned(Exchange.BROADCAST)

    def global_(self) -> DataStream[T]:
        """All records to the first subtask."""
        return self._partitioned(Exchange.GLOBAL)

    def forward(self) -> DataStream[T]:
        """Each subtask to the one of the same index; both operators need the same parallelism."""
        return self._partitioned(Exchange.FORWARD)

    def partition_custom(self, partitioner: Any, key_selector: Any) -> DataStream[T]:
        """``partitioner(key, number of subtasks)`` says which subtask."""
        function_argument(partitioner, "partition", "partition_custom")
        partition = partitioner.partition if hasattr(partitioner, "partition") else partitioner
        return DataStream(
            self._environment,
            self._node,
            exchange=Exchange.CUSTOM,
            explicit_exchange=True,
            side_output=self._side_output,
            key_selector=key_selector_argument(key_selector, "partition_custom"),
            custom_partitioner=partition,
            united=self._united,
        )

    # -- running --------------------------------------------------------------------------------------------------

    def execute_and_collect(self, job_execution_name: str | None = None, limit: int | None = None) -> Any:
        """Run the job and iterate over the records of this stream; with ``limit`` a list of that many at most."""
        node = self._add("collect", CollectSpec(), parallelism=None)
        job, operator_id = self._environment._submit_collecting(job_execution_name, node.node_id)
        results = CloseableIterator(job, operator_id, limit)
        if limit is None:
            return results
        with results:
            return list(results)

    # -- inner ----------------------------------------------------------------------------------------------------

    def _derived(self, node: Any) -> DataStream[Any]:
        return DataStream(self._environment, node)

    def _partitioned(self, exchange: Exchange) -> DataStream[T]:
        return DataStream(
            self._environment,
            self._node,
            exchange=exchange,
            explicit_exchange=True,
            side_output=self._side_output,
            united=self._united,
        )


def _returned(func: Any, method: str) -> Any:
    """The type a function's annotation promises, or None."""
    from millstream.core.api.types import infer_type

    target = getattr(func, method, func)
    annotations = getattr(target, "__annotations__", {})
    returned = annotations.get("return")
    return None if returned is None or isinstance(returned, str) else infer_type(returned)
