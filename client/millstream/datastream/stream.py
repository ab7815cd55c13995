"""What all streams share: the node they come from, and settings of that node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from millstream.core.api.time import DurationLike, parse_duration_ms
from millstream.core.graph.specs import KeySelectorCallable, OperatorSpec
from millstream.core.graph.stream_graph import ChainingStrategy, Exchange, StreamEdge, StreamNode
from millstream.datastream.arguments import parallelism_argument, refuse

if TYPE_CHECKING:
    from millstream.datastream.stream_execution_environment import StreamExecutionEnvironment


class Stream:
    """The output (or one side output) of a node, with how it is handed on."""

    def __init__(
        self,
        environment: StreamExecutionEnvironment,
        node: StreamNode,
        *,
        exchange: Exchange = Exchange.FORWARD,
        explicit_exchange: bool = False,
        side_output: str = "",
        key_selector: KeySelectorCallable | None = None,
        custom_partitioner: Any = None,
        united: tuple[Stream, ...] = (),
    ) -> None:
        self._environment = environment
        self._node = node
        self._exchange = exchange
        self._explicit_exchange = explicit_exchange
        self._side_output = side_output
        self._key_selector = key_selector
        self._custom_partitioner = custom_partitioner
        self._united = united

    # -- building -----------------------------------------------------------------------------------------------------

    def _edges(self, input_index: int = 0) -> list[StreamEdge]:
        """One edge for each stream that this one stands for; the target is set when the consumer is known."""
        streams = self._united or (self,)
        return [
            StreamEdge(
                source=stream._node.node_id,
                target=0,
                exchange=stream._exchange if not self._explicit_exchange else self._exchange,
                input_index=input_index,
                side_output=stream._side_output,
                key_selector=self._key_selector or stream._key_selector,
                custom_partitioner=self._custom_partitioner or stream._custom_partitioner,
                explicit=self._explicit_exchange or stream._explicit_exchange,
            )
            for stream in streams
        ]

    def _add(
        self,
        name: str,
        spec: OperatorSpec,
        *,
        key_selectors: tuple[KeySelectorCallable | None, ...] = (None,),
        output_type: Any = None,
        parallelism: int | None = None,
        edges: list[StreamEdge] | None = None,
    ) -> StreamNode:
        """A node that consumes this stream."""
        return self._environment._builder.add(
            name, spec, parallelism, self._edges() if edges is None else edges, key_selectors, output_type
        )

    # -- settings of the operator ------------------------------------------------------------------------------------

    def get_name(self) -> str:
        return self._node.name

    def name(self, name: str) -> Self:
        """What plans, metrics and errors call the operator."""
        self._node.name = str(name)
        return self

    def uid(self, uid: str) -> Self:
        """An id that stays when the program changes; state is found by it."""
        nodes = self._environment._builder.graph.nodes.values()
        if any(node.uid == uid and node is not self._node for node in nodes):
            raise refuse(f"the uid {uid!r} is used twice; a uid names one operator")
        self._node.uid = str(uid)
        return self

    def set_description(self, description: str) -> Self:
        self._node.description = str(description)
        return self

    def set_parallelism(self, parallelism: int) -> Self:
        """How many subtasks the operator runs as."""
        self._node.parallelism = parallelism_argument(parallelism, "set_parallelism")
        return self

    def set_max_parallelism(self, max_parallelism: int) -> Self:
        """Its number of key groups, which bounds its parallelism for ever."""
        self._node.max_parallelism = parallelism_argument(max_parallelism, "set_max_parallelism")
        return self

    def force_non_parallel(self) -> Self:
        return self.set_parallelism(1)

    def set_buffer_timeout(self, timeout: DurationLike) -> Self:
        """How long small batches may wait for more."""
        self._node.buffer_timeout_ms = parse_duration_ms(timeout)
        return self

    def start_new_chain(self) -> Self:
        """Do not chain the operator to its input."""
        self._node.chaining = ChainingStrategy.HEAD
        return self

    def disable_chaining(self) -> Self:
        """Chain the operator to nothing."""
        self._node.chaining = ChainingStrategy.NEVER
        return self

    def slot_sharing_group(self, slot_sharing_group: str) -> Self:
        """Subtasks of different groups never share a slot."""
        self._node.slot_sharing_group = str(slot_sharing_group)
        return self

    def get_execution_environment(self) -> StreamExecutionEnvironment:
        return self._environment

    def get_parallelism(self) -> int:
        return self._node.parallelism or self._environment.get_parallelism()
