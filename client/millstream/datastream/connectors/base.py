"""Bases of connectors (``pyflink.datastream.connectors.base``)."""

from millstream.core.api.sink import Sink
from millstream.core.api.source import Source

__all__ = ["Sink", "Source"]
