"""Serving metrics to Prometheus over HTTP.

Anybody may connect who reaches the port, and may say nothing, or something else, or never come to an end: such a peer
costs one of few threads, for a few seconds.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
from http.server import ThreadingHTTPServer
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import MetricsHandler
from prometheus_client.registry import Collector

from millstream.core.clock import Clock, SystemClock
from millstream.core.errors import ConfigError

log = logging.getLogger("millstream.metrics")

CONNECTIONS_MAX: Final = 16
"""At a time; more are closed at once."""
REQUEST_S_MAX: Final = 10.0
"""From the connection to the end of its answer."""


class MetricsServer:
    """The HTTP server of one process; ``address`` is empty when it is off."""

    def __init__(self, collector: Collector, host: str, port: int, setting: str, clock: Clock | None = None) -> None:
        self.address = ""
        self._server: _Server | None = None
        if port < 0:
            return
        registry = CollectorRegistry()
        registry.register(collector)
        try:
            self._server = _Server(host, port, registry, clock or SystemClock())
        except OSError as error:
            raise ConfigError(
                f"cannot serve metrics on {host}:{port}: {error.strerror}. Stop what uses the port, or choose another "
                f"with -D {setting}=PORT (0 for any free one, -1 for none)."
            ) from None
        self.address = f"{host}:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)
        self._thread.start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


class _Handler(MetricsHandler):
    """One request a connection. What is no request is answered as HTTP says, and not logged."""

    timeout = REQUEST_S_MAX

    def log_message(self, format: str, *args: Any) -> None:
        return


class _Server(ThreadingHTTPServer):
    block_on_close = False  # who waits for an answer does not hold up the end of the process

    def __init__(self, host: str, port: int, registry: CollectorRegistry, clock: Clock) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[socket.socket, float] = {}
        """When each connection began. Guarded by the lock: each has a thread of its own."""
        super().__init__((host, port), _Handler.factory(registry))

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            if len(self._open) < CONNECTIONS_MAX:
                self._open[request] = self._clock.monotonic_s()
        if request in self._open:
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def service_actions(self) -> None:
        """Now and then: end what takes too long, whose thread then finds its connection closed."""
        late_s = self._clock.monotonic_s() - REQUEST_S_MAX
        with self._lock:
            for request in [request for request, began_s in self._open.items() if began_s < late_s]:
                try:
                    request.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the peer has closed it meanwhile

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away in the middle is nobody's fault; neither is an address that cannot be taken apart."""
        error = sys.exception()
        if not isinstance(error, OSError | ValueError):
            log.error("metrics cannot be told", exc_info=error)
