"""The metrics' HTTP server answers those who ask, and spends little on those who do not."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from millstream.core.clock import ManualClock, SystemClock
from millstream.core.metrics.http import CONNECTIONS_MAX, REQUEST_S_MAX, MetricsServer

WAIT_S = 20.0


class OneGauge(Collector):
    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("answer", "of it all", value=42)


class Served:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.server = MetricsServer(OneGauge(), "127.0.0.1", 0, "a.port", self.clock)
        self.port = int(self.server.address.rpartition(":")[2])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), WAIT_S)

    def ask(self, request: bytes = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") -> bytes:
        with self.connect() as sock:
            sock.sendall(request)
            answer = b""
            try:
                while data := sock.recv(65536):
                    answer += data
            except ConnectionResetError:
                pass  # it was closed with some of the request unread
        return answer


@pytest.fixture
def served() -> Iterator[Served]:
    made = Served()
    yield made
    made.server.close()


def until(found: Callable[[], bool], what: str) -> None:
    clock, pause = SystemClock(), threading.Event()
    deadline_s = clock.monotonic_s() + WAIT_S
    while not found():
        assert clock.monotonic_s() < deadline_s, what
        pause.wait(0.02)


def test_metrics_are_told(served: Served) -> None:
    answer = served.ask()
    assert answer.startswith(b"HTTP/1.0 200") and b"answer 42.0" in answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\0\1\2\r\n\r\n",
        b"GET\r\n\r\n",
        b"DELETE / HTTP/1.1\r\n\r\n",
        b"GET http://[x HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=range(7),
)
def test_what_is_no_request_is_refused_quietly(
    served: Served, request_bytes: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        assert b" 200 " not in served.ask(request_bytes)[:20]
    assert b"answer 42.0" in served.ask()
    assert not caplog.records and not capfd.readouterr().err


def test_those_who_never_come_to_an_end_keep_others_out_for_a_while_only(served: Served) -> None:
    idle = [served.connect() for _ in range(CONNECTIONS_MAX)]
    idle[0].sendall(b"GET / HTTP/1.1\r\nHost: ")
    until(lambda: b"answer" not in served.ask(), "all threads to be taken")
    assert sum(thread.name.endswith("(process_request_thread)") for thread in threading.enumerate()) <= CONNECTIONS_MAX
    served.clock.advance(round(1000 * REQUEST_S_MAX) + 1)
    until(lambda: b"answer 42.0" in served.ask(), "the idle ones to be closed")
    for sock in idle:
        assert sock.recv(1) in (b"", b"H")
        sock.close()
