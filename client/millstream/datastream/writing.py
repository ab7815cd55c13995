"""Sinks of a stream: print, discard, files, and any ``Sink``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from millstream.core.api.sink import Sink
from millstream.core.graph.specs import SinkSpec
from millstream.datastream.arguments import instance_argument
from millstream.datastream.call_site import refuse
from millstream.datastream.data_stream_sink import DataStreamSink
from millstream.datastream.stream import Stream, Upstream


class WritableStream(Stream):
    """The ways out of a program. Connectors are imported when they are used."""

    def sink_to(self, sink: Sink) -> DataStreamSink:
        """To any sink."""
        instance_argument(
            sink, Sink, "sink_to", "FileSink.for_row_format(path, Encoder.simple_string_encoder()).build()"
        )
        return self._sink(sink, type(sink).__name__)

    def add_sink(self, sink_func: Sink) -> DataStreamSink:
        """PyFlink's older name of ``sink_to``."""
        return self.sink_to(sink_func)

    def print(self, sink_identifier: str | None = None) -> DataStreamSink:
        """A line a record on the standard output of the TaskManager, which is the terminal for an embedded cluster."""
        from millstream.connectors.print_sink import PrintSink

        return self._sink(PrintSink(sink_identifier or ""), "print")

    def print_to_err(self, sink_identifier: str | None = None) -> DataStreamSink:
        """As ``print``, on standard error."""
        from millstream.connectors.print_sink import PrintSink

        return self._sink(PrintSink(sink_identifier or "", stderr=True), "print")

    def discard(self) -> DataStreamSink:
        """Drop every record."""
        from millstream.connectors.discard import DiscardSink

        return self._sink(DiscardSink(), "discard")

    def write_text(self, path: str | Path, encode: Callable[[Any], str] = str, **rolling: Any) -> DataStreamSink:
        """A record a line, as ``encode`` makes it, into files in the directory ``path``.

        ``rolling``: ``roll_bytes`` and ``roll_interval`` say when a file is complete and the next one begins.
        """
        from millstream.connectors.files.api import text_sink

        return self._sink(_made(text_sink, directory(path), encode, **rolling), "text files")

    def write_csv(
        self,
        path: str | Path,
        columns: Sequence[str] | None = None,
        delimiter: str = ",",
        header: bool = True,
        **rolling: Any,
    ) -> DataStreamSink:
        """CSV files in the directory ``path``. ``columns``: names and order, else those of the first record."""
        from millstream.connectors.files.api import csv_sink

        return self._sink(_made(csv_sink, directory(path), columns, delimiter, header, **rolling), "CSV files")

    def write_json(self, path: str | Path, **rolling: Any) -> DataStreamSink:
        """JSON, a record a line, in files in the directory ``path``."""
        from millstream.connectors.files.api import json_sink

        return self._sink(_made(json_sink, directory(path), **rolling), "JSON files")

    def write_parquet(
        self, path: str | Path, schema: Any = None, compression: str = "zstd", **rolling: Any
    ) -> DataStreamSink:
        """Parquet files in the directory ``path``. ``schema``: an Arrow schema, else that of the first records."""
        from millstream.connectors.files.api import parquet_sink

        return self._sink(_made(parquet_sink, directory(path), schema, compression, **rolling), "Parquet files")

    def _sink(self, sink: Sink, name: str) -> DataStreamSink:
        node = self._add(name, SinkSpec(sink))
        return DataStreamSink(self._environment, [Upstream(node)], None)


def directory(path: Any) -> str:
    """Absolute: slots have another working directory than the script."""
    if not isinstance(path, str | Path) or not str(path):
        raise refuse(f"a path is a text or a Path, not {path!r:.60} of type {type(path).__name__}.")
    return str(Path(path).expanduser().absolute())


def _made(make: Callable[..., Sink], *arguments: Any, **options: Any) -> Sink:
    """A sink; options that do not exist are refused at the user's line."""
    try:
        return make(*arguments, **options)
    except (TypeError, ValueError) as error:
        raise refuse(str(error)) from error
