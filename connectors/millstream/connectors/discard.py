"""A sink that drops everything; for benchmarks and for jobs that act by side effect."""

from __future__ import annotations

from millstream.core.api.sink import Sink, SinkContext, SinkWriter
from millstream.core.elements.batch import Batch


class DiscardSink(Sink):
    """Takes every record and keeps none."""

    def create_writer(self, context: SinkContext) -> SinkWriter:
        return _DiscardWriter()


class _DiscardWriter(SinkWriter):
    def write(self, batch: Batch) -> None:
        pass
