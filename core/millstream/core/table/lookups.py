"""The contract of lookups: what a lookup join asks a table for, a batch of keys at a time.

A connector that can be looked up returns a ``LookupFunction`` from ``TableConnector.lookup``. Some answer
keys, one batch after another (a database). Others hand over all their rows, which the join keeps and indexes, and loads
again every ``reload_ms`` (``'lookup.cache' = 'FULL'``; files).
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.core.api.bounded_reading import read_bounded
from millstream.core.api.source import Source
from millstream.core.clock import Clock
from millstream.core.config.values import Choice, DurationKind
from millstream.core.elements.batch import ArrowBatch
from millstream.core.table.table_options import TableOption, TableOptions

Positions = npt.NDArray[np.int64]

_RELOAD: Final = "lookup.full-cache.periodic-reload.interval"
FULL_CACHE_OPTIONS: Final = {
    "lookup.cache": TableOption("Only `FULL`: a lookup join keeps all rows.", Choice(("FULL",)), "FULL"),
    _RELOAD: TableOption("How often a lookup join reads the table again; never if not set.", DurationKind()),
}
"""Of connectors whose tables are small and read whole."""


class LookupFunction(ABC):
    """Picklable; each subtask has its own copy. ``schema``: of the rows it gives."""

    schema: pa.Schema
    reload_ms: int | None = None
    """Of one that is kept whole: how often it is loaded; None for once."""

    def open(self, clock: Clock) -> None:
        """Called once before anything else. Connections are made here."""

    def load(self) -> Iterator[pa.RecordBatch] | None:
        """All rows, of a table that is kept whole; None for one that answers ``lookup``."""
        return None

    def lookup(self, keys: Sequence[pa.Array]) -> tuple[Positions, pa.RecordBatch]:
        """The rows for a batch of keys, none of them NULL: ``(position of the key, row)`` side by side, by position."""
        raise RuntimeError(f"{type(self).__name__} is kept whole")

    def close(self) -> None:
        """Called once, also after a failure."""


class FullCacheLookup(LookupFunction):
    """A bounded source that is read whole."""

    def __init__(self, source: Source[Any], schema: pa.Schema, options: TableOptions) -> None:
        self.schema = schema
        self._source = source
        interval = options.get(_RELOAD)
        self.reload_ms = None if interval is None else max(1, round(interval / timedelta(milliseconds=1)))

    def open(self, clock: Clock) -> None:
        self._clock = clock

    def load(self) -> Iterator[pa.RecordBatch]:
        for batch in read_bounded(self._source, self._clock):
            if isinstance(batch, ArrowBatch):
                yield batch.records
