"""From the exchange of an edge to its partitioner."""

from __future__ import annotations

import random

from millstream.core.errors import invariant
from millstream.core.graph.specs import OutputPayload
from millstream.core.table.specs import ColumnKey
from millstream.proto.v1 import job_graph_pb2, taskmanager_pb2
from millstream.taskmanager.network.partitioners import (
    ByColumns,
    ByFunction,
    ByKey,
    Partitioner,
    RoundRobin,
    Shuffle,
    ToAll,
    ToOne,
)


def create_partitioner(
    edge: taskmanager_pb2.OutputEdge,
    payload: OutputPayload,
    subtask_index: int,
    max_parallelism: int,
    generator: random.Random,
) -> Partitioner:
    """``max_parallelism``: the consumer's number of key groups. ``generator`` serves shuffle only."""
    consumers = len(edge.consumers)
    match edge.exchange:
        case job_graph_pb2.EXCHANGE_FORWARD | job_graph_pb2.EXCHANGE_GLOBAL:
            return ToOne()
        case job_graph_pb2.EXCHANGE_HASH:
            invariant(payload.key_selector is not None, f"edge {edge.edge_id} hashes but has no key selector")
            assert payload.key_selector is not None
            if isinstance(payload.key_selector, ColumnKey):
                return ByColumns(payload.key_selector, max_parallelism, consumers)
            return ByKey(payload.key_selector, max_parallelism, consumers)
        case job_graph_pb2.EXCHANGE_REBALANCE | job_graph_pb2.EXCHANGE_RESCALE:
            return RoundRobin(consumers, subtask_index)
        case job_graph_pb2.EXCHANGE_SHUFFLE:
            return Shuffle(consumers, generator)
        case job_graph_pb2.EXCHANGE_BROADCAST:
            return ToAll(consumers)
        case job_graph_pb2.EXCHANGE_CUSTOM:
            invariant(payload.custom_partitioner is not None, f"edge {edge.edge_id} has no custom partitioner")
            assert payload.custom_partitioner is not None
            return ByFunction(payload.custom_partitioner, payload.key_selector, consumers)
    invariant(False, f"edge {edge.edge_id} has the unknown exchange {edge.exchange}")
    raise AssertionError
