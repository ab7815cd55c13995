"""From a specification to its operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from millstream.core.api.functions import Function
from millstream.core.errors import invariant
from millstream.core.graph import specs
from millstream.core.graph.specs import ChainedOperator
from millstream.taskmanager.operators.broadcast import BroadcastProcessOperator, KeyedBroadcastProcessOperator
from millstream.taskmanager.operators.checkpointed import CheckpointedOperator, checkpointed_functions
from millstream.taskmanager.operators.collect import CollectOperator
from millstream.taskmanager.operators.function_states import FunctionStates
from millstream.taskmanager.operators.operator import Operator, SourceOperator
from millstream.taskmanager.operators.per_row import (
    CoFlatMapOperator,
    CoMapOperator,
    KeyedFilterOperator,
    KeyedFlatMapOperator,
    KeyedMapOperator,
)
from millstream.taskmanager.operators.process import KeyedProcessOperator, ProcessOperator
from millstream.taskmanager.operators.reduce import AggregationOperator, ReduceOperator
from millstream.taskmanager.operators.sink import SinkOperator
from millstream.taskmanager.operators.source import ReadOperator
from millstream.taskmanager.operators.stateless import FilterOperator, FlatMapOperator, MapOperator
from millstream.taskmanager.operators.table.registry import create_table_operator, is_table_spec
from millstream.taskmanager.operators.timestamps import TimestampsOperator
from millstream.taskmanager.operators.window import create_window_operator

_OPERATORS: Final[dict[type, Callable[[ChainedOperator, Any], Operator]]] = {
    specs.MapSpec: MapOperator,
    specs.FilterSpec: FilterOperator,
    specs.FlatMapSpec: FlatMapOperator,
    specs.ProcessSpec: ProcessOperator,
    specs.CoProcessSpec: ProcessOperator,
    specs.KeyedProcessSpec: KeyedProcessOperator,
    specs.KeyedCoProcessSpec: KeyedProcessOperator,
    specs.ReduceSpec: ReduceOperator,
    specs.AggregationSpec: AggregationOperator,
    specs.CoMapSpec: CoMapOperator,
    specs.CoFlatMapSpec: CoFlatMapOperator,
    specs.TimestampsAndWatermarksSpec: TimestampsOperator,
    specs.WindowSpec: lambda chained, spec: create_window_operator(chained),
    specs.SourceSpec: ReadOperator,
    specs.SinkSpec: SinkOperator,
    specs.CollectSpec: CollectOperator,
}

_KEYED_OPERATORS: Final[dict[type, Callable[[ChainedOperator, Any], Operator]]] = {
    specs.MapSpec: KeyedMapOperator,
    specs.FilterSpec: KeyedFilterOperator,
    specs.FlatMapSpec: KeyedFlatMapOperator,
}
"""For functions that can ask for keyed state, on streams that have keys."""

_BROADCAST_OPERATORS: Final[dict[type, Callable[[ChainedOperator, Any, FunctionStates], Operator]]] = {
    specs.BroadcastProcessSpec: BroadcastProcessOperator,
    specs.KeyedBroadcastProcessSpec: KeyedBroadcastProcessOperator,
}
"""They have operator state whatever their functions are."""


def create_operator(chained: ChainedOperator) -> Operator:
    """A new operator, not opened."""
    if is_table_spec(chained.spec):
        return create_table_operator(chained)
    create_broadcast = _BROADCAST_OPERATORS.get(type(chained.spec))
    if create_broadcast is not None:
        states = FunctionStates(chained.name)
        return CheckpointedOperator(chained, create_broadcast(chained, chained.spec, states), states)
    operator = _create_plain(chained)
    if isinstance(operator, SourceOperator) or not checkpointed_functions(chained.spec):
        return operator
    return CheckpointedOperator(chained, operator, FunctionStates(chained.name))


def _create_plain(chained: ChainedOperator) -> Operator:
    create = _OPERATORS.get(type(chained.spec))
    if isinstance(getattr(chained.spec, "function", None), Function) and chained.key_selectors[0] is not None:
        create = _KEYED_OPERATORS.get(type(chained.spec), create)
    invariant(create is not None, f"no operator for a {type(chained.spec).__name__} ({chained.name})")
    assert create is not None
    return create(chained, chained.spec)
