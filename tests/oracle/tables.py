"""The state of the chaos job's queries: columns, as operators on tables keep them, folded chunk by chunk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.state.chunks import Chunk, EncodedChunk, decoded
from millstream.taskmanager.state.column_chunks import GROUP, ROW, ROWS, ColumnChunk
from millstream.taskmanager.state.rocksdb_files import rows_of_database
from tests.chaos.job import MILLISECONDS_APART, WINDOW_RECORDS

STAGE_OF_OPERATOR: Final = {"OverAggregate": "counts", "WindowAggregate": "windows"}
"""By the name that the planner gives an operator: the part of the job that it does."""
WINDOW_MS: Final = WINDOW_RECORDS * MILLISECONDS_APART

Table = dict[tuple[Any, ...], dict[str, Any]]
"""Rows by what tells them apart, the values by column."""


@dataclass
class QueryState:
    """Of one subtask."""

    counts: list[tuple[int, tuple[int, int]]] = field(default_factory=list)
    """``(key, (count, sum))`` of the rows that have come out of the running count."""
    unfired: list[tuple[int, int]] = field(default_factory=list)
    """Key and number of rows that wait in it for the watermark."""
    windows: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)
    """``(start in milliseconds, key, content)``."""


def query_state(snapshot: OperatorSnapshot, groups: range) -> QueryState:
    """Of the running count or of the windows."""
    tables = _tables(snapshot, groups)
    return QueryState(
        counts=[(row["k0"], (row["a0_count"], row["a1_sum"])) for row in tables.get("frames", {}).values()],
        unfired=[(row["v0"], row["v1"]) for row in tables.get("rows", {}).values()],
        windows=[
            (row["slice_end"] - WINDOW_MS, row["k0"], (row["k0"], row["a0_extreme"], row["a1_count"], row["a2_sum"]))
            for row in tables.get("windows", {}).values()
        ],
    )


def _tables(snapshot: OperatorSnapshot, groups: range) -> dict[str, Table]:
    """By name. Of chunks about one row the last one counts."""
    tables: dict[str, Table] = {}
    for chunk in map(decoded, chunks_of(snapshot, groups)):
        assert isinstance(chunk, ColumnChunk), chunk.name
        table = tables.setdefault(chunk.name, {})
        keys = chunk.rows.schema.names[chunk.first_key : chunk.first_key + chunk.keys]
        names = [GROUP, ROW] if chunk.kind == ROWS else [GROUP, *keys]
        for gone in [] if chunk.gone is None else chunk.gone.to_pylist():
            table.pop(tuple(gone[name] for name in names), None)
        for row in chunk.rows.to_pylist():
            table[tuple(row[name] for name in names)] = row
    return tables


def chunks_of(snapshot: OperatorSnapshot, groups: range) -> Iterator[Chunk | EncodedChunk]:
    """The keyed state of an operator: as it was written, and out of databases."""
    if snapshot.backend is None:
        return
    yield from snapshot.backend.chunks
    for database in snapshot.backend.databases:
        yield from rows_of_database(database, groups, Path(tempfile.gettempdir()))
