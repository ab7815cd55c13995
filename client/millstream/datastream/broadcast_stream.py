"""The broadcast state pattern (``BroadcastStream`` and ``BroadcastConnectedStream`` of ``pyflink.datastream``)."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from millstream.core.api.broadcast_functions import BroadcastProcessFunction, KeyedBroadcastProcessFunction
from millstream.core.api.functions import Function
from millstream.core.api.state import MapStateDescriptor
from millstream.core.graph.specs import BroadcastProcessSpec, KeyedBroadcastProcessSpec, OperatorSpec
from millstream.datastream.arguments import class_argument
from millstream.datastream.call_site import refuse
from millstream.datastream.data_stream import DataStream
from millstream.datastream.inference import declared_type, element_type
from millstream.datastream.keyed_stream import KeyedStream
from millstream.datastream.stream import Upstream

IN1 = TypeVar("IN1")
IN2 = TypeVar("IN2")
_METHODS = ("process_element", "process_broadcast_element")


class BroadcastStream(Generic[IN2]):
    """Each record goes to every subtask, and may change the broadcast states there. For ``connect``."""

    def __init__(self, stream: DataStream[IN2], descriptors: tuple[MapStateDescriptor, ...]) -> None:
        names = [descriptor.name for descriptor in descriptors]
        for name in names:
            if names.count(name) > 1:
                raise refuse(f"broadcast takes states of different names, not {name!r} twice.")
        self._stream = stream
        self._descriptors = descriptors


class BroadcastConnectedStream(Generic[IN1, IN2]):
    """A stream, keyed or not, with a broadcast one."""

    def __init__(self, stream: DataStream[IN1], broadcast: BroadcastStream[IN2]) -> None:
        self._first = stream
        self._broadcast = broadcast

    def process(
        self, func: BroadcastProcessFunction | KeyedBroadcastProcessFunction, output_type: Any = None
    ) -> DataStream[Any]:
        """A KeyedBroadcastProcessFunction where the first stream is keyed, else a BroadcastProcessFunction."""
        keyed = self._first if isinstance(self._first, KeyedStream) else None
        checked = self._checked(func, keyed is not None)
        types = {element_type(checked, method) for method in _METHODS}
        found = declared_type(output_type, "process") or (types.pop() if len(types) == 1 else None)
        descriptors = self._broadcast._descriptors
        spec: OperatorSpec
        if keyed is not None:
            spec = KeyedBroadcastProcessSpec(checked, descriptors)
        else:
            spec = BroadcastProcessSpec(checked, descriptors)
        node = self._first._add(
            "broadcast-process",
            spec,
            key_selectors=(None if keyed is None else keyed._key_selector, None),
            output_type=found,
            edges=[*self._first._edges(0), *self._broadcast._stream._edges(1)],
        )
        return DataStream(self._first.get_execution_environment(), [Upstream(node)], found)

    def _checked(self, func: Any, is_keyed: bool) -> Any:
        bases: list[type[Function]] = [BroadcastProcessFunction, KeyedBroadcastProcessFunction]
        wanted, other = reversed(bases) if is_keyed else bases
        call = "process with a broadcast stream"
        if isinstance(func, other) and not isinstance(func, wanted):
            name = type(func).__name__
            if is_keyed:
                raise refuse(f"{call} takes a {wanted.__name__} on a keyed stream, and {name} is a {other.__name__}.")
            raise refuse(f"{name} is a {other.__name__}, which needs keys: call key_by before connect.")
        checked = class_argument(func, (wanted,), _METHODS, call)
        for method in _METHODS:
            if getattr(type(checked), method, None) is getattr(wanted, method):
                raise refuse(f"{type(checked).__name__} does not define {method}, which {call} calls.")
        if is_keyed and not hasattr(checked, "on_timer"):
            raise refuse(f"{type(checked).__name__} should be a {wanted.__name__}: inherit it.")
        if not is_keyed and hasattr(checked, "on_timer"):
            raise refuse(f"{type(checked).__name__} has timers, which need keys: call key_by before connect.")
        return checked
