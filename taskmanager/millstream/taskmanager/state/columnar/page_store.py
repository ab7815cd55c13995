"""Pages of rows in a RocksDB database of the slot, by number.

A page is ``PAGE_ROWS`` rows that stand at consecutive slots. It is written and read as one value: the lengths of its
rows (4 bytes each), then the rows in the form of ``row_codec``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import numpy as np
import pyarrow as pa
from rocksdict import WriteBatch

from millstream.core.errors import invariant
from millstream.core.kernels import row_bytes
from millstream.core.kernels.arrow_views import text_of
from millstream.core.kernels.slot_index import Int64Array
from millstream.taskmanager.state.columnar.local_database import LocalDatabase, Spilling
from millstream.taskmanager.state.columnar.row_codec import RowCodec, pieces

PAGE_BITS: Final = 5
PAGE_ROWS: Final = 1 << PAGE_BITS
_LENGTHS_BYTES: Final = 4 * PAGE_ROWS


class PageStore:
    """``kinds`` are the types of a row's columns. Raises ``ExternalError`` when RocksDB fails."""

    def __init__(self, spilling: Spilling, kinds: Sequence[pa.DataType]) -> None:
        self._database = LocalDatabase(spilling, "pages of rows")
        self._codec = RowCodec(kinds)

    @property
    def budget_bytes(self) -> int:
        """What the pages in memory may take."""
        return self._database.budget_bytes

    @property
    def directory(self) -> Path:
        """For further files of the table. ``OSError``."""
        return self._database.directory

    def put(self, pages: Int64Array, columns: Sequence[pa.Array]) -> None:
        """Write pages, whose rows stand behind each other in ``columns``."""
        offsets, content = self._codec.joined(np.zeros(len(pages) * PAGE_ROWS, np.int64), columns)
        heads = pieces(_LENGTHS_BYTES * np.arange(len(pages) + 1), np.diff(offsets).astype(np.int32).view(np.uint8))
        batch = WriteBatch(raw_mode=True)
        for key, head, rows in zip(_keys(pages), heads, pieces(offsets[::PAGE_ROWS].copy(), content), strict=True):
            batch.put(key, head + rows)
        self._database.write(batch)

    def get(self, pages: Int64Array, rows: Int64Array | None = None) -> list[pa.Array]:
        """The columns of pages that were put, behind each other, or of their ``rows``; ``pages`` ascend."""
        found = self._database.get(_keys(pages))
        missing = [page for page, value in zip(pages.tolist(), found, strict=True) if value is None]
        invariant(not missing, f"pages {missing[:5]} are not in the database that they were written to")
        offsets, content = text_of(pa.array(cast("list[bytes]", found), pa.large_binary()))
        heads, cursor = np.empty((len(pages), _LENGTHS_BYTES), np.uint8), np.empty(len(pages), np.int64)
        row_bytes.take_heads(offsets, content, heads, cursor)
        lengths = heads.view(np.int32).reshape(-1).astype(np.int64)
        starts = np.cumsum(lengths) - lengths
        starts += np.repeat(_LENGTHS_BYTES * np.arange(1, len(pages) + 1), PAGE_ROWS)
        return self._codec.decode_at(starts if rows is None else starts[rows], content)[1]

    def delete(self, pages: Int64Array) -> None:
        """Forget pages."""
        batch = WriteBatch(raw_mode=True)
        for key in _keys(pages):
            batch.delete(key)
        self._database.write(batch)

    def estimated_bytes(self) -> int:
        """What is on disk."""
        return self._database.estimated_bytes()

    def close(self) -> None:
        """Delete everything, and give the share of the memory back."""
        self._database.close()


def _keys(pages: Int64Array) -> list[bytes]:
    """Big-endian, so that pages stand in their order."""
    return pieces(8 * np.arange(len(pages) + 1), pages.astype(">i8").view(np.uint8))
