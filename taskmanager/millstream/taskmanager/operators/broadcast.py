"""Process functions on a stream connected with a broadcast one: input 0 is the stream, input 1 the broadcast one.

Broadcast state is operator state, which ``CheckpointedOperator`` saves and restores; here are the operators that give
functions access to it, read-only where not all subtasks would make the same change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

from millstream.core.api.broadcast_functions import (
    BroadcastContext,
    BroadcastReadOnlyContext,
    KeyedBroadcastContext,
    KeyedBroadcastReadOnlyContext,
    KeyedBroadcastTimerContext,
)
from millstream.core.api.operator_state import ReadOnlyBroadcastState
from millstream.core.api.state import MapStateDescriptor, StateDescriptor
from millstream.core.elements.batch import Batch
from millstream.core.errors import JobGraphError
from millstream.core.graph.specs import BroadcastProcessSpec, ChainedOperator, KeyedBroadcastProcessSpec
from millstream.taskmanager.operators.function_states import FunctionStates, OperatorBroadcastState
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.process import (
    KeyedContext,
    KeyedProcessOperator,
    ProcessOperator,
    UnkeyedContext,
    times_of,
)
from millstream.taskmanager.operators.rows import as_rows
from millstream.taskmanager.operators.user_code import NO_RECORD, wrap_user_error


class BroadcastProcessOperator(ProcessOperator):
    """``process_element`` and ``process_broadcast_element`` without keys."""

    def __init__(self, chained: ChainedOperator, spec: BroadcastProcessSpec, states: FunctionStates) -> None:
        super().__init__(chained, spec)
        self.broadcast_states = BroadcastStates(chained, spec.descriptors, states)

    def open(self, context: OperatorContext, output: Output) -> None:
        self.broadcast_states.open()
        super().open(context, output)
        self._contexts = (_ReadOnlyContext(self), _WritingContext(self))

    def process(self, batch: Batch, input_index: int) -> None:
        self._context = self._contexts[input_index]
        super().process(batch, input_index)


class KeyedBroadcastProcessOperator(KeyedProcessOperator):
    """``process_element`` and ``on_timer`` with keyed state, ``process_broadcast_element`` without."""

    def __init__(self, chained: ChainedOperator, spec: KeyedBroadcastProcessSpec, states: FunctionStates) -> None:
        super().__init__(chained, spec)
        self.broadcast_states = BroadcastStates(chained, spec.descriptors, states)

    def open(self, context: OperatorContext, output: Output) -> None:
        self.broadcast_states.open()
        super().open(context, output)
        self._broadcast_context = _KeyedWritingContext(self)

    def new_context(self) -> KeyedContext:
        return _KeyedReadOnlyContext(self)

    def process(self, batch: Batch, input_index: int) -> None:
        if input_index == 0:
            super().process(batch, 0)
        else:
            self._process_broadcast(batch)

    def _process_broadcast(self, batch: Batch) -> None:
        rows = as_rows(batch)
        method, context = self._methods[1], self._broadcast_context
        value: Any = NO_RECORD
        try:
            for value, time_ms in zip(rows.values, times_of(rows), strict=True):
                self.backend.current_key = _NO_KEY
                context.time_ms = time_ms
                returned = method(value, context)
                if returned is not None:
                    self._collector.take(returned, time_ms)
        except Exception as error:
            raise wrap_user_error(error, chained=self.chained, function=method, record=value) from error
        self._collector.flush()


class BroadcastStates:
    """The broadcast states that ``broadcast`` was called with, by descriptor."""

    def __init__(
        self, chained: ChainedOperator, descriptors: tuple[MapStateDescriptor, ...], states: FunctionStates
    ) -> None:
        self._operator_name = chained.name
        self._descriptors = descriptors
        self._states = states
        self._writable: dict[str, OperatorBroadcastState] = {}
        self._read_only: dict[str, _ReadOnlyState] = {}

    def open(self) -> None:
        for descriptor in self._descriptors:
            state = self._states.get_broadcast_state(descriptor)
            self._writable[descriptor.name] = state
            self._read_only[descriptor.name] = _ReadOnlyState(descriptor.name, state)

    def writable(self, descriptor: MapStateDescriptor) -> OperatorBroadcastState:
        return self._writable.get(descriptor.name) or self._refuse(descriptor)

    def read_only(self, descriptor: MapStateDescriptor) -> ReadOnlyBroadcastState[Any, Any]:
        return self._read_only.get(descriptor.name) or self._refuse(descriptor)

    def _refuse(self, descriptor: MapStateDescriptor) -> NoReturn:
        known = ", ".join(map(repr, self._writable))
        raise JobGraphError(
            f"the operator {self._operator_name!r} asks for the broadcast state {descriptor.name!r}, but broadcast was "
            f"called with {known}. Give it the descriptor of {descriptor.name!r} too."
        )


class _ReadOnlyState(ReadOnlyBroadcastState[Any, Any]):
    """Refuses changes: they would be made on one subtask only."""

    def __init__(self, name: str, state: OperatorBroadcastState) -> None:
        self._name = name
        self._state = state

    def get(self, key: Any) -> Any:
        return self._state.entries.get(key)

    def contains(self, key: Any) -> bool:
        return key in self._state.entries

    def items(self) -> Iterator[tuple[Any, Any]]:
        return self._state.items()

    def keys(self) -> Iterator[Any]:
        return self._state.keys()

    def values(self) -> Iterator[Any]:
        return self._state.values()

    def is_empty(self) -> bool:
        return not self._state.entries

    def put(self, *arguments: Any) -> NoReturn:
        raise JobGraphError(
            f"the broadcast state {self._name!r} can be changed in process_broadcast_element only: there every "
            f"subtask makes the same change."
        )

    put_all = remove = clear = __setitem__ = __delitem__ = put


class _ReadOnlyContext(UnkeyedContext, BroadcastReadOnlyContext):
    def __init__(self, operator: BroadcastProcessOperator) -> None:
        super().__init__(operator)
        self._states = operator.broadcast_states

    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> ReadOnlyBroadcastState[Any, Any]:
        return self._states.read_only(state_descriptor)


class _WritingContext(UnkeyedContext, BroadcastContext):
    def __init__(self, operator: BroadcastProcessOperator) -> None:
        super().__init__(operator)
        self._states = operator.broadcast_states

    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> OperatorBroadcastState:
        return self._states.writable(state_descriptor)


class _KeyedReadOnlyContext(KeyedContext, KeyedBroadcastReadOnlyContext, KeyedBroadcastTimerContext):
    def __init__(self, operator: KeyedBroadcastProcessOperator) -> None:
        super().__init__(operator)
        self._states = operator.broadcast_states

    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> ReadOnlyBroadcastState[Any, Any]:
        return self._states.read_only(state_descriptor)


class _KeyedWritingContext(KeyedBroadcastContext):
    """One object for all broadcast records; there is no key, and so no keyed state and no timer."""

    def __init__(self, operator: KeyedBroadcastProcessOperator) -> None:
        self._operator = operator
        self.time_ms: int | None = None

    def timestamp(self) -> int | None:
        return self.time_ms

    def current_processing_time(self) -> int:
        return self._operator.context.clock.wall_ms()

    def current_watermark(self) -> int:
        return self._operator.watermark_ms

    def get_broadcast_state(self, state_descriptor: MapStateDescriptor) -> OperatorBroadcastState:
        return self._operator.broadcast_states.writable(state_descriptor)

    def apply_to_keyed_state(self, state_descriptor: StateDescriptor, function: Callable[[Any, Any], None]) -> None:
        backend = self._operator.backend
        apply = getattr(function, "process", function)
        state = backend.state(state_descriptor)
        for key in backend.keys_of(state_descriptor):
            backend.focus(key)
            apply(key, state)
        backend.current_key = _NO_KEY


class _NoKey:
    """Stands for the key where there is none: keyed state that is asked for it says so."""

    def __hash__(self) -> int:
        raise JobGraphError(
            "process_broadcast_element uses keyed state, but a broadcast record has no key. Go through the keys with "
            "ctx.apply_to_keyed_state(descriptor, function)."
        )


_NO_KEY: Final = _NoKey()
