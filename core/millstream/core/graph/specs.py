"""Operator specifications: what the API says an operator does, without saying how.

The client builds these, they travel cloudpickled inside a ``VertexPayload``, and the TaskManager's operator registry
turns each into a running operator (``millstream.taskmanager.operators.registry``). They hold user functions; a plain
function is already wrapped by the API where the contract asks for a class, except that ``MapSpec``, ``FilterSpec``,
``FlatMapSpec``, ``ReduceSpec``, ``CoMapSpec`` and ``CoFlatMapSpec`` may hold the bare callable for speed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from millstream.core.api.broadcast_functions import BroadcastProcessFunction, KeyedBroadcastProcessFunction
    from millstream.core.api.functions import (
        AggregateFunction,
        CoFlatMapFunction,
        CoMapFunction,
        CoProcessFunction,
        FilterFunction,
        FlatMapFunction,
        KeyedCoProcessFunction,
        KeyedProcessFunction,
        MapFunction,
        ProcessFunction,
        ReduceFunction,
    )
    from millstream.core.api.sink import Sink
    from millstream.core.api.source import Source
    from millstream.core.api.state import MapStateDescriptor
    from millstream.core.api.watermarks import WatermarkStrategy
    from millstream.core.api.windows import Evictor, Trigger, WindowAssigner

KeySelectorCallable = Callable[[Any], Any]

AggregationKind = Literal["sum", "min", "max", "min_by", "max_by"]


@dataclass(frozen=True)
class OperatorSpec:
    """Base of all specifications."""

    @property
    def kind(self) -> str:
        """Short name for plans and metrics: ``MapSpec`` is ``map``."""
        name = type(self).__name__.removesuffix("Spec")
        return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))


@dataclass(frozen=True)
class MapSpec(OperatorSpec):
    function: MapFunction[Any, Any] | Callable[[Any], Any]


@dataclass(frozen=True)
class FilterSpec(OperatorSpec):
    function: FilterFunction[Any] | Callable[[Any], bool]


@dataclass(frozen=True)
class FlatMapSpec(OperatorSpec):
    """The function returns an iterable (or None for nothing)."""

    function: FlatMapFunction[Any, Any] | Callable[[Any], Any]


@dataclass(frozen=True)
class ProcessSpec(OperatorSpec):
    function: ProcessFunction


@dataclass(frozen=True)
class KeyedProcessSpec(OperatorSpec):
    function: KeyedProcessFunction


@dataclass(frozen=True)
class ReduceSpec(OperatorSpec):
    """Rolling reduce per key: emits the new value for every record."""

    function: ReduceFunction[Any] | Callable[[Any, Any], Any]


@dataclass(frozen=True)
class AggregationSpec(OperatorSpec):
    """Rolling ``sum``/``min``/``max`` (replace one field of the first record) or ``min_by``/``max_by`` (whole record).

    ``field``: tuple position, dict key, attribute name, or None for a scalar record.
    """

    aggregation: AggregationKind
    field: int | str | None
    key_column: str | None = None
    """Set by the translation where the input is columnar and keyed by this column."""


@dataclass(frozen=True)
class CoMapSpec(OperatorSpec):
    function: CoMapFunction


@dataclass(frozen=True)
class CoFlatMapSpec(OperatorSpec):
    function: CoFlatMapFunction


@dataclass(frozen=True)
class CoProcessSpec(OperatorSpec):
    function: CoProcessFunction


@dataclass(frozen=True)
class KeyedCoProcessSpec(OperatorSpec):
    function: KeyedCoProcessFunction


@dataclass(frozen=True)
class BroadcastProcessSpec(OperatorSpec):
    """Input 0 is any stream, input 1 the broadcast one."""

    function: BroadcastProcessFunction
    descriptors: tuple[MapStateDescriptor, ...]
    """Of the broadcast states."""


@dataclass(frozen=True)
class KeyedBroadcastProcessSpec(OperatorSpec):
    """Input 0 is the keyed stream, input 1 the broadcast one."""

    function: KeyedBroadcastProcessFunction
    descriptors: tuple[MapStateDescriptor, ...]


@dataclass(frozen=True)
class TimestampsAndWatermarksSpec(OperatorSpec):
    strategy: WatermarkStrategy


@dataclass(frozen=True)
class WindowSpec(OperatorSpec):
    """A window operator. Keyed unless ``all_windows`` (then every record has the key None).

    Contents are pre-aggregated when ``reduce``/``aggregate`` is given and there is no evictor, else kept as lists.
    ``function`` (a ProcessWindowFunction, WindowFunction, their All- variants, or None) sees the contents at fire;
    without it the reduced/aggregated value is emitted. ``aggregation`` is a built-in one (``window().sum(1)``).
    """

    assigner: WindowAssigner[Any, Any]
    trigger: Trigger[Any, Any] | None = None
    evictor: Evictor[Any] | None = None
    allowed_lateness_ms: int = 0
    late_tag: str | None = None
    reduce: ReduceFunction[Any] | Callable[[Any, Any], Any] | None = None
    aggregate: AggregateFunction[Any, Any, Any] | None = None
    aggregation: AggregationSpec | None = None
    function: Any = None
    all_windows: bool = False


@dataclass(frozen=True)
class SourceSpec(OperatorSpec):
    source: Source[Any]
    strategy: WatermarkStrategy | None = None


@dataclass(frozen=True)
class SinkSpec(OperatorSpec):
    sink: Sink


@dataclass(frozen=True)
class CollectSpec(OperatorSpec):
    """Sends its input to the JobManager, from where the client fetches it."""


@dataclass(frozen=True)
class ChainedOperator:
    """One operator of a vertex as the slot process needs it."""

    operator_id: str
    name: str
    spec: OperatorSpec
    key_selectors: tuple[KeySelectorCallable | None, ...] = (None,)
    """One an input; None where the input is not keyed."""
    inputs: tuple[tuple[str, str], ...] = ()
    """``(operator id, side output tag id or "")`` inside the same vertex that feed it; empty for the head."""
    defined_at: str = ""
    """``file:line`` of the user's call."""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputPayload:
    """What a producer needs to know of one job edge beyond its plan."""

    edge_id: int
    source_operator: str
    side_output: str = ""
    key_selector: KeySelectorCallable | None = None
    """For HASH and CUSTOM."""
    custom_partitioner: Callable[[Any, int], int] | None = None
    """``(key, number of partitions) -> partition``, for CUSTOM."""


@dataclass(frozen=True)
class VertexPayload:
    """All user code of one vertex; ``operators`` in topological order, the head first."""

    operators: tuple[ChainedOperator, ...]
    outputs: tuple[OutputPayload, ...] = ()
    generic_types: bool = True
    """False: values without a typed encoding are an error (``pipeline.generic-types``)."""
    buffer_timeout_ms: int = 100
