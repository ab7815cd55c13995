"""``ConnectedStreams``: two streams into one operator (``pyflink.datastream.data_stream.ConnectedStreams``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from millstream.core.api.functions import (
    CoFlatMapFunction,
    CoMapFunction,
    CoProcessFunction,
    Function,
    KeyedCoProcessFunction,
)
from millstream.core.api.plain_function import PlainFunction
from millstream.core.graph.specs import (
    CoFlatMapSpec,
    CoMapSpec,
    CoProcessSpec,
    KeyedCoProcessSpec,
    KeySelectorCallable,
    OperatorSpec,
)
from millstream.datastream.arguments import class_argument, function_argument
from millstream.datastream.call_site import refuse
from millstream.datastream.data_stream import DataStream
from millstream.datastream.inference import declared_type, element_type, returned_type
from millstream.datastream.keyed_stream import KeyedStream
from millstream.datastream.stream import Upstream

IN1 = TypeVar("IN1")
IN2 = TypeVar("IN2")


class ConnectedStreams(Generic[IN1, IN2]):
    """Its functions see records of both streams; if both are keyed, they share state and timers of the key."""

    def __init__(self, first: DataStream[IN1], second: DataStream[IN2]) -> None:
        self._first = first
        self._second = second

    def key_by(self, key_selector1: Any, key_selector2: Any, key_type: Any = None) -> ConnectedStreams[IN1, IN2]:
        """Key both. Keys of both must be of the same kind."""
        first = self._first.key_by(key_selector1, key_type)
        return ConnectedStreams(first, self._second.key_by(key_selector2, key_type))

    def map(
        self, func: CoMapFunction | tuple[Callable[[IN1], Any], Callable[[IN2], Any]], output_type: Any = None
    ) -> DataStream[Any]:
        """A CoMapFunction, or a pair of functions. What is None is dropped."""
        checked = self._pair(func, CoMapFunction, ("map1", "map2"), "map on connected streams", 1)
        found = declared_type(output_type, "map") or _same(returned_type(checked, m) for m in ("map1", "map2"))
        return self._add("co-map", CoMapSpec(checked), found)

    def flat_map(
        self, func: CoFlatMapFunction | tuple[Callable[[IN1], Any], Callable[[IN2], Any]], output_type: Any = None
    ) -> DataStream[Any]:
        """A CoFlatMapFunction, or a pair of functions."""
        methods = ("flat_map1", "flat_map2")
        checked = self._pair(func, CoFlatMapFunction, methods, "flat_map on connected streams", 1)
        found = declared_type(output_type, "flat_map") or _same(element_type(checked, m) for m in methods)
        return self._add("co-flat-map", CoFlatMapSpec(checked), found)

    def process(
        self,
        func: CoProcessFunction | KeyedCoProcessFunction | tuple[Callable[..., Any], Callable[..., Any]],
        output_type: Any = None,
    ) -> DataStream[Any]:
        """A CoProcessFunction, on keyed streams a KeyedCoProcessFunction, or a pair of functions of (value, ctx)."""
        methods = ("process_element1", "process_element2")
        base = KeyedCoProcessFunction if self._is_keyed else CoProcessFunction
        checked = self._pair(func, base, methods, "process on connected streams", 2)
        found = declared_type(output_type, "process") or _same(element_type(checked, m) for m in methods)
        if self._is_keyed:
            return self._add("co-process", KeyedCoProcessSpec(checked), found)
        if hasattr(checked, "on_timer"):
            raise refuse(
                f"{type(func).__name__} has timers, which need keys: call key_by(selector1, selector2) before process."
            )
        return self._add("co-process", CoProcessSpec(checked), found)

    @property
    def _is_keyed(self) -> bool:
        return isinstance(self._first, KeyedStream) and isinstance(self._second, KeyedStream)

    def _pair(self, func: Any, base: type[Function], methods: tuple[str, str], call: str, arguments: int) -> Any:
        if not isinstance(func, tuple):
            return class_argument(func, (base,), methods, call)
        if len(func) != 2:
            raise refuse(f"{call} takes a pair of functions, one a stream, not {len(func)}.")
        for function in func:
            function_argument(function, base, "", call, arguments)
        return PlainFunction(**dict(zip(methods, func, strict=True)))

    def _add(self, name: str, spec: OperatorSpec, output_type: Any) -> DataStream[Any]:
        streams = (self._first, self._second)
        selectors: tuple[KeySelectorCallable | None, ...] = tuple(
            stream._key_selector if self._is_keyed and isinstance(stream, KeyedStream) else None for stream in streams
        )
        edges = [*self._first._edges(0), *self._second._edges(1)]
        node = self._first._add(name, spec, key_selectors=selectors, output_type=output_type, edges=edges)
        return DataStream(self._first.get_execution_environment(), [Upstream(node)], output_type)


def _same(types: Any) -> Any:
    found = set(types)
    return found.pop() if len(found) == 1 else None
