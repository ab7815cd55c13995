"""The operators of one task and how they hand batches to each other.

A chain is a tree: the head takes the task's input (or is a source), every other operator takes the output, or one side
output, of exactly one operator before it. What leaves the tree goes to result partitions. Handing on is a plain method
call; nothing is copied or serialised inside a chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from millstream.core.elements.batch import Batch
from millstream.core.elements.control import LatencyMarker, Watermark, WatermarkStatus
from millstream.core.errors import invariant
from millstream.core.graph.specs import ChainedOperator
from millstream.core.metrics.registry import OperatorMetricGroup
from millstream.taskmanager.network.partition import ResultPartition
from millstream.taskmanager.operators.operator import Operator
from millstream.taskmanager.task.context import TaskOperatorContext


class ChainOutput:
    """The ``Output`` of one operator: chained consumers first, then partitions."""

    def __init__(self, metrics: OperatorMetricGroup) -> None:
        self._metrics = metrics
        self._consumers: list[Link] = []
        self._side_consumers: dict[str, list[Link]] = {}
        self._partitions: list[ResultPartition] = []
        self._side_partitions: dict[str, list[ResultPartition]] = {}
        self._all_links: list[Link] = []
        self._all_partitions: list[ResultPartition] = []

    def connect(self, link: Link, tag_id: str) -> None:
        (self._side_consumers.setdefault(tag_id, []) if tag_id else self._consumers).append(link)
        self._all_links.append(link)

    def connect_partition(self, partition: ResultPartition, tag_id: str) -> None:
        (self._side_partitions.setdefault(tag_id, []) if tag_id else self._partitions).append(partition)
        self._all_partitions.append(partition)

    def emit(self, batch: Batch) -> None:
        rows = batch.num_rows
        if rows == 0:
            return
        self._metrics.records_out += rows
        for link in self._consumers:
            link.process(batch)
        for partition in self._partitions:
            partition.emit(batch)

    def emit_side(self, tag_id: str, batch: Batch) -> None:
        if batch.num_rows == 0:
            return
        for link in self._side_consumers.get(tag_id, ()):
            link.process(batch)
        for partition in self._side_partitions.get(tag_id, ()):
            partition.emit(batch)

    def emit_watermark(self, watermark: Watermark) -> None:
        for link in self._all_links:
            link.metrics.current_watermark_ms = watermark.timestamp_ms
            link.operator.process_watermark(watermark)
        for partition in self._all_partitions:
            partition.broadcast(watermark)

    def emit_status(self, status: WatermarkStatus) -> None:
        for link in self._all_links:
            link.operator.process_status(status)
        for partition in self._all_partitions:
            partition.broadcast(status)

    def emit_latency_marker(self, marker: LatencyMarker) -> None:
        for link in self._all_links:
            link.operator.process_latency_marker(marker)
        for partition in self._all_partitions:
            partition.broadcast(marker)


@dataclass(frozen=True, slots=True)
class Link:
    """The way into one operator of the chain."""

    operator: Operator
    metrics: OperatorMetricGroup

    def process(self, batch: Batch) -> None:
        self.metrics.records_in += batch.num_rows
        self.operator.process(batch, 0)


@dataclass
class ChainMember:
    """An operator with what surrounds it."""

    chained: ChainedOperator
    operator: Operator
    context: TaskOperatorContext
    output: ChainOutput


@dataclass
class OperatorChain:
    """All operators of a task in topological order, the head first."""

    members: list[ChainMember] = field(default_factory=list)

    @property
    def head(self) -> ChainMember:
        return self.members[0]

    def output_of(self, operator_id: str) -> ChainOutput:
        """The output of the operator ``operator_id``."""
        for member in self.members:
            if member.chained.operator_id == operator_id:
                return member.output
        known = ", ".join(member.chained.operator_id for member in self.members)
        invariant(False, f"an edge leaves operator {operator_id}, which is not among {known}")
        raise AssertionError


def build_chain(
    operators: list[ChainedOperator],
    create: Callable[[ChainedOperator], Operator],
    create_context: Callable[[ChainedOperator, int], TaskOperatorContext],
) -> OperatorChain:
    """Create the operators (not opened yet) and connect them. ``operators`` is in topological order."""
    chain = OperatorChain()
    for index, chained in enumerate(operators):
        context = create_context(chained, index)
        member = ChainMember(chained, create(chained), context, ChainOutput(context.metrics))
        for source_id, tag_id in chained.inputs:
            chain.output_of(source_id).connect(Link(member.operator, context.metrics), tag_id)
        invariant(index == 0 or bool(chained.inputs), f"operator {chained.name} has no input inside its chain")
        chain.members.append(member)
    return chain
