"""Serving metrics to Prometheus over HTTP."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.registry import Collector

from millstream.core.errors import ConfigError


class MetricsServer:
    """The HTTP server of one process; ``address`` is empty when it is off."""

    def __init__(self, collector: Collector, host: str, port: int, setting: str) -> None:
        self.address = ""
        self._server: Any = None
        self._thread: Any = None
        if port < 0:
            return
        registry = CollectorRegistry()
        registry.register(collector)
        try:
            self._server, self._thread = start_http_server(port, host, registry)
        except OSError as error:
            raise ConfigError(
                f"cannot serve metrics on {host}:{port}: {error.strerror}. Stop what uses the port, or choose another "
                f"with -D {setting}=PORT (0 for any free one, -1 for none)."
            ) from None
        self.address = f"{host}:{self._server.server_port}"

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
