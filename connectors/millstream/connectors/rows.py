"""Batches as lists of Python values, for sinks that write row by row."""

from __future__ import annotations

from typing import Any

from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch


def row_values(batch: Batch) -> list[Any]:
    """The rows; those of an Arrow batch as dicts."""
    match batch:
        case ObjectBatch():
            return batch.values
        case ArrowBatch():
            rows: list[Any] = batch.records.to_pylist()
            return rows
