"""A source of text lines from a TCP server, like ``nc -l``."""

from __future__ import annotations

import queue
import socket as sockets
import threading
from typing import Any, Final

from millstream.connectors.split_queue import SplitQueueEnumerator
from millstream.core.api.source import (
    Boundedness,
    EnumeratorContext,
    PollStatus,
    ReaderContext,
    Source,
    SourceReader,
    SplitBatch,
    SplitEnumerator,
)
from millstream.core.elements.batch import ObjectBatch
from millstream.core.errors import MalformedRecordError, UnavailableError

_QUEUED_READS_MAX: Final = 64
_READ_BYTES: Final = 64 * 1024
_LINE_BYTES_MAX: Final = 16 * 1024 * 1024
_CONNECT_TIMEOUT_S: Final = 10.0


class SocketTextSource(Source[str]):
    """Connects to ``host:port`` and emits lines until the server closes. A server cannot be asked again for what it
    sent, so the position cannot be restored: meant for trying things out."""

    boundedness = Boundedness.CONTINUOUS_UNBOUNDED

    def __init__(self, host: str, port: int, delimiter: str = "\n") -> None:
        if not 0 < port < 65536:
            raise ValueError(f"port must be between 1 and 65535, not {port}")
        if not delimiter:
            raise ValueError("delimiter must not be empty")
        self.host = host
        self.port = port
        self.delimiter = delimiter

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[str]:
        return SplitQueueEnumerator(context, lambda _: [f"{self.host}:{self.port}"])

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[str]:
        return SplitQueueEnumerator.restored(context, state)

    def create_reader(self, context: ReaderContext) -> SourceReader[str]:
        return _SocketReader(self.host, self.port, self.delimiter.encode(), context)

    @property
    def parallelism_max(self) -> int | None:
        return 1


class _SocketReader(SourceReader[str]):
    """A thread receives; the task loop cuts lines."""

    def __init__(self, host: str, port: int, delimiter: bytes, context: ReaderContext) -> None:
        self._host, self._port = host, port
        self._delimiter = delimiter
        self._context = context
        self._received: queue.Queue[bytes | OSError] = queue.Queue(_QUEUED_READS_MAX)
        self._rest = b""
        self._splits: list[str] = []
        self._no_more = False
        self._closed = threading.Event()
        self._connection: sockets.socket | None = None
        self._thread: threading.Thread | None = None

    def add_splits(self, splits: list[str]) -> None:
        self._splits.extend(splits)
        if self._thread is None:
            self._thread = threading.Thread(target=self._receive, name="socket-source", daemon=True)
            self._thread.start()

    def notify_no_more_splits(self) -> None:
        self._no_more = True

    def poll(self) -> SplitBatch | PollStatus:
        if not self._splits:
            return PollStatus.END_OF_INPUT if self._no_more else PollStatus.SPLIT_WANTED
        try:
            received = self._received.get_nowait()
        except queue.Empty:
            return PollStatus.NOTHING_NOW
        if isinstance(received, OSError):
            raise UnavailableError(
                f"the socket source lost {self._host}:{self._port}: {received}. Is a server listening there?"
            )
        if not received:
            return self._end()
        lines = (self._rest + received).split(self._delimiter)
        self._rest = lines.pop()
        if len(self._rest) > _LINE_BYTES_MAX:
            raise MalformedRecordError(
                f"a line from {self._host}:{self._port} is longer than {_LINE_BYTES_MAX} bytes; is the delimiter right?"
            )
        return SplitBatch(ObjectBatch(self._decode(lines)), self._splits[0])

    def _end(self) -> SplitBatch:
        """The server closed: what has no delimiter yet is the last line."""
        last = [self._rest] if self._rest else []
        self._rest = b""
        return SplitBatch(ObjectBatch(self._decode(last)), self._splits.pop(0), split_finished=True)

    def _decode(self, lines: list[bytes]) -> list[str]:
        strip = b"\r" if self._delimiter == b"\n" else b""
        try:
            return [line.removesuffix(strip).decode() for line in lines]
        except UnicodeDecodeError as error:
            raise MalformedRecordError(f"{self._host}:{self._port} sent bytes that are not UTF-8: {error}") from error

    def _receive(self) -> None:
        """Runs in the thread: at most ``_QUEUED_READS_MAX`` reads wait, so a slow job slows the server."""
        try:
            with sockets.create_connection((self._host, self._port), timeout=_CONNECT_TIMEOUT_S) as connection:
                connection.settimeout(None)
                self._connection = connection
                while not self._closed.is_set():
                    data = connection.recv(_READ_BYTES)
                    self._put(data)
                    if not data:
                        return
        except OSError as error:
            self._put(error)

    def _put(self, item: bytes | OSError) -> None:
        while not self._closed.is_set():
            try:
                self._received.put(item, timeout=0.5)
            except queue.Full:
                continue
            self._context.wake_up()
            return

    def snapshot_state(self) -> list[str]:
        return list(self._splits)

    def close(self) -> None:
        self._closed.set()
        if self._connection is not None:
            try:
                self._connection.shutdown(sockets.SHUT_RDWR)
            except OSError:
                pass
        if self._thread is not None:
            self._thread.join(timeout=_CONNECT_TIMEOUT_S + 1)
