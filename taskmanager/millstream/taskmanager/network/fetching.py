"""The consuming side of data connections: dials producers' processes and hands frames to their channels.

One connection to each other slot process carries the channels of all gates. Dialling is tried again with growing waits
for as long as a consumer waits for its partition. A connection that is lost later is not: frames are gone with it, so
exactly its channels fail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from millstream.core.clock import Clock
from millstream.core.errors import ExternalError, MillstreamError, UnavailableError
from millstream.core.ids import ChannelId
from millstream.proto.v1 import common_pb2
from millstream.taskmanager.network.compression import Compression
from millstream.taskmanager.network.connection import Connection
from millstream.taskmanager.network.credit import AssemblyAccount, FloatingPool, ReceiverCredit
from millstream.taskmanager.network.deadlines import Deadline, Deadlines
from millstream.taskmanager.network.dialling import address_name, dial
from millstream.taskmanager.network.frames import Frame, FrameError, FrameKind
from millstream.taskmanager.network.job_access import JobAccess
from millstream.taskmanager.network.reactor import Reactor
from millstream.taskmanager.network.receiving import ReceivingChannel
from millstream.taskmanager.network.serving import write_request
from millstream.taskmanager.network.settings import NetworkSettings

_BACKOFF_S_MAX: Final = 1.0
_Key = tuple[str, str, str, int]


@dataclass
class _Producer:
    """Another slot process: the way there and the channels that come from it."""

    address: common_pb2.DataAddress
    give_up_s: float
    backoff_s: float
    connection: Connection | None = None
    retry: Deadline | None = None
    channels: dict[int, ReceivingChannel] = field(default_factory=dict)
    requests: dict[int, bytes] = field(default_factory=dict)
    """Channels that are not asked for yet."""
    unanswered: dict[int, bytes] = field(default_factory=dict)
    """Those asked for on a connection on which the producer has said nothing yet: it may have given us up before."""
    last_channel: int = 0

    @property
    def name(self) -> str:
        return address_name(self.address)

    @property
    def established(self) -> Connection | None:
        return self.connection if self.connection is not None and self.connection.established else None


class _Link:
    """What one channel says to its producer; tied to the connection through which it was opened."""

    def __init__(self, producer: _Producer, number: int) -> None:
        self._producer = producer
        self._number = number

    def grant(self, number: int) -> None:
        connection = self._producer.established
        if connection is not None:
            connection.send(FrameKind.CREDIT, self._number, 0, number)

    def close(self) -> None:
        producer = self._producer
        producer.channels.pop(self._number, None)
        producer.unanswered.pop(self._number, None)
        unasked = producer.requests.pop(self._number, None) is not None
        connection = producer.established
        if connection is not None and not unasked:
            connection.send(FrameKind.CLOSE, self._number, 0, 0)


class Fetching:
    """Owner of all dialled connections."""

    def __init__(
        self,
        job: JobAccess,
        reactor: Reactor,
        clock: Clock,
        deadlines: Deadlines,
        settings: NetworkSettings,
        host_id: str,
    ) -> None:
        self._job = job
        self._reactor = reactor
        self._clock = clock
        self._deadlines = deadlines
        self._settings = settings
        self._host_id = host_id
        self._compression = Compression(settings.compression, settings.message_bytes_max)
        self._assembly = AssemblyAccount(settings.message_bytes_max + settings.memory_bytes)
        self._producers: dict[_Key, _Producer] = {}

    @property
    def job_id(self) -> str:
        return self._job.job_id

    @property
    def job_token(self) -> bytes:
        return self._job.job_token

    @property
    def connections(self) -> int:
        return sum(producer.connection is not None for producer in self._producers.values())

    @property
    def assembly_bytes(self) -> int:
        """Bytes of batches larger than a buffer that are being put together or wait."""
        return self._assembly.bytes

    def open(self, channel_id: ChannelId, address: common_pb2.DataAddress, pool: FloatingPool) -> ReceivingChannel:
        """A channel to the partition in the slot at ``address``; fails later when nobody is there."""
        key = (address.host_id, address.unix_path, address.tcp_host, address.tcp_port)
        now_s = self._clock.monotonic_s()
        give_up_s = now_s + self._settings.partition_request_timeout_s
        producer = self._producers.get(key)
        if producer is None:
            producer = self._producers[key] = _Producer(address, give_up_s, self._settings.dial_backoff_s)
        if producer.established is None:
            producer.give_up_s = give_up_s
        producer.last_channel += 1
        number = producer.last_channel
        channel = ReceivingChannel(
            f"channel {channel_id} from the slot at {producer.name}",
            _Link(producer, number),
            ReceiverCredit(self._settings.exclusive_buffers, pool),
            self._assembly,
            self._settings.message_bytes_max,
            self._compression,
        )
        producer.channels[number] = channel
        producer.requests[number] = write_request(channel_id)
        if producer.established is not None:
            self._request(producer, producer.established)
        elif producer.connection is None and producer.retry is None:
            self._dial(producer)
        return channel

    def close(self) -> None:
        for producer in list(self._producers.values()):
            if producer.retry is not None:
                producer.retry.cancel()
            if producer.connection is not None:
                producer.connection.flush()
                producer.connection.close("this slot ends")

    def fail_later(self, channels: Sequence[Callable[[MillstreamError], None]], failure: MillstreamError) -> None:
        """Fail ``channels`` after the grace period, so that the cause may arrive first."""

        def fail() -> None:
            for channel in channels:
                channel(failure)

        self._deadlines.at(self._clock.monotonic_s() + self._settings.loss_grace_s, fail)

    # -- dialling -----------------------------------------------------------------------------------------------

    def _dial(self, producer: _Producer) -> None:
        producer.retry = None
        if not producer.channels:
            self._forget(producer)
            return
        try:
            sock = dial(producer.address, self._host_id)
        except OSError as error:
            self._not_connected(producer, None, error.strerror or str(error))
            return
        connection = Connection(
            sock, self._reactor, self, dialled=True, peer=producer.name, segment_bytes=self._settings.segment_bytes
        )
        # A connection that fails at once has told on_closed before it was known here.
        if connection.closed:
            self._not_connected(producer, None, "the connection was closed at once")
            return
        producer.connection = connection
        self._deadlines.at(producer.give_up_s, lambda: self._check_handshake(producer, connection))

    def _check_handshake(self, producer: _Producer, connection: Connection) -> None:
        if connection.closed or connection.established:
            return
        if self._clock.monotonic_s() < producer.give_up_s:
            self._deadlines.at(producer.give_up_s, lambda: self._check_handshake(producer, connection))
            return
        connection.close(f"no handshake within {self._settings.partition_request_timeout_s:g} s")

    def _not_connected(self, producer: _Producer, failure: MillstreamError | None, reason: str) -> None:
        """Try again, unless it is too late or useless."""
        now_s = self._clock.monotonic_s()
        if failure is None and producer.channels and now_s + producer.backoff_s < producer.give_up_s:
            producer.retry = self._deadlines.at(now_s + producer.backoff_s, lambda: self._dial(producer))
            producer.backoff_s = min(2 * producer.backoff_s, _BACKOFF_S_MAX)
            return
        self._forget(producer)
        told = failure or UnavailableError(
            f"no data connection to the slot at {producer.name}: {reason}. Its TaskManager died, or the network "
            f"between TaskManagers does not let data connections through."
        )
        for channel in list(producer.channels.values()):
            channel.fail(told)

    def _forget(self, producer: _Producer) -> None:
        self._producers = {key: other for key, other in self._producers.items() if other is not producer}

    def _request(self, producer: _Producer, connection: Connection) -> None:
        for number, request in producer.requests.items():
            connection.queue(FrameKind.OPEN, number, 0, self._settings.exclusive_buffers, (request,))
        producer.unanswered.update(producer.requests)
        producer.requests.clear()
        connection.flush()

    # -- ConnectionOwner ----------------------------------------------------------------------------------------

    def on_established(self, connection: Connection) -> None:
        producer = self._of(connection)
        if producer is not None:
            self._request(producer, connection)

    def on_frame(self, connection: Connection, frame: Frame) -> None:
        producer = self._of(connection)
        if producer is not None and producer.unanswered:
            producer.unanswered.clear()
        channel = None if producer is None else producer.channels.get(frame.channel)
        match frame.kind:
            case FrameKind.DATA | FrameKind.CONTROL:
                if channel is not None:  # else it was closed while the frame was on its way
                    channel.receive(frame)
            case FrameKind.URGENT:
                if channel is not None:
                    channel.receive_urgent(frame)
            case FrameKind.REFUSE:
                if channel is not None:
                    channel.fail(UnavailableError(_reason(channel, frame)))
            case FrameKind.ERROR:
                if channel is not None:
                    self.fail_later([channel.fail], ExternalError(_reason(channel, frame)))
            case _:
                raise FrameError(f"a producer sent a {frame.kind.name} frame")

    def on_writable(self, connection: Connection) -> None:
        """Nothing waits here: the consumer's frames are small."""

    def on_closed(self, connection: Connection, failure: MillstreamError | None, reason: str) -> None:
        producer = self._of(connection)
        if producer is None:
            return
        producer.connection = None
        asked = {number: request for number, request in producer.unanswered.items() if number in producer.channels}
        producer.unanswered.clear()
        gave_us_up = bool(asked) and not connection.refused and len(asked) == len(producer.channels)
        if not connection.established or gave_us_up:
            producer.requests.update(asked)  # nothing has come of any of them: ask again on another connection
            self._not_connected(producer, failure, reason)
            return
        self._forget(producer)
        lost = [channel.fail for channel in producer.channels.values()]
        if lost:
            self.fail_later(
                lost, ExternalError(f"the data connection to the slot at {producer.name} was lost: {reason}")
            )

    def _of(self, connection: Connection) -> _Producer | None:
        for producer in self._producers.values():
            if producer.connection is connection:
                return producer
        return None


def _reason(channel: ReceivingChannel, frame: Frame) -> str:
    return f"{channel.name}: {bytes(frame.payload).decode(errors='replace')}"
