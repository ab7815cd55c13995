"""Windowed streams (``pyflink.datastream.data_stream.WindowedStream`` and ``AllWindowedStream``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from millstream.core.api.output_tag import OutputTag
from millstream.core.api.time import DurationLike, parse_duration_ms
from millstream.core.api.windows import (
    CountSlidingWindowAssigner,
    CountTumblingWindowAssigner,
    WindowAssigner,
)
from millstream.core.graph.specs import AggregationKind, AggregationSpec, KeySelectorCallable, WindowSpec
from millstream.datastream.arguments import instance_argument, reduce_argument, refuse

if TYPE_CHECKING:
    from millstream.core.api.windows import Evictor, Trigger
    from millstream.datastream.data_stream import DataStream

_AGGREGATE = ("create_accumulator", "add", "get_result")


class WindowedStreamBase:
    """Collects the parts of a window operation; the last call adds the operator."""

    _all_windows = False

    def __init__(
        self,
        stream: DataStream[Any],
        assigner: WindowAssigner[Any, Any],
        key_selector: KeySelectorCallable | None = None,
    ) -> None:
        if not isinstance(assigner, WindowAssigner):
            raise refuse(
                f"window takes a window assigner such as TumblingEventTimeWindows.of(...), not {assigner!r:.100}"
            )
        self._stream = stream
        self._assigner = assigner
        self._key_selector = key_selector
        self._trigger: Trigger[Any, Any] | None = None
        self._evictor: Evictor[Any] | None = None
        self._allowed_lateness_ms = 0
        self._late_tag: str | None = None

    def trigger(self, trigger: Trigger[Any, Any]) -> Self:
        """When a window fires, instead of the assigner's own trigger."""
        instance_argument(trigger, ("on_element",), "trigger", "Trigger")
        self._trigger = trigger
        return self

    def evictor(self, evictor: Evictor[Any]) -> Self:
        """What is removed from a window before or after its function sees it."""
        instance_argument(evictor, ("evict_before",), "evictor", "Evictor")
        self._evictor = evictor
        return self

    def allowed_lateness(self, time_ms: DurationLike) -> Self:
        """How long windows are kept for late records after the watermark passed their end."""
        self._allowed_lateness_ms = parse_duration_ms(time_ms)
        if self._allowed_lateness_ms < 0:
            raise refuse("allowed_lateness must not be negative")
        return self

    def side_output_late_data(self, output_tag: OutputTag) -> Self:
        """Where records go that come too late for any window."""
        if not isinstance(output_tag, OutputTag):
            raise refuse(f"side_output_late_data takes an OutputTag, not {output_tag!r:.100}")
        self._late_tag = output_tag.tag_id
        return self

    def reduce(self, reduce_function: Any, window_function: Any = None, output_type: Any = None) -> DataStream[Any]:
        """One value a window; ``window_function`` sees it with its window."""
        function = reduce_argument(reduce_function, "reduce")
        return self._add("reduce", output_type, reduce=function, function=self._window_function(window_function))

    def aggregate(
        self,
        aggregate_function: Any,
        window_function: Any = None,
        accumulator_type: Any = None,
        output_type: Any = None,
    ) -> DataStream[Any]:
        """An AggregateFunction; ``window_function`` sees its result with the window."""
        instance_argument(aggregate_function, _AGGREGATE, "aggregate", "AggregateFunction")
        function = self._window_function(window_function)
        return self._add("aggregate", output_type, aggregate=aggregate_function, function=function)

    def apply(self, window_function: Any, output_type: Any = None) -> DataStream[Any]:
        """A WindowFunction over all elements of a window."""
        instance_argument(window_function, ("apply",), "apply", "WindowFunction")
        return self._add("apply", output_type, function=window_function)

    def process(self, process_window_function: Any, output_type: Any = None) -> DataStream[Any]:
        """A ProcessWindowFunction over all elements of a window."""
        instance_argument(process_window_function, ("process",), "process", "ProcessWindowFunction")
        return self._add("process", output_type, function=process_window_function)

    def sum(self, position_to_sum: int | str | None = None) -> DataStream[Any]:
        return self._aggregation("sum", position_to_sum)

    def min(self, position_to_min: int | str | None = None) -> DataStream[Any]:
        return self._aggregation("min", position_to_min)

    def max(self, position_to_max: int | str | None = None) -> DataStream[Any]:
        return self._aggregation("max", position_to_max)

    def min_by(self, position_to_min_by: int | str | None = None) -> DataStream[Any]:
        return self._aggregation("min_by", position_to_min_by)

    def max_by(self, position_to_max_by: int | str | None = None) -> DataStream[Any]:
        return self._aggregation("max_by", position_to_max_by)

    def _window_function(self, function: Any) -> Any:
        if function is not None and not hasattr(function, "process") and not hasattr(function, "apply"):
            raise refuse(f"a window function is a ProcessWindowFunction or a WindowFunction, not {function!r:.100}")
        return function

    def _aggregation(self, kind: AggregationKind, field: int | str | None) -> DataStream[Any]:
        return self._add(kind, None, aggregation=AggregationSpec(kind, field))

    def _add(self, what: str, output_type: Any, **parts: Any) -> DataStream[Any]:
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
            parallelism=1 if self._all_windows else None,
        )
        return self._stream._derived(node)


class WindowedStream(WindowedStreamBase):
    """Windows of a keyed stream."""


class AllWindowedStream(WindowedStreamBase):
    """Windows over all records, in one subtask."""

    _all_windows = True


def count_assigner(size: int, slide: int | None) -> WindowAssigner[Any, Any]:
    """Windows by number of records."""
    if slide is None:
        return CountTumblingWindowAssigner.of(size)
    return CountSlidingWindowAssigner.of(size, slide)
