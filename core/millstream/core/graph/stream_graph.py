"""The stream graph: one node an API call, edges with partitioners. Pure data, built by ``millstream.datastream``."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from millstream.core.graph.specs import KeySelectorCallable, OperatorSpec

if TYPE_CHECKING:
    from millstream.core.api.types import TypeInformation


class Exchange(enum.Enum):
    """How records of one edge choose a consumer subtask. Values equal ``Exchange`` of ``job_graph.proto``."""

    FORWARD = 1
    HASH = 2
    REBALANCE = 3
    RESCALE = 4
    SHUFFLE = 5
    BROADCAST = 6
    GLOBAL = 7
    CUSTOM = 8


class ChainingStrategy(enum.Enum):
    """Whether a node may share a task with its only input."""

    ALWAYS = "always"
    HEAD = "head"
    """Starts a chain: others may follow, it does not join its input."""
    NEVER = "never"


@dataclass(frozen=True)
class KeptState:
    """What an operator keeps in state under one name."""

    name: str
    type: str
    """For people, in the words of SQL."""
    form: str
    """How it is stored: what was saved in one form does not fit another."""


@dataclass
class StreamEdge:
    source: int
    target: int
    exchange: Exchange
    input_index: int = 0
    side_output: str = ""
    key_selector: KeySelectorCallable | None = None
    custom_partitioner: Callable[[Any, int], int] | None = None
    explicit: bool = False
    """The user named the exchange; it is not the default."""


@dataclass
class StreamNode:
    node_id: int
    name: str
    spec: OperatorSpec
    parallelism: int
    max_parallelism: int | None = None
    parallelism_set: bool = False
    """The program set it for this operator."""
    uid: str | None = None
    chaining: ChainingStrategy = ChainingStrategy.ALWAYS
    slot_sharing_group: str = "default"
    key_selectors: tuple[KeySelectorCallable | None, ...] = (None,)
    output_type: TypeInformation | None = None
    defined_at: str = ""
    description: str | None = None
    states: tuple[KeptState, ...] = ()
    """As far as the plan tells: of SQL operators."""
    buffer_timeout_ms: int | None = None
    """None: the setting ``execution.buffer-timeout.interval``."""


@dataclass
class StreamGraph:
    job_name: str
    nodes: dict[int, StreamNode] = field(default_factory=dict)
    edges: list[StreamEdge] = field(default_factory=list)

    def inputs_of(self, node_id: int) -> list[StreamEdge]:
        return [edge for edge in self.edges if edge.target == node_id]

    def outputs_of(self, node_id: int) -> list[StreamEdge]:
        return [edge for edge in self.edges if edge.source == node_id]
