"""All data connections of one slot process: brings the partitions and gates of its tasks together.

Everything happens inside ``Reactor.poll`` or in calls of the task loop, on one thread. Producers of this process are
read by reference through a ``LocalChannel``; those of others through ``Fetching``, whose counterpart there is
``Serving``.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass
from pathlib import Path

from millstream.core.clock import Clock
from millstream.core.errors import MillstreamError
from millstream.core.graph.exchanges import POINTWISE
from millstream.core.graph.specs import OutputPayload
from millstream.core.ids import ChannelId, PartitionId
from millstream.proto.v1 import common_pb2, taskmanager_pb2
from millstream.taskmanager.network.credit import BufferBudget, FloatingPool
from millstream.taskmanager.network.deadlines import Deadlines
from millstream.taskmanager.network.exchange import create_partitioner
from millstream.taskmanager.network.fetching import Fetching
from millstream.taskmanager.network.gate import InputChannel, InputGate, LocalChannel
from millstream.taskmanager.network.job_access import JobAccess
from millstream.taskmanager.network.listener import Listener
from millstream.taskmanager.network.memory import keep_freed_memory
from millstream.taskmanager.network.partition import ResultPartition
from millstream.taskmanager.network.reactor import Reactor
from millstream.taskmanager.network.registry import PartitionRegistry
from millstream.taskmanager.network.serving import Serving
from millstream.taskmanager.network.settings import NetworkSettings

__all__ = ["NetworkEnvironment", "NetworkSettings", "NetworkStatistics"]


@dataclass(frozen=True)
class NetworkStatistics:
    """Current numbers of the slot. ``buffers_free`` of ``buffers_total`` are not granted to any channel."""

    connections: int
    partitions: int
    waiting_consumers: int
    buffers_total: int
    buffers_free: int
    assembly_bytes: int


class NetworkEnvironment:
    """The data plane of one slot process.

    Example, in a process that has both ends::

        network = NetworkEnvironment(Reactor(), SystemClock(), NetworkSettings(), host_id="h", unix_path=None,
                                     tcp_host="127.0.0.1")
        network.listen()
        partition = network.create_partition(PartitionId(0, 0, 0), edge, payload, 0, 128, True, 100)
        gate = network.create_gate([input_edge], 0)
        partition.emit(ObjectBatch([1, 2, 3]))
        gate.poll()  # (0, ObjectBatch(3 rows))
    """

    def __init__(
        self,
        reactor: Reactor,
        clock: Clock,
        settings: NetworkSettings,
        *,
        host_id: str,
        unix_path: Path | None,
        tcp_host: str,
        tcp_port: int = 0,
        advertised_host: str = "",
        log: logging.Logger | None = None,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._job = JobAccess()
        self._deadlines = Deadlines()
        self._registry = PartitionRegistry(
            clock, self._deadlines, settings.partition_request_timeout_s, settings.channels_max
        )
        log = log or logging.getLogger("millstream.network")
        self._serving = Serving(self._job, self._registry, reactor, clock, self._deadlines, settings, log)
        self._fetching = Fetching(self._job, reactor, clock, self._deadlines, settings, host_id)
        self._listener = Listener(reactor, self._serving.accepted, unix_path, tcp_host, tcp_port, log)
        self._host_id = host_id
        self._advertised_host = advertised_host or tcp_host
        self._unix_path = unix_path
        self._budget = BufferBudget(settings.memory_bytes // settings.segment_bytes)
        self._holding: set[ResultPartition] = set()

    # -- set-up -------------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Bind. Raises ``ExternalError`` naming the address when it cannot."""
        keep_freed_memory()
        self._listener.listen()

    @property
    def address(self) -> common_pb2.DataAddress:
        """Where others reach this slot; complete after ``listen``."""
        return common_pb2.DataAddress(
            host_id=self._host_id,
            unix_path=str(self._unix_path or ""),
            tcp_host=self._advertised_host,
            tcp_port=self._listener.tcp_port,
        )

    def set_job(self, job_id: str, job_token: bytes) -> None:
        """The job whose slots may connect; connections that came early go on now."""
        self._job.job_id, self._job.job_token = job_id, job_token
        self._serving.job_set()

    # -- partitions and gates -----------------------------------------------------------------------------------

    def create_partition(
        self,
        partition: PartitionId,
        edge: taskmanager_pb2.OutputEdge,
        payload: OutputPayload,
        subtask_index: int,
        max_parallelism: int,
        generic_types: bool,
        buffer_timeout_ms: int,
    ) -> ResultPartition:
        """The output of one subtask on one edge; consumers that wait for it are attached."""
        key_groups = edge.consumer_max_parallelism or max_parallelism
        created = ResultPartition(
            partition,
            create_partitioner(edge, payload, subtask_index, key_groups, random.Random(subtask_index)),
            list(edge.consumers),
            queue_bytes_max=self._settings.queue_bytes_max,
            segment_bytes=self._settings.segment_bytes,
            buffer_timeout_ms=buffer_timeout_ms,
            generic_types=generic_types,
            clock=self._clock,
            on_holding=self._holding.add,
            in_turn=edge.exchange in POINTWISE,
        )
        self._registry.add(created)
        return created

    def create_gate(self, edges: list[taskmanager_pb2.InputEdge], consumer_index: int) -> InputGate:
        """One input of a subtask: a channel for each producer of each edge. Dials producers in other processes.

        Raises ``ConfigError`` when the slot has too few buffers for its channels.
        """
        own = self.address
        producers = [(edge.edge_id, producer) for edge in edges for producer in edge.channels]
        remote = sum(producer.address != own for _, producer in producers)
        exclusive = remote * self._settings.exclusive_buffers
        self._budget.reserve(exclusive, f"an input with {remote} remote channels", self._settings.segment_bytes)
        pool = FloatingPool(self._budget, self._settings.floating_buffers, remote)
        channels: list[InputChannel] = []
        for edge_id, producer in producers:
            channel_id = ChannelId(PartitionId(edge_id, producer.producer, producer.attempt), consumer_index)
            if producer.address == own:
                channels.append(self._open_local(channel_id))
            else:
                channels.append(self._fetching.open(channel_id, producer.address, pool))
        sources = [(edge_id, producer.producer) for edge_id, producer in producers]
        gate = InputGate(edges[0].input_index, channels, lambda: self._budget.unreserve(exclusive), sources)
        edges_in_turn = {edge.edge_id for edge in edges if edge.exchange in POINTWISE}
        gate.in_turn = frozenset(n for n, (edge_id, _) in enumerate(sources) if edge_id in edges_in_turn)
        return gate

    def _open_local(self, channel_id: ChannelId) -> LocalChannel:
        channel = LocalChannel()

        def producer_failed(failure: MillstreamError) -> None:
            self._fetching.fail_later([channel.fail], failure)

        channel.on_producer_failed = producer_failed
        self._registry.request(
            channel_id, lambda partition: channel.attach(partition.subpartitions[channel_id.consumer]), channel.fail
        )
        return channel

    def release_gate(self, gate: InputGate) -> None:
        """Its task has ended: producers drop what they hold for it. Idempotent."""
        gate.release()

    def release_partition(self, partition: ResultPartition) -> None:
        """Its task has ended. Consumers that did not get everything are told. Idempotent."""
        self._registry.remove(partition.partition_id)
        self._holding.discard(partition)
        partition.release()

    # -- time ---------------------------------------------------------------------------------------------------

    def on_time(self, now_s: float) -> None:
        """Time-outs, new attempts to connect, and rows held back for long enough. Cheap when nothing is due."""
        self._deadlines.run_due(now_s)
        if self._holding:
            for partition in list(self._holding):
                deadline_s = partition.flush_deadline()
                if deadline_s is None:
                    self._holding.discard(partition)
                elif deadline_s <= now_s:
                    self._holding.discard(partition)
                    partition.flush()

    def next_deadline(self) -> float | None:
        """Monotonic seconds of the next thing that ``on_time`` has to do."""
        deadlines = [d for partition in self._holding if (d := partition.flush_deadline()) is not None]
        planned_s = self._deadlines.next_s()
        if planned_s is not None:
            deadlines.append(planned_s)
        return min(deadlines, default=None)

    def statistics(self) -> NetworkStatistics:
        return NetworkStatistics(
            connections=self._serving.connections + self._fetching.connections,
            partitions=len(self._registry.partitions),
            waiting_consumers=len(self._registry),
            buffers_total=self._budget.total,
            buffers_free=self._budget.free,
            assembly_bytes=self._fetching.assembly_bytes,
        )

    def close(self) -> None:
        """Close all sockets; remove the Unix socket's file."""
        self._fetching.close()
        self._serving.close()
        self._listener.close()
