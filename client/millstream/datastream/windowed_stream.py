"""``WindowedStream`` and ``AllWindowedStream`` (``pyflink.datastream.data_stream``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from millstream.core.api.functions import (
    AggregateFunction,
    AllWindowFunction,
    Function,
    ProcessAllWindowFunction,
    ProcessWindowFunction,
    ReduceFunction,
    WindowFunction,
)
from millstream.core.api.output_tag import OutputTag
from millstream.core.api.time import DurationLike, parse_duration_ms
from millstream.core.api.windows import Evictor, MergingWindowAssigner, Trigger, WindowAssigner
from millstream.core.graph.specs import AggregationKind, KeySelectorCallable, WindowSpec
from millstream.datastream.arguments import class_argument, function_argument, instance_argument
from millstream.datastream.call_site import refuse
from millstream.datastream.inference import declared_type, element_type, returned_type
from millstream.datastream.program import ParallelismLimit
from millstream.datastream.stream import Upstream

if TYPE_CHECKING:
    from millstream.core.api.types import TypeInformation
    from millstream.datastream.data_stream import DataStream
    from millstream.datastream.keyed_stream import KeyedStream
    from millstream.datastream.stream_execution_environment import StreamExecutionEnvironment

T = TypeVar("T")


class WindowedStreamBase(Generic[T]):
    """Collects the parts of a window operation; the call that says what to compute adds the operator."""

    _all_windows = False
    _apply_base: type[Function] = WindowFunction
    _process_base: type[Function] = ProcessWindowFunction
    _extra_arguments = 1
    """The key."""

    def __init__(
        self, stream: DataStream[T], assigner: WindowAssigner[Any, Any], key_selector: KeySelectorCallable | None
    ) -> None:
        self._stream = stream
        self._assigner = assigner
        self._key_selector = key_selector
        self._trigger: Trigger[Any, Any] | None = None
        self._evictor: Evictor[Any] | None = None
        self._allowed_lateness_ms = 0
        self._late_tag: str | None = None

    def get_execution_environment(self) -> StreamExecutionEnvironment:
        return self._stream.get_execution_environment()

    def get_input_type(self) -> TypeInformation | None:
        """The type of the records, None if unknown."""
        return self._stream.get_type()

    # -- how windows behave -------------------------------------------------------------------------------------------

    def trigger(self, trigger: Trigger[Any, Any]) -> Self:
        """When windows fire, instead of the assigner's own trigger."""
        self._trigger = instance_argument(trigger, Trigger, "trigger", "CountTrigger.of(100)")
        if isinstance(self._assigner, MergingWindowAssigner) and not trigger.can_merge():
            raise refuse(f"{self._assigner!r} merges windows, which {trigger!r} cannot follow: can_merge() is false.")
        return self

    def evictor(self, evictor: Evictor[Any]) -> Self:
        """What is removed from a window before or after its function sees it."""
        self._evictor = instance_argument(evictor, Evictor, "evictor", "CountEvictor.of(100)")
        return self

    def allowed_lateness(self, time_ms: DurationLike) -> Self:
        """How long windows are kept for late records after the watermark has passed their end."""
        lateness_ms = parse_duration_ms(time_ms)
        if lateness_ms < 0:
            raise refuse(f"allowed_lateness must not be negative, and is {lateness_ms} ms.")
        self._allowed_lateness_ms = lateness_ms
        return self

    def side_output_late_data(self, output_tag: OutputTag) -> Self:
        """Where records go that come too late for any window; read it with ``get_side_output`` of the result."""
        self._late_tag = instance_argument(output_tag, OutputTag, "side_output_late_data", "OutputTag('late')").tag_id
        return self

    # -- what is computed ---------------------------------------------------------------------------------------------

    def reduce(
        self,
        reduce_function: Callable[[T, T], T] | ReduceFunction[T],
        window_function: Any = None,
        output_type: Any = None,
    ) -> DataStream[Any]:
        """One value a window; ``window_function``, if given, sees it with the window."""
        function_argument(reduce_function, ReduceFunction, "reduce", "reduce", 2)
        declared = declared_type(output_type, "reduce")
        if window_function is None:
            return self._add("reduce", declared or self._stream.get_type(), reduce=reduce_function)
        function, found = self._window_function(window_function, "reduce")
        return self._add("reduce", declared or found, reduce=reduce_function, function=function)

    def aggregate(
        self,
        aggregate_function: AggregateFunction[T, Any, Any],
        window_function: Any = None,
        accumulator_type: Any = None,
        output_type: Any = None,
    ) -> DataStream[Any]:
        """The result of an AggregateFunction a window; ``window_function``, if given, sees it with the window."""
        methods = ("create_accumulator", "add", "get_result")
        class_argument(aggregate_function, (AggregateFunction,), methods, "aggregate")
        self._check_merge(aggregate_function)
        declared_type(accumulator_type, "aggregate")
        declared = declared_type(output_type, "aggregate")
        if window_function is None:
            found = declared or returned_type(aggregate_function, "get_result")
            return self._add("aggregate", found, aggregate=aggregate_function)
        function, yielded = self._window_function(window_function, "aggregate")
        return self._add("aggregate", declared or yielded, aggregate=aggregate_function, function=function)

    def apply(self, window_function: Any, output_type: Any = None) -> DataStream[Any]:
        """A WindowFunction over all records of a window, or a function of its arguments."""
        checked = class_argument(window_function, (self._apply_base,), ("apply",), "apply", self._extra_arguments + 2)
        found = declared_type(output_type, "apply") or element_type(checked, "apply")
        return self._add("apply", found, function=checked)

    def process(self, process_window_function: Any, output_type: Any = None) -> DataStream[Any]:
        """A ProcessWindowFunction over all records of a window, or a function of its arguments."""
        checked = class_argument(
            process_window_function, (self._process_base,), ("process",), "process", self._extra_arguments + 2
        )
        found = declared_type(output_type, "process") or element_type(checked, "process")
        return self._add("process", found, function=checked)

    def sum(self, position_to_sum: int | str = 0) -> DataStream[T]:
        """The sum of a field; the other fields are those of the window's first record."""
        return self._aggregation("sum", position_to_sum)

    def min(self, position_to_min: int | str = 0) -> DataStream[T]:
        """The least value of a field; the other fields are those of the window's first record."""
        return self._aggregation("min", position_to_min)

    def max(self, position_to_max: int | str = 0) -> DataStream[T]:
        """The greatest value of a field; the other fields are those of the window's first record."""
        return self._aggregation("max", position_to_max)

    def min_by(self, position_to_min_by: int | str = 0) -> DataStream[T]:
        """The whole record with the least value of a field."""
        return self._aggregation("min_by", position_to_min_by)

    def max_by(self, position_to_max_by: int | str = 0) -> DataStream[T]:
        """The whole record with the greatest value of a field."""
        return self._aggregation("max_by", position_to_max_by)

    # -- inner --------------------------------------------------------------------------------------------------------

    def _window_function(self, function: Any, call: str) -> tuple[Any, TypeInformation | None]:
        """A function behind an incremental one, with the type of what it yields; plain ones are like ``process``."""
        method = "apply" if hasattr(function, "apply") and not hasattr(function, "process") else "process"
        bases = (self._apply_base,) if method == "apply" else (self._process_base, self._apply_base)
        checked = class_argument(
            function, bases, (method,), f"{call} with a window function", self._extra_arguments + 2
        )
        return checked, element_type(checked, method)

    def _check_merge(self, function: Any) -> None:
        if not isinstance(self._assigner, MergingWindowAssigner) or not isinstance(function, AggregateFunction):
            return
        if type(function).merge is AggregateFunction.merge:
            raise refuse(f"{self._assigner!r} merges windows: {type(function).__name__} must define merge.")

    def _aggregation(self, kind: AggregationKind, field: int | str) -> DataStream[T]:
        from millstream.datastream.keyed_stream import aggregation_spec

        record_type = self._stream.get_type()
        return self._add(kind, record_type, aggregation=aggregation_spec(kind, field, record_type))

    def _add(self, what: str, output_type: TypeInformation | None, **parts: Any) -> DataStream[Any]:
        from millstream.datastream.data_stream import DataStream

        spec = WindowSpec(
            assigner=self._assigner,
            trigger=self._trigger,
            evictor=self._evictor,
            allowed_lateness_ms=self._allowed_lateness_ms,
            late_tag=self._late_tag,
            all_windows=self._all_windows,
            **parts,
        )
        node = self._stream._add(
            f"window {what}",
            spec,
            key_selectors=(self._key_selector,),
            output_type=output_type,
            limit=ParallelismLimit(1, "windows over all records are computed by one subtask")
            if self._all_windows
            else None,
        )
        return DataStream(self._stream.get_execution_environment(), [Upstream(node)], output_type)


class WindowedStream(WindowedStreamBase[T]):
    """Windows of each key."""

    def __init__(self, stream: KeyedStream[T], assigner: WindowAssigner[Any, Any]) -> None:
        super().__init__(stream, assigner, stream._key_selector)


class AllWindowedStream(WindowedStreamBase[T]):
    """Windows over all records, in one subtask."""

    _all_windows = True
    _apply_base = AllWindowFunction
    _process_base = ProcessAllWindowFunction
    _extra_arguments = 0

    def __init__(self, stream: DataStream[T], assigner: WindowAssigner[Any, Any]) -> None:
        super().__init__(stream, assigner, None)
