"""Rows of a column table that are not in memory: a RocksDB database of the slot, from key to row.

Keys are the key group (2 bytes, big-endian, so that rows of a group stand together) and the words of the key columns;
rows are in the form of ``row_codec``, keys included.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, cast
from weakref import WeakSet

import numpy as np
import pyarrow as pa
from rocksdict import WriteBatch

from millstream.core.kernels import row_bytes
from millstream.core.kernels.slot_index import Int64Array
from millstream.core.keys import table_key_groups
from millstream.taskmanager.state.columnar.local_database import LocalDatabase, Spilling
from millstream.taskmanager.state.columnar.row_codec import RowCodec, pieces
from millstream.taskmanager.state.columnar.row_encoding import encode_rows

_SLICE_ROWS: Final = 1 << 13


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
        self._database = LocalDatabase(spilling, "rows")
        self._max_parallelism = spilling.max_parallelism
        self._keys = keys
        self._partition_keys = partition_keys
        self._codec = RowCodec(schema.types)
        self._frozen: WeakSet[FrozenRows] = WeakSet()

    @property
    def budget_bytes(self) -> int:
        """What the table may take in memory."""
        return self._database.budget_bytes

    @property
    def directory(self) -> Path:
        """Of the table's files; it is made when it is first needed. ``OSError``."""
        return self._database.directory

    def put(self, updated_ms: Int64Array, columns: Sequence[pa.Array]) -> None:
        """Write rows over those with the same keys."""
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        rows = self._codec.encode(updated_ms, columns)
        for key, row in sorted(zip(self._encoded(columns[: self._keys], len(rows)), rows, strict=True)):
            put(key, row)
        self._database.write(batch)

    def get(self, keys: Sequence[pa.Array], rows: int) -> list[bytes]:
        """The rows of those keys that have one, each once, in any order; for ``decode``."""
        wanted = sorted(set(self._encoded(keys, rows)))  # in order, keys of one block are found together
        found = self._database.get(wanted)
        return [row for row in found if row is not None]

    def decode(self, rows: Sequence[bytes]) -> Slice:
        """The inverse of what ``put`` wrote."""
        return self._codec.decode(rows)

    def delete(self, keys: Sequence[pa.Array], rows: int) -> None:
        """Forget rows, if they are there."""
        batch = WriteBatch(raw_mode=True)
        for key in self._encoded(keys, rows):
            batch.delete(key)
        self._database.write(batch)

    def frozen(self) -> FrozenRows:
        """All rows as they are now, however they change while they are read."""
        # It is the iterator, and not a snapshot, that holds what was there when it was made.
        made = FrozenRows(self._database.opened().values(), self._codec)
        self._frozen.add(made)
        return made

    def following(self, position: bytes, count: int) -> tuple[list[bytes], bytes]:
        """``(the rows from the key ``position`` on, at most so many, the key behind them)``; b"" is begin and end."""
        items = list(islice(self._database.opened().items(from_key=position), count))
        behind = cast("bytes", items[-1][0]) + b"\0" if len(items) == count else b""
        return [row for _, row in items], behind

    def estimated_bytes(self) -> int:
        return self._database.estimated_bytes()

    def close(self) -> None:
        """Delete everything, and give the share of the memory back."""
        for frozen in list(self._frozen):  # which would keep the database open, to write after it is deleted
            frozen.release()
        self._database.close()

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
