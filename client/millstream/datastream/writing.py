"""Sinks of a stream: print, discard, files, any ``Sink``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from millstream.core.api.sink import Sink
from millstream.core.graph.specs import SinkSpec
from millstream.datastream.arguments import instance_argument
from millstream.datastream.data_stream_sink import DataStreamSink
from millstream.datastream.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class WritableStream(Stream):
    """The ways out of a program."""

    def sink_to(self, sink: Sink) -> DataStreamSink:
        """To any sink."""
        instance_argument(sink, ("create_writer",), "sink_to", "Sink")
        return self._sink(sink, f"Sink: {type(sink).__name__}")

    def add_sink(self, sink_func: Sink) -> DataStreamSink:
        """PyFlink's older name of ``sink_to``."""
        return self.sink_to(sink_func)

    def print(self, sink_identifier: str | None = None) -> DataStreamSink:
        """Each record on a line of the TaskManager's standard output, the terminal for an embedded cluster."""
        from millstream.connectors.print_sink import PrintSink

        return self._sink(PrintSink(sink_identifier or ""), "Sink: print")

    def print_to_err(self, sink_identifier: str | None = None) -> DataStreamSink:
        from millstream.connectors.print_sink import PrintSink

        return self._sink(PrintSink(sink_identifier or "", stderr=True), "Sink: print")

    def discard(self) -> DataStreamSink:
        """Drop every record."""
        from millstream.connectors.discard import DiscardSink

        return self._sink(DiscardSink(), "Sink: discard")

    def write_text(self, path: str, encode: Callable[[Any], str] = str, **rolling: Any) -> DataStreamSink:
        """A record a line, by ``encode``. ``rolling``: ``roll_bytes``, ``roll_interval``."""
        from millstream.connectors.files.api import text_sink

        return self._sink(text_sink(_absolute(path), encode, **rolling), "Sink: text files")

    def write_csv(self, path: str, columns: Sequence[str] | None = None, **options: Any) -> DataStreamSink:
        """CSV with a header. ``options``: ``delimiter``, ``header``, ``roll_bytes``, ``roll_interval``."""
        from millstream.connectors.files.api import csv_sink

        return self._sink(csv_sink(_absolute(path), columns, **options), "Sink: CSV files")

    def write_json(self, path: str, **rolling: Any) -> DataStreamSink:
        """NDJSON."""
        from millstream.connectors.files.api import json_sink

        return self._sink(json_sink(_absolute(path), **rolling), "Sink: JSON files")

    def write_parquet(self, path: str, schema: Any = None, **options: Any) -> DataStreamSink:
        """Parquet; the schema is the first batch's unless given as an Arrow schema."""
        from millstream.connectors.files.api import parquet_sink

        return self._sink(parquet_sink(_absolute(path), schema, **options), "Sink: Parquet files")

    def _sink(self, sink: Sink, name: str) -> DataStreamSink:
        return DataStreamSink(self._environment, self._add(name, SinkSpec(sink)))


def _absolute(path: Any) -> str:
    """Slots have another working directory than the script."""
    from pathlib import Path

    return str(Path(path).expanduser().absolute())
