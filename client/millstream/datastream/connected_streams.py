"""``ConnectedStreams``: two streams into one operator (``pyflink.datastream.data_stream.ConnectedStreams``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millstream.core.graph.specs import (
    CoFlatMapSpec,
    CoMapSpec,
    CoProcessSpec,
    KeyedCoProcessSpec,
    KeySelectorCallable,
    OperatorSpec,
)
from millstream.core.graph.stream_graph import Exchange
from millstream.datastream.arguments import instance_argument, key_selector_argument, refuse

if TYPE_CHECKING:
    from millstream.datastream.data_stream import DataStream


class ConnectedStreams:
    """Its functions see records of both streams, and share state if both are keyed."""

    def __init__(self, first: DataStream[Any], second: DataStream[Any]) -> None:
        if first._environment is not second._environment:
            raise refuse("connect takes streams of one environment")
        self._first = first
        self._second = second

    def key_by(self, key_selector1: Any, key_selector2: Any, key_type: Any = None) -> ConnectedStreams:
        """Key both; keys of both must be of one kind."""
        key_selector_argument(key_selector1)
        key_selector_argument(key_selector2)
        return ConnectedStreams(self._first.key_by(key_selector1), self._second.key_by(key_selector2))

    def map(self, func: Any, output_type: Any = None) -> DataStream[Any]:
        """A CoMapFunction."""
        instance_argument(func, ("map1", "map2"), "map on connected streams", "CoMapFunction")
        return self._add("co-map", CoMapSpec(func), output_type)

    def flat_map(self, func: Any, output_type: Any = None) -> DataStream[Any]:
        """A CoFlatMapFunction."""
        instance_argument(func, ("flat_map1", "flat_map2"), "flat_map on connected streams", "CoFlatMapFunction")
        return self._add("co-flat-map", CoFlatMapSpec(func), output_type)

    def process(self, func: Any, output_type: Any = None) -> DataStream[Any]:
        """A CoProcessFunction, or on keyed streams a KeyedCoProcessFunction."""
        methods = ("process_element1", "process_element2")
        instance_argument(func, methods, "process on connected streams", "CoProcessFunction")
        if self._is_keyed():
            return self._add("co-process", KeyedCoProcessSpec(func), output_type)
        if hasattr(func, "on_timer"):
            raise refuse("a KeyedCoProcessFunction needs keyed streams: call key_by on both first")
        return self._add("co-process", CoProcessSpec(func), output_type)

    def _selectors(self) -> tuple[KeySelectorCallable | None, KeySelectorCallable | None]:
        return tuple(  # type: ignore[return-value]
            stream._key_selector if stream._exchange is Exchange.HASH else None
            for stream in (self._first, self._second)
        )

    def _is_keyed(self) -> bool:
        return all(selector is not None for selector in self._selectors())

    def _add(self, name: str, spec: OperatorSpec, output_type: Any) -> DataStream[Any]:
        selectors = self._selectors()
        edges = [*self._first._edges(0), *self._second._edges(1)]
        node = self._first._add(name, spec, key_selectors=selectors, output_type=output_type, edges=edges)
        return self._first._derived(node)
