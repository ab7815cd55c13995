"""A sink that prints each record on its own line, in the slot process that got it."""

from __future__ import annotations

import sys

from millstream.connectors.rows import row_values
from millstream.core.api.sink import Sink, SinkContext, SinkWriter
from millstream.core.elements.batch import ArrowBatch, Batch


class PrintSink(Sink):
    """``prefix> record``; with parallelism above 1 the subtask's number (from 1) stands before, like Flink's.

    ``changelog``: rows of Arrow batches as ``+I[1, abc]``, for tables; else as dicts, for streams.
    """

    def __init__(self, prefix: str = "", stderr: bool = False, changelog: bool = False) -> None:
        self.prefix = prefix
        self.stderr = stderr
        self.changelog = changelog

    def create_writer(self, context: SinkContext) -> SinkWriter:
        label = self.prefix
        if context.parallelism > 1:
            label = f"{label}:{context.subtask_index + 1}" if label else str(context.subtask_index + 1)
        return _PrintWriter(f"{label}> " if label else "", self.stderr, self.changelog)


class _PrintWriter(SinkWriter):
    def __init__(self, label: str, stderr: bool, changelog: bool) -> None:
        self._label = label
        self._stderr = stderr
        self._changelog = changelog

    def write(self, batch: Batch) -> None:
        label = self._label
        stream = sys.stderr if self._stderr else sys.stdout
        if self._changelog and isinstance(batch, ArrowBatch):
            from millstream.connectors.changelog_text import changelog_lines

            lines = changelog_lines(batch)
        else:
            lines = row_values(batch)
        stream.write("".join([f"{label}{line}\n" for line in lines]))
        stream.flush()
