"""A log of rows that left memory before they were saved: the next incremental snapshot reads them from here.

The file has no name, so that nothing is left of it after the process; it goes when nobody refers to its rows.
"""

from __future__ import annotations

import os
import tempfile
from functools import partial
from pathlib import Path

import pyarrow as pa

from millstream.core.errors import ExternalError
from millstream.taskmanager.state.column_chunks import from_ipc, to_ipc
from millstream.taskmanager.state.columnar.changes import LoggedRows


class RowLog:
    """Rows in the order in which they left."""

    def __init__(self) -> None:
        self._file: _LogFile | None = None

    def append(self, rows: pa.RecordBatch, directory: Path) -> LoggedRows:
        """Write rows behind the others, in a file of ``directory`` if there is none yet. ``ExternalError``."""
        try:
            if self._file is None:
                self._file = _LogFile(directory)
            stands = self._file.append(to_ipc(rows))
        except OSError as error:
            raise ExternalError(f"rows that leave memory cannot be logged in {directory}: {error}") from error
        return LoggedRows(rows.num_rows, partial(self._file.read, *stands))

    def rotate(self) -> None:
        """What comes belongs to another snapshot: begin a new file."""
        self._file = None


class _LogFile:
    def __init__(self, directory: Path) -> None:
        self._descriptor, name = tempfile.mkstemp(prefix="log-", dir=directory)
        Path(name).unlink()
        self._end = 0

    def __del__(self) -> None:
        os.close(self._descriptor)

    def append(self, data: bytes) -> tuple[int, int]:
        """``(where it stands, its length)``."""
        offset, rest = self._end, memoryview(data)
        while rest:
            written = os.pwrite(self._descriptor, rest, self._end)
            self._end += written
            rest = rest[written:]
        return offset, len(data)

    def read(self, offset: int, length: int) -> pa.RecordBatch:
        """Also beside the task."""
        data = bytearray()
        while len(data) < length:
            read = os.pread(self._descriptor, length - len(data), offset + len(data))
            if not read:
                raise OSError(f"the log of rows ends at {offset + len(data)} bytes, before {offset + length}")
            data += read
        return from_ipc(bytes(data))
