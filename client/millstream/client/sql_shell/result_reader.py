"""Rows of a running query as texts with their kinds."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from millstream.client.sql_shell.cell_text import batch_texts
from millstream.core.elements.batch import ArrowBatch, RowKind
from millstream.sql.session.runner import QueryResult


def changes(result: QueryResult, zone: ZoneInfo) -> Iterator[tuple[RowKind, tuple[str, ...]]]:
    """All changes; blocks as the result does."""
    for batch in result:
        yield from batch_changes(batch, result, zone)


def batch_changes(batch: ArrowBatch, result: QueryResult, zone: ZoneInfo) -> Iterator[tuple[RowKind, tuple[str, ...]]]:
    """Those of one batch."""
    rows = batch_texts(batch.records, result.row_type.types, zone)
    if batch.row_kinds is None:
        for row in rows:
            yield RowKind.INSERT, row
    else:
        for kind, row in zip(batch.row_kinds.tolist(), rows, strict=True):
            yield RowKind(kind), row
