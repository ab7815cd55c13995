"""All data connections of one slot process: listens, dials, and brings partitions and gates together.

Everything happens inside ``Reactor.poll`` or in calls of the task loop, on one thread. Channel numbers are the dialling
side's: it opens channel 1, 2, ... on each connection and names the partition it wants.
"""

from __future__ import annotations

import logging
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgpack

from millstream.core.clock import Clock
from millstream.core.errors import ExternalError, UnavailableError
from millstream.core.graph.specs import OutputPayload
from millstream.core.ids import ChannelId, PartitionId
from millstream.proto.v1 import common_pb2, taskmanager_pb2
from millstream.taskmanager.network.compression import Compression
from millstream.taskmanager.network.connection import Connection
from millstream.taskmanager.network.credit import BufferBudget, FloatingPool, ReceiverCredit
from millstream.taskmanager.network.dialler import Dialler
from millstream.taskmanager.network.exchange import create_partitioner
from millstream.taskmanager.network.frames import Frame, FrameError, FrameKind
from millstream.taskmanager.network.gate import InputChannel, InputGate, LocalChannel, ReceivingChannel
from millstream.taskmanager.network.listener import Listener
from millstream.taskmanager.network.partition import ResultPartition
from millstream.taskmanager.network.reactor import Reactor
from millstream.taskmanager.network.sending import SendingChannel
from millstream.taskmanager.network.settings import NetworkSettings

__all__ = ["NetworkEnvironment", "NetworkSettings"]


@dataclass(frozen=True)
class NetworkStatistics:
    connections: int
    partitions: int
    buffers_total: int
    buffers_free: int


@dataclass
class _Peer:
    """The channels of one connection, by number: sending on accepted ones, receiving on dialled ones."""

    sending: dict[int, tuple[ChannelId, SendingChannel]] = field(default_factory=dict)
    receiving: dict[int, ReceivingChannel] = field(default_factory=dict)
    next_channel: int = 1


@dataclass
class _Waiting:
    """A consumer that came before its partition."""

    deadline_s: float
    attach: Callable[[ResultPartition], None]
    refuse: Callable[[str], None]


class NetworkEnvironment:
    """The data plane of one slot process."""

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
        self.job_id = ""
        self.job_token = b""
        self._reactor = reactor
        self._clock = clock
        self._settings = settings
        self._log = log or logging.getLogger("millstream.network")
        self._listener = Listener(reactor, self._accepted, unix_path, tcp_host, tcp_port, self._log)
        self._dialler = Dialler(host_id, clock, settings.partition_request_timeout_s)
        self._host_id = host_id
        self._advertised_host = advertised_host or tcp_host
        self._unix_path = unix_path
        self._connections: dict[Connection, _Peer] = {}
        self._dialled: dict[str, Connection] = {}
        self._partitions: dict[PartitionId, ResultPartition] = {}
        self._waiting: dict[ChannelId, _Waiting] = {}
        self._compression = Compression(settings.compression, settings.message_bytes_max)
        self._budget = BufferBudget(max(1, settings.memory_bytes // settings.segment_bytes))

    # -- set-up -------------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Bind. Raises ``ExternalError`` naming the address when it cannot."""
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
        self.job_id, self.job_token = job_id, job_token
        for connection in list(self._connections):
            connection.advance_handshake()

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
        partitioner = create_partitioner(edge, payload, subtask_index, key_groups, random.Random(subtask_index))
        created = ResultPartition(
            partition,
            partitioner,
            list(edge.consumers),
            queue_bytes_max=4 * self._settings.segment_bytes,
            merge_bytes=self._settings.segment_bytes,
            buffer_timeout_s=buffer_timeout_ms / 1000,
            generic_types=generic_types,
            clock=self._clock,
        )
        self._partitions[partition] = created
        for consumer in edge.consumers:
            waiting = self._waiting.pop(ChannelId(partition, consumer), None)
            if waiting is not None:
                waiting.attach(created)
        return created

    def create_gate(self, edges: list[taskmanager_pb2.InputEdge], consumer_index: int) -> InputGate:
        """One input of a subtask: a channel for each producer of each edge. Dials producers in other processes."""
        own = self.address
        producers = [(edge.edge_id, producer) for edge in edges for producer in edge.channels]
        remote = sum(producer.address != own for _, producer in producers)
        exclusive = remote * self._settings.exclusive_buffers
        self._budget.reserve(exclusive, f"an input with {remote} remote channels", self._settings.segment_bytes)
        pool = FloatingPool(self._budget, self._settings.floating_buffers)
        channels: list[InputChannel] = []
        for edge_id, producer in producers:
            channel_id = ChannelId(PartitionId(edge_id, producer.producer, producer.attempt), consumer_index)
            if producer.address == own:
                channels.append(self._open_local(channel_id))
            else:
                channels.append(self._open_remote(channel_id, producer.address, pool))
        return InputGate(edges[0].input_index, channels, lambda: self._budget.give(exclusive))

    def release_gate(self, gate: InputGate) -> None:
        """Its task has ended: producers drop what they hold for it."""
        gate.release()

    def release_partition(self, partition: ResultPartition) -> None:
        """Its task has ended. Consumers that did not get everything are told."""
        self._partitions.pop(partition.partition_id, None)
        for consumer, subpartition in partition.subpartitions.items():
            if subpartition.is_drained():
                continue
            reader = partition.readers.get(consumer)
            if reader is not None:
                reader.fail("the producer ended before its data was taken")
            subpartition.abandon()

    def _open_local(self, channel_id: ChannelId) -> LocalChannel:
        channel = LocalChannel()

        def attach(partition: ResultPartition) -> None:
            channel.attach(partition.subpartitions[channel_id.consumer])

        def refuse(reason: str) -> None:
            channel.failure = UnavailableError(reason)

        self._attach_or_wait(channel_id, attach, refuse)
        return channel

    def _open_remote(
        self, channel_id: ChannelId, address: common_pb2.DataAddress, pool: FloatingPool
    ) -> ReceivingChannel:
        credit = ReceiverCredit(self._settings.exclusive_buffers, pool)
        channel = ReceivingChannel(
            f"channel {channel_id}", credit, self._settings.message_bytes_max, self._compression.decompress
        )
        connection = self._connection_to(address)
        if connection is None:
            channel.fail(UnavailableError(f"no connection to the producer of {channel_id} at {_name(address)}"))
            return channel
        peer = self._connections[connection]
        number = peer.next_channel
        peer.next_channel += 1
        peer.receiving[number] = channel
        channel.announce = lambda amount: connection.send(FrameKind.CREDIT, number, 0, amount)
        channel.send_close = lambda: self._close_channel(connection, number)
        wanted = msgpack.packb([*channel_id.partition, channel_id.consumer])

        def open_channel() -> None:
            connection.send(FrameKind.OPEN, number, 0, self._settings.exclusive_buffers, wanted)

        self._dialler.when_established(connection, open_channel)
        return channel

    def _close_channel(self, connection: Connection, number: int) -> None:
        connection.send(FrameKind.CLOSE, number, 0, 0)
        peer = self._connections.get(connection)
        if peer is not None:
            peer.receiving.pop(number, None)

    def _attach_or_wait(
        self, channel_id: ChannelId, attach: Callable[[ResultPartition], None], refuse: Callable[[str], None]
    ) -> None:
        partition = self._partitions.get(channel_id.partition)
        if partition is not None and channel_id.consumer in partition.subpartitions:
            attach(partition)
            return
        deadline_s = self._clock.monotonic_s() + self._settings.partition_request_timeout_s
        self._waiting[channel_id] = _Waiting(deadline_s, attach, refuse)

    # -- connections --------------------------------------------------------------------------------------------

    def _connection_to(self, address: common_pb2.DataAddress) -> Connection | None:
        """The connection to that slot, dialled if there is none yet."""
        name = _name(address)
        existing = self._dialled.get(name)
        if existing is not None and not existing.closed:
            return existing
        sock = self._dialler.dial(address)
        if sock is None:
            return None
        connection = self._connection(sock, dialled=True, peer=name)
        self._dialled[name] = connection
        return connection

    def _accepted(self, sock: socket.socket, peer: str) -> None:
        unauthenticated = sum(not connection.established for connection in self._connections)
        if unauthenticated >= self._settings.unauthenticated_connections_max:
            self._log.warning("refused a data connection from %s: too many that have not authenticated", peer)
            sock.close()
            return
        self._connection(sock, dialled=False, peer=peer)

    def _connection(self, sock: socket.socket, *, dialled: bool, peer: str) -> Connection:
        # A peer may be deployed before this slot has its job, so the handshake may last as long as a partition request.
        patient = dialled or not self.job_id
        timeout_s = self._settings.partition_request_timeout_s if patient else self._settings.handshake_timeout_s
        connection = Connection(
            sock,
            self._reactor,
            self,
            dialled=dialled,
            peer=peer,
            segment_bytes=self._settings.segment_bytes,
            deadline_s=self._clock.monotonic_s() + timeout_s,
        )
        if not connection.closed:
            self._connections[connection] = _Peer()
        return connection

    # -- ConnectionOwner ----------------------------------------------------------------------------------------

    def on_established(self, connection: Connection) -> None:
        self._dialler.established(connection)

    def on_frame(self, connection: Connection, frame: Frame) -> None:
        """Hand a frame to its channel. Raises ``FrameError`` for one that this side does not expect."""
        peer = self._connections[connection]
        if connection.dialled:
            self._receive(peer, frame)
            return
        match frame.kind:
            case FrameKind.OPEN:
                self._serve(connection, peer, frame)
            case FrameKind.CREDIT:
                served = peer.sending.get(frame.channel)
                if served is not None:
                    served[1].add_credit(frame.number)
            case FrameKind.CLOSE:
                closed = peer.sending.pop(frame.channel, None)
                if closed is not None:
                    closed[1].acknowledge_end()
            case _:
                raise FrameError(f"a consumer sent a {frame.kind.name} frame")

    def on_writable(self, connection: Connection) -> None:
        """The socket took everything: channels may encode more."""
        for _, channel in list(self._connections[connection].sending.values()):
            channel.pump(flush=True)

    def on_closed(self, connection: Connection, reason: str, authenticated: bool) -> None:
        peer = self._connections.pop(connection, None)
        self._dialler.forget(connection)
        if not authenticated and not connection.dialled:
            self._log.warning("closed a data connection from %s before it authenticated: %s", connection.peer, reason)
        if peer is None:
            return
        for channel in peer.receiving.values():
            channel.fail(ExternalError(f"the data connection to the slot at {connection.peer} was lost: {reason}"))
        for _, sender in peer.sending.values():
            sender.closed = True

    def _receive(self, peer: _Peer, frame: Frame) -> None:
        channel = peer.receiving.get(frame.channel)
        match frame.kind:
            case FrameKind.DATA | FrameKind.DATA_MORE | FrameKind.CONTROL:
                if channel is not None:
                    channel.receive(frame)
            case FrameKind.REFUSE | FrameKind.ERROR:
                if channel is not None:
                    channel.fail(ExternalError(f"{channel.name}: {frame.payload.decode(errors='replace')}"))
            case _:
                raise FrameError(f"a producer sent a {frame.kind.name} frame")

    def _serve(self, connection: Connection, peer: _Peer, frame: Frame) -> None:
        """A consumer wants a partition."""
        try:
            edge, producer, attempt, consumer = map(int, msgpack.unpackb(frame.payload))
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise FrameError(f"a request for a partition is damaged: {error}") from error
        channel_id = ChannelId(PartitionId(edge, producer, attempt), consumer)

        def attach(partition: ResultPartition) -> None:
            if connection.closed:
                return
            sender = SendingChannel(
                frame.channel,
                partition.subpartitions[consumer],
                connection,
                self._settings.segment_bytes,
                partition.generic_types,
                self._compression.compress,
                partition.fail,
            )
            peer.sending[frame.channel] = (channel_id, sender)
            partition.readers[consumer] = sender
            sender.add_credit(frame.number)

        def refuse(reason: str) -> None:
            connection.send(FrameKind.REFUSE, frame.channel, 0, 0, reason.encode()[:4096])

        self._attach_or_wait(channel_id, attach, refuse)

    # -- time ---------------------------------------------------------------------------------------------------

    def on_time(self, now_s: float) -> None:
        """Refuse what has waited too long. Cheap when nothing waits."""
        if self._waiting:
            for channel_id, waiting in list(self._waiting.items()):
                if now_s >= waiting.deadline_s:
                    del self._waiting[channel_id]
                    waited_s = self._settings.partition_request_timeout_s
                    waiting.refuse(f"the producer of {channel_id} was not there within {waited_s:g} s")
        for connection in list(self._connections):
            if connection.deadline_s is not None and now_s >= connection.deadline_s:
                connection.close("the handshake took too long")

    def next_deadline(self) -> float | None:
        """Monotonic seconds of the next time-out."""
        deadlines = [waiting.deadline_s for waiting in self._waiting.values()]
        deadlines += [c.deadline_s for c in self._connections if c.deadline_s is not None]
        return min(deadlines, default=None)

    def statistics(self) -> NetworkStatistics:
        return NetworkStatistics(len(self._connections), len(self._partitions), self._budget.total, self._budget.free)

    def close(self) -> None:
        """Close all sockets; remove the Unix socket's file."""
        for connection in list(self._connections):
            connection.close("this slot ends")
        self._listener.close()


def _name(address: common_pb2.DataAddress) -> str:
    return f"{address.tcp_host}:{address.tcp_port}"
