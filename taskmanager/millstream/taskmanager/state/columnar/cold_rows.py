"""Rows of a column table that are not in memory: a RocksDB database of the slot, from key to row.

Keys are the key group (2 bytes, big-endian, so that rows of a group stand together) and the words of the key columns;
rows are in the form of ``row_codec``, keys included. The database is a part of the process's memory that happens to be
on disk: nothing is logged ahead, nothing is in a checkpoint, and it goes with the table.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple, cast
from weakref import WeakSet

import numpy as np
import pyarrow as pa
from rocksdict import Rdict, WriteBatch, WriteOptions

from millstream.core.errors import ExternalError
from millstream.core.kernels import row_bytes
from millstream.core.kernels.slot_index import Int64Array
from millstream.core.keys import table_key_groups
from millstream.taskmanager.state.columnar.row_codec import RowCodec, pieces
from millstream.taskmanager.state.columnar.row_encoding import encode_rows
from millstream.taskmanager.state.rocksdb import RocksMemory

_SLICE_ROWS: Final = 1 << 13


class Spilling(NamedTuple):
    """Where a table keeps what does not fit into its share of the memory."""

    memory: RocksMemory
    work_directory: Path
    """For files of the slot; may not exist yet."""
    max_parallelism: int


Slice = tuple[Int64Array, list[pa.Array]]
"""``(when each row was last written, all columns)``."""


class FrozenRows:
    """The rows of a database at one moment, read once, in slices; on any thread."""

    def __init__(self, rows: Iterator[bytes], codec: RowCodec) -> None:
        self._rows: Iterator[bytes] | None = rows
        self._codec = codec
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Slice]:
        """Raises ``OSError`` when the table is closed meanwhile."""
        while rows := self._next():
            yield self._codec.decode(rows)

    def release(self) -> None:
        """Nobody needs the rest."""
        with self._lock:
            self._rows = None

    def _next(self) -> list[bytes]:
        with self._lock:
            if self._rows is None:
                raise OSError("the state was closed while it was saved")
            return list(islice(self._rows, _SLICE_ROWS))


class ColdRows:
    """``schema`` are the columns of a row, the keys first; of those, ``partition_keys`` give the key group.

    One thread changes it; iterators of ``frozen`` may be read on another. Raises ``ExternalError`` when RocksDB fails.
    """

    def __init__(self, spilling: Spilling, keys: int, partition_keys: int, schema: pa.Schema) -> None:
        self._memory = spilling.memory
        self._memory.users += 1
        self._work_directory = spilling.work_directory
        self._max_parallelism = spilling.max_parallelism
        self._keys = keys
        self._partition_keys = partition_keys
        self._codec = RowCodec(schema.types)
        self._write_options = WriteOptions()
        # The library's stub calls it a method.
        self._write_options.disable_wal = True  # type: ignore[method-assign, assignment]
        self._frozen: WeakSet[FrozenRows] = WeakSet()
        self._directory: Path | None = None
        self._db: Rdict | None = None

    @property
    def budget_bytes(self) -> int:
        """What the table may take in memory."""
        return self._memory.share_bytes

    @property
    def directory(self) -> Path:
        """Of the table's files; it is made when it is first needed. ``OSError``."""
        if self._directory is None:
            self._work_directory.mkdir(parents=True, exist_ok=True)
            self._directory = Path(tempfile.mkdtemp(prefix="columns-", dir=self._work_directory))
        return self._directory

    def put(self, updated_ms: Int64Array, columns: Sequence[pa.Array]) -> None:
        """Write rows over those with the same keys."""
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        rows = self._codec.encode(updated_ms, columns)
        for key, row in sorted(zip(self._encoded(columns[: self._keys], len(rows)), rows, strict=True)):
            put(key, row)
        self._write(batch)

    def get(self, keys: Sequence[pa.Array], rows: int) -> list[bytes]:
        """The rows of those keys that have one, each once, in any order; for ``decode``."""
        wanted = sorted(set(self._encoded(keys, rows)))  # in order, keys of one block are found together
        try:
            found = cast("list[bytes | None]", self._opened().get(cast("list[Any]", wanted)))
        except Exception as error:
            raise self._failed("read", error) from error
        return [row for row in found if row is not None]

    def decode(self, rows: Sequence[bytes]) -> Slice:
        """The inverse of what ``put`` wrote."""
        return self._codec.decode(rows)

    def delete(self, keys: Sequence[pa.Array], rows: int) -> None:
        """Forget rows, if they are there."""
        batch = WriteBatch(raw_mode=True)
        for key in self._encoded(keys, rows):
            batch.delete(key)
        self._write(batch)

    def frozen(self) -> FrozenRows:
        """All rows as they are now, however they change while they are read."""
        # It is the iterator, and not a snapshot, that holds what was there when it was made.
        made = FrozenRows(self._opened().values(), self._codec)
        self._frozen.add(made)
        return made

    def following(self, position: bytes, count: int) -> tuple[list[bytes], bytes]:
        """``(the rows from the key ``position`` on, at most so many, the key behind them)``; b"" is begin and end."""
        items = list(islice(self._opened().items(from_key=position), count))
        behind = cast("bytes", items[-1][0]) + b"\0" if len(items) == count else b""
        return [row for _, row in items], behind

    def estimated_bytes(self) -> int:
        if self._db is None:
            return 0
        return int(self._db.property_int_value("rocksdb.estimate-live-data-size") or 0)

    def close(self) -> None:
        """Delete everything, and give the share of the memory back."""
        self._memory.users -= 1
        for frozen in list(self._frozen):  # which would keep the database open, to write after it is deleted
            frozen.release()
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    # -- inner --------------------------------------------------------------------------------------------------

    def _encoded(self, keys: Sequence[pa.Array], rows: int) -> list[bytes]:
        groups = table_key_groups(keys[: self._partition_keys], self._max_parallelism, rows)
        heads = groups.astype(">u2").view(np.uint8).reshape(rows, 2)
        encoded = encode_rows(keys, rows)
        starts = encoded.offsets * 8
        offsets = starts + 2 * np.arange(rows + 1)
        content, cursor = np.empty(int(offsets[-1]), np.uint8), np.empty(rows, np.int64)
        row_bytes.put_heads(heads, offsets, cursor, content)
        lengths = np.diff(starts).astype(np.int32)
        row_bytes.put_texts(starts, lengths, encoded.words.view(np.uint8), cursor, content)
        return pieces(offsets, content)

    def _opened(self) -> Rdict:
        if self._db is None:
            path = self.directory / "db"
            try:
                self._db = Rdict(str(path), self._memory.options())
            except Exception as error:
                raise ExternalError(f"RocksDB cannot open its database in {path}: {error}") from error
        return self._db

    def _write(self, batch: WriteBatch) -> None:
        try:
            self._opened().write(batch, self._write_options)
        except Exception as error:
            raise self._failed("write", error) from error

    def _failed(self, what: str, error: Exception) -> ExternalError:
        return ExternalError(f"RocksDB cannot {what} rows in {self._directory}: {error}")
