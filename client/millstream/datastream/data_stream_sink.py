"""The end of a stream (``pyflink.datastream.data_stream.DataStreamSink``)."""

from __future__ import annotations

from millstream.datastream.stream import Stream


class DataStreamSink(Stream):
    """A sink, for its settings: name, uid, parallelism, chaining, slot sharing group."""
