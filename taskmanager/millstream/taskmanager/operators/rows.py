"""Rows and keys of a batch, for operators that work on Python values."""

from __future__ import annotations

from typing import Any

from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.graph.specs import ChainedOperator, KeySelectorCallable
from millstream.taskmanager.operators.user_code import call_each


def as_rows(batch: Batch) -> ObjectBatch:
    """The batch itself, or the rows of an Arrow batch as dicts."""
    return batch if isinstance(batch, ObjectBatch) else ObjectBatch(batch.records.to_pylist(), batch.timestamps)


def keys_of(batch: ObjectBatch, selector: KeySelectorCallable | None, chained: ChainedOperator) -> list[Any]:
    """One key a row: those the partitioner found, else what the selector says; None for all rows without one."""
    if selector is None:
        return [None] * batch.num_rows
    return batch.keys if batch.keys is not None else call_each(selector, batch.values, chained)
