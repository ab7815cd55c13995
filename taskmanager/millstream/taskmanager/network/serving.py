"""The producing side of data connections: accepts consumers' processes and sends them what they ask for."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass, field

import msgpack

from millstream.core.clock import Clock
from millstream.core.errors import ExternalError, MillstreamError
from millstream.core.ids import ChannelId, PartitionId
from millstream.core.limited_log import LimitedLog
from millstream.taskmanager.network.compression import Compression
from millstream.taskmanager.network.connection import Connection
from millstream.taskmanager.network.credit import CREDIT_MAX
from millstream.taskmanager.network.deadlines import Deadlines
from millstream.taskmanager.network.frames import Bytes, Frame, FrameError, FrameKind
from millstream.taskmanager.network.job_access import JobAccess
from millstream.taskmanager.network.partition import ResultPartition
from millstream.taskmanager.network.reactor import Reactor
from millstream.taskmanager.network.registry import PartitionRegistry
from millstream.taskmanager.network.sending import REASON_BYTES_MAX, SendingChannel
from millstream.taskmanager.network.settings import NetworkSettings


@dataclass
class _Served:
    """One channel of a connection: ``channel`` comes with the partition; ``closed`` when the consumer went first."""

    channel_id: ChannelId
    channel: SendingChannel | None = None
    partition: ResultPartition | None = None
    closed: bool = False


@dataclass
class _Consumer:
    """A connected process and its channels by number."""

    channels: dict[int, _Served] = field(default_factory=dict)
    next_to_pump: int = 0


class Serving:
    """Owner of all accepted connections."""

    def __init__(
        self,
        job: JobAccess,
        registry: PartitionRegistry,
        reactor: Reactor,
        clock: Clock,
        deadlines: Deadlines,
        settings: NetworkSettings,
        log: logging.Logger,
    ) -> None:
        self._job = job
        self._registry = registry
        self._reactor = reactor
        self._clock = clock
        self._deadlines = deadlines
        self._settings = settings
        self._log = log
        self._strangers = LimitedLog(log, clock)
        self._compression = Compression(settings.compression, settings.message_bytes_max)
        self._connections: dict[Connection, _Consumer] = {}
        self._unauthenticated = 0

    @property
    def job_id(self) -> str:
        return self._job.job_id

    @property
    def job_token(self) -> bytes:
        return self._job.job_token

    @property
    def connections(self) -> int:
        return len(self._connections)

    def accepted(self, sock: socket.socket, peer: str) -> None:
        """A new connection from ``peer``, not authenticated."""
        if self._unauthenticated >= self._settings.unauthenticated_connections_max:
            self._strangers.warning("refused a data connection from %s: too many that have not authenticated", peer)
            sock.close()
            return
        self._unauthenticated += 1
        connection = Connection(
            sock, self._reactor, self, dialled=False, peer=peer, segment_bytes=self._settings.segment_bytes
        )
        self._connections[connection] = _Consumer()
        timeout_s = self._settings.handshake_timeout_s
        # A consumer may be deployed before this slot has its job, and while it imports what its first task needs it
        # answers nobody: one that said hello is given longer.
        patient_s = max(timeout_s, self._settings.partition_request_timeout_s)
        now_s = self._clock.monotonic_s()
        self._deadlines.at(now_s + timeout_s, lambda: self._check_handshake(connection, timeout_s, patient=True))
        self._deadlines.at(now_s + patient_s, lambda: self._check_handshake(connection, patient_s, patient=False))

    def _check_handshake(self, connection: Connection, waited_s: float, patient: bool) -> None:
        if not connection.established and not (patient and connection.said_hello):
            connection.close(f"no handshake within {waited_s:g} s")

    def job_set(self) -> None:
        """The slot has its job: peers that came early go on."""
        for connection in list(self._connections):
            connection.advance_handshake()

    def close(self) -> None:
        for connection in list(self._connections):
            connection.close("this slot ends")

    # -- ConnectionOwner ----------------------------------------------------------------------------------------

    def on_established(self, connection: Connection) -> None:
        self._unauthenticated -= 1

    def on_frame(self, connection: Connection, frame: Frame) -> None:
        consumer = self._connections[connection]
        if frame.kind is FrameKind.OPEN:
            self._open(connection, consumer, frame)
            return
        served = consumer.channels.get(frame.channel)
        match frame.kind:
            case FrameKind.CREDIT:
                if served is not None and served.channel is not None:
                    served.channel.add_credit(frame.number)
            case FrameKind.CLOSE:
                consumer.channels.pop(frame.channel, None)
                if served is not None:
                    served.closed = True
                    if served.channel is not None:
                        served.channel.consumer_closed()
            case _:
                raise FrameError(f"a consumer sent a {frame.kind.name} frame")

    def on_writable(self, connection: Connection) -> None:
        """Channels may encode more; each time another one is the first."""
        consumer = self._connections[connection]
        channels = [served.channel for served in consumer.channels.values() if served.channel is not None]
        if channels:
            first = consumer.next_to_pump % len(channels)
            consumer.next_to_pump = first + 1
            for channel in channels[first:] + channels[:first]:
                channel.pump()
            connection.flush()

    def on_closed(self, connection: Connection, failure: MillstreamError | None, reason: str) -> None:
        consumer = self._connections.pop(connection, None)
        if not connection.established:
            self._unauthenticated -= 1
            told = "closed a data connection from %s before it authenticated: %s"
            self._strangers.warning(told, connection.peer, reason)
        if consumer is None:
            return
        lost = [served for served in consumer.channels.values() if not served.closed]
        for served in lost:
            served.closed = True
            if served.channel is not None:
                served.channel.closed = True
        if lost:
            self._log.warning("lost the data connection of %d channels to %s: %s", len(lost), connection.peer, reason)
            when_s = self._clock.monotonic_s() + self._settings.loss_grace_s
            self._deadlines.at(when_s, lambda: self._fail_partitions(lost, connection.peer, reason))

    # -- inner --------------------------------------------------------------------------------------------------

    def _open(self, connection: Connection, consumer: _Consumer, frame: Frame) -> None:
        """A consumer wants a partition."""
        channel_id = _read_request(frame.payload)
        number, credit = frame.channel, frame.number
        if number in consumer.channels or len(consumer.channels) >= self._settings.channels_max:
            raise FrameError(f"a consumer opened channel {number} twice, or too many")
        if not 0 < credit <= CREDIT_MAX:
            raise FrameError(f"a consumer opened channel {number} with a credit of {credit}")
        served = consumer.channels[number] = _Served(channel_id)

        def attach(partition: ResultPartition) -> None:
            subpartition = partition.subpartitions[channel_id.consumer]
            if served.closed:
                if not connection.closed:
                    subpartition.drain()
                return
            served.partition = partition
            served.channel = SendingChannel(
                number,
                subpartition,
                connection,
                self._settings.segment_bytes,
                self._settings.message_bytes_max,
                partition.generic_types,
                self._compression,
                partition.fail,
            )
            partition.attach(channel_id.consumer, served.channel)
            served.channel.add_credit(credit)

        def refuse(failure: MillstreamError) -> None:
            consumer.channels.pop(number, None)
            connection.send(FrameKind.REFUSE, number, 0, 0, (str(failure).encode()[:REASON_BYTES_MAX],))

        self._registry.request(channel_id, attach, refuse)

    def _fail_partitions(self, lost: list[_Served], peer: str, reason: str) -> None:
        """Their consumers are gone, and what was on the way is lost with them."""
        for served in lost:
            if served.partition is not None and not served.partition.is_drained():
                served.partition.fail(
                    ExternalError(
                        f"the data connection to the consumer of {served.channel_id} at {peer} was lost: {reason}"
                    )
                )


def write_request(channel_id: ChannelId) -> bytes:
    """The payload of OPEN."""
    packed: bytes = msgpack.packb([*channel_id.partition, channel_id.consumer])
    return packed


def _read_request(payload: Bytes) -> ChannelId:
    try:
        numbers = msgpack.unpackb(payload)
        edge, producer, attempt, consumer = numbers
        if not all(type(number) is int for number in numbers):
            raise ValueError("not four integers")
    except Exception as error:  # msgpack raises many kinds for bad bytes
        raise FrameError(f"a request for a partition is damaged: {error}") from error
    return ChannelId(PartitionId(edge, producer, attempt), consumer)
