"""The ``RuntimeContext`` of user functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from millstream.core.api.functions import Counter, Distribution, Meter, MetricGroup, RuntimeContext
from millstream.core.api.state import StateDescriptor
from millstream.core.errors import JobGraphError
from millstream.core.graph.specs import ChainedOperator
from millstream.core.subtask_names import subtask_name
from millstream.taskmanager.operators.declared_types import DeclaredTypes
from millstream.taskmanager.operators.operator import OperatorContext
from millstream.taskmanager.operators.user_code import wrap_user_error
from millstream.taskmanager.state.backend import KeyedStateBackend


class StateStore:
    """``KeyedStateStore`` over a backend, in one namespace."""

    def __init__(self, backend: KeyedStateBackend, namespace: Any = None) -> None:
        self._backend = backend
        self._namespace = namespace

    def get_state(self, state_descriptor: StateDescriptor) -> Any:
        return self._backend.state(state_descriptor, self._namespace)

    get_list_state = get_map_state = get_reducing_state = get_aggregating_state = get_state


class OperatorRuntimeContext(RuntimeContext):
    """What a function learns at ``open``. Keyed state only where the stream is keyed."""

    def __init__(
        self, context: OperatorContext, backend: KeyedStateBackend | None = None, types: DeclaredTypes | None = None
    ) -> None:
        """``types``: of the keyed states, to be checked."""
        self._context = context
        self._backend = backend
        self._types = types

    def get_task_name(self) -> str:
        return self._context.chained.name

    def get_number_of_parallel_subtasks(self) -> int:
        return self._context.parallelism

    def get_max_number_of_parallel_subtasks(self) -> int:
        return self._context.max_parallelism

    def get_index_of_this_subtask(self) -> int:
        return self._context.subtask_index

    def get_attempt_number(self) -> int:
        return self._context.attempt

    def get_task_name_with_subtasks(self) -> str:
        context = self._context
        return subtask_name(context.chained.name, context.subtask_index, context.parallelism)

    def get_job_parameter(self, key: str, default_value: str) -> str:
        parameters = self._context.configuration.get("pipeline.global-job-parameters") or {}
        return str(parameters.get(key, default_value))

    def get_metrics_group(self) -> MetricGroup:
        return OperatorUserMetrics(self._context)

    def _state(self, state_descriptor: StateDescriptor) -> Any:
        if self._backend is None:
            raise JobGraphError(
                f"the operator {self._context.chained.name!r} asks for the keyed state {state_descriptor.name!r}, but "
                f"its stream is not keyed. Call key_by before it."
            )
        state = self._backend.state(state_descriptor)
        if self._types is not None:
            self._types.declare(state_descriptor)
        return state

    get_state = get_list_state = get_map_state = get_reducing_state = get_aggregating_state = _state


class OperatorUserMetrics(MetricGroup):
    """User metrics of one operator; ``prefix`` ends in an underscore or is empty."""

    def __init__(self, context: OperatorContext, prefix: str = "") -> None:
        self._context = context
        self._metrics = context.metrics
        self._prefix = prefix

    def add_group(self, name: str, extra: str | None = None) -> MetricGroup:
        inner = f"{name}_" if extra is None else f"{name}_{extra}_"
        return OperatorUserMetrics(self._context, self._prefix + inner)

    def counter(self, name: str) -> Counter:
        return _UserCounter(self._metrics.add, f"user_{self._prefix}{name}_total")

    def gauge(self, name: str, obj: Callable[[], float]) -> None:
        self._metrics.gauge(f"user_{self._prefix}{name}", lambda: float(obj()))

    def meter(self, name: str, time_span_in_seconds: int = 60) -> Meter:
        return _UserMeter(self.counter(name))

    def distribution(self, name: str) -> Distribution:
        return _UserDistribution(self, name)


class _UserCounter(Counter):
    def __init__(self, add: Callable[[str, float], None], name: str) -> None:
        self._add = add
        self._name = name
        self._count = 0

    def inc(self, n: int = 1) -> None:
        self._count += n
        self._add(self._name, n)

    def dec(self, n: int = 1) -> None:
        self.inc(-n)

    def get_count(self) -> int:
        return self._count


class _UserMeter(Meter):
    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def mark_event(self, value: int = 1) -> None:
        self._counter.inc(value)

    def get_count(self) -> int:
        return self._counter.get_count()


class _UserDistribution(Distribution):
    """``name_count`` and ``name_sum`` from the start; ``name_min`` and ``name_max`` from the first value."""

    def __init__(self, group: OperatorUserMetrics, name: str) -> None:
        self._group = group
        self._name = name
        self._count = 0
        self._sum = self._smallest = self._largest = 0.0
        group.gauge(f"{name}_count", lambda: self._count)
        group.gauge(f"{name}_sum", lambda: self._sum)

    def update(self, value: float) -> None:
        if self._count == 0:
            self._smallest = self._largest = value
            self._group.gauge(f"{self._name}_min", lambda: self._smallest)
            self._group.gauge(f"{self._name}_max", lambda: self._largest)
        self._count += 1
        self._sum += value
        self._smallest = min(self._smallest, value)
        self._largest = max(self._largest, value)


class FunctionLife:
    """Opens and closes the functions of an operator, each once, and names the one that fails."""

    def __init__(self, chained: ChainedOperator, functions: Iterable[Any]) -> None:
        self._chained = chained
        self._functions = [function for function in functions if function is not None]
        self._opened: list[Any] = []

    def open(self, runtime_context: RuntimeContext) -> None:
        for function in self._functions:
            self._opened.append(function)
            if hasattr(function, "open") and not isinstance(function, type):
                self._call(function, function.open, runtime_context)

    def close(self) -> None:
        """Close what was opened, the last first; all are closed even if one fails."""
        opened, self._opened = self._opened, []
        failure: Exception | None = None
        for function in reversed(opened):
            if hasattr(function, "close") and not isinstance(function, type):
                try:
                    self._call(function, function.close)
                except Exception as error:
                    failure = failure or error
        if failure is not None:
            raise failure

    def _call(self, function: Any, method: Callable[..., Any], *arguments: Any) -> None:
        try:
            method(*arguments)
        except Exception as error:
            raise wrap_user_error(error, chained=self._chained, function=method) from error
