"""What all streams share: the operators they come from, how records leave those, and settings of the operator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn, Self

from millstream.core.api.time import DurationLike, parse_duration_ms
from millstream.core.api.types import TypeInformation
from millstream.core.errors import PicklingError
from millstream.core.graph.specs import KeySelectorCallable, OperatorSpec
from millstream.core.graph.stream_graph import ChainingStrategy, Exchange, StreamEdge, StreamNode
from millstream.datastream.arguments import parallelism_argument, text_argument
from millstream.datastream.call_site import refuse
from millstream.datastream.program import UNSET, ParallelismLimit
from millstream.datastream.slot_sharing_group import SlotSharingGroup

if TYPE_CHECKING:
    from millstream.datastream.stream_execution_environment import StreamExecutionEnvironment


@dataclass(frozen=True)
class Upstream:
    """One operator (or one side output of it) that a stream consists of, and how its records are handed on."""

    node: StreamNode
    side_output: str = ""
    exchange: Exchange | None = None
    """None: forward where parallelism allows, else rebalance."""
    key_selector: KeySelectorCallable | None = None
    custom_partitioner: Any = None

    def edge(self, input_index: int) -> StreamEdge:
        """Towards a consumer that is not known yet."""
        return StreamEdge(
            source=self.node.node_id,
            target=0,
            exchange=self.exchange or Exchange.FORWARD,
            input_index=input_index,
            side_output=self.side_output,
            key_selector=self.key_selector,
            custom_partitioner=self.custom_partitioner,
            explicit=self.exchange is not None,
        )


class Stream:
    """One upstream, or several after ``union``."""

    def __init__(
        self,
        environment: StreamExecutionEnvironment,
        upstreams: Iterable[Upstream],
        record_type: TypeInformation | None,
    ) -> None:
        self._environment = environment
        self._upstreams = tuple(upstreams)
        self._record_type = record_type

    # -- building -----------------------------------------------------------------------------------------------------

    def _edges(self, input_index: int = 0) -> list[StreamEdge]:
        return [upstream.edge(input_index) for upstream in self._upstreams]

    def _add(
        self,
        name: str,
        spec: OperatorSpec,
        *,
        key_selectors: tuple[KeySelectorCallable | None, ...] = (None,),
        output_type: TypeInformation | None = None,
        limit: ParallelismLimit | None = None,
        edges: list[StreamEdge] | None = None,
    ) -> StreamNode:
        """An operator that consumes this stream."""
        return self._environment._program.add(
            name,
            spec,
            self._edges() if edges is None else edges,
            key_selectors=key_selectors,
            output_type=output_type,
            limit=limit,
        )

    def _handed_on(self, **changes: Any) -> tuple[Upstream, ...]:
        return tuple(replace(upstream, **changes) for upstream in self._upstreams)

    def _operator(self, call: str) -> StreamNode:
        """The operator whose setting ``call`` changes."""
        first = self._upstreams[0]
        if len(self._upstreams) > 1 or first.side_output or first.exchange is not None:
            raise refuse(
                f"{call} is a setting of an operator, and this stream is none: it only says how records are handed on "
                f"(key_by, union, get_side_output, rebalance, ...). Call {call} on the operator before or after it."
            )
        return first.node

    def __reduce__(self) -> NoReturn:
        raise PicklingError(f"a {type(self).__name__} cannot travel: functions see records, not streams")

    # -- settings of the operator -------------------------------------------------------------------------------------

    def get_name(self) -> str:
        """What plans, metrics and errors call the operator."""
        return self._upstreams[0].node.name

    def name(self, name: str) -> Self:
        """Set what plans, metrics and errors call the operator."""
        self._operator("name").name = text_argument(name, "name")
        return self

    def uid(self, uid: str) -> Self:
        """Set an id, unique in the job, by which state finds its operator when the program has changed."""
        self._operator("uid").uid = text_argument(uid, "uid")
        return self

    def set_description(self, description: str) -> Self:
        """Set a longer text for plans."""
        self._operator("set_description").description = text_argument(description, "set_description")
        return self

    def set_parallelism(self, parallelism: int) -> Self:
        """Set how many subtasks the operator runs as."""
        node = self._operator("set_parallelism")
        number = parallelism_argument(parallelism, "set_parallelism")
        limit = self._environment._program.limits.get(node.node_id)
        if limit is not None and number > limit.most:
            raise refuse(f"{node.name!r} can have parallelism {limit.most} at most, not {number}: {limit.reason}.")
        node.parallelism = number
        return self

    def get_parallelism(self) -> int:
        """How many subtasks the operator runs as; asks the cluster for its slots if nobody has set it."""
        set_here = self._upstreams[0].node.parallelism
        return set_here if set_here != UNSET else self._environment.get_parallelism()

    def set_max_parallelism(self, max_parallelism: int) -> Self:
        """Set its number of key groups, which bounds its parallelism for as long as its state lives."""
        number = parallelism_argument(max_parallelism, "set_max_parallelism")
        self._operator("set_max_parallelism").max_parallelism = number
        return self

    def force_non_parallel(self) -> Self:
        """One subtask, whatever is set later."""
        node = self._operator("force_non_parallel")
        node.parallelism = node.max_parallelism = 1
        self._environment._program.limits[node.node_id] = ParallelismLimit(1, "force_non_parallel was called")
        return self

    def set_buffer_timeout(self, timeout_millis: DurationLike) -> Self:
        """Set how long records may wait for others to fill a batch: 0 for not at all, -1 for the default."""
        timeout_ms = parse_duration_ms(timeout_millis)
        self._operator("set_buffer_timeout").buffer_timeout_ms = None if timeout_ms == -1 else timeout_ms
        return self

    def start_new_chain(self) -> Self:
        """Do not chain the operator to its input."""
        self._operator("start_new_chain").chaining = ChainingStrategy.HEAD
        return self

    def disable_chaining(self) -> Self:
        """Chain the operator to nothing."""
        self._operator("disable_chaining").chaining = ChainingStrategy.NEVER
        return self

    def slot_sharing_group(self, slot_sharing_group: str | SlotSharingGroup) -> Self:
        """Subtasks of different groups never share a slot. By default an operator is in the group of its inputs."""
        name = slot_sharing_group.get_name() if isinstance(slot_sharing_group, SlotSharingGroup) else slot_sharing_group
        self._operator("slot_sharing_group").slot_sharing_group = text_argument(name, "slot_sharing_group")
        return self

    def get_execution_environment(self) -> StreamExecutionEnvironment:
        return self._environment

    def get_type(self) -> TypeInformation | None:
        """The type of the records as far as it is declared or inferred; None if it is not known."""
        return self._record_type
