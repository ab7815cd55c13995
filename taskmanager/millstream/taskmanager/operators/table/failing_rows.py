"""Which row of a batch an error is about: the batch is evaluated again by halves, only once something has failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa

from millstream.core.errors import ErrorPlace, MillstreamError, UserCodeError
from millstream.core.table.async_calls import CallFailed
from millstream.taskmanager.operators.user_code import preview_of

Retry = Callable[[pa.RecordBatch], object]
"""Does again, with some rows, what failed; changes nothing that lasts."""


def placed(error: Exception, records: pa.RecordBatch, retry: Retry | None, operator: str) -> MillstreamError:
    """The error with its operator, and with the row that fails on its own, if one does.

    An error that names its operator stays what it is. ``retry`` None: nothing can be done again.
    """
    if isinstance(error, MillstreamError) and error.place.operator:
        return error
    if isinstance(error, CallFailed):  # the row is known, and another call may have effects, or take its time
        retry = None
    row = "" if retry is None else _preview(culprit(records, retry))
    if not isinstance(error, MillstreamError):
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        where = f"on the row {row}" if row else f"on one of {_among(records)}"
        return UserCodeError(
            f"operator {operator!r} failed {where}\n{told}", place=ErrorPlace(operator=operator, record=row)
        )
    error.message = f"operator {operator!r}: {error.message}"
    if row:
        error.message += f"\nThe row was {row}."
    elif not error.place.record:
        error.message += f"\nIt was one of {_among(records)}."
    error.place = replace(error.place, operator=operator, record=row or error.place.record)
    return error


def culprit(records: pa.RecordBatch, retry: Retry) -> pa.RecordBatch | None:
    """The first row that fails on its own, found by halving; None where none does."""
    start, stop = 0, records.num_rows
    while stop - start > 1:
        middle = (start + stop) // 2
        if _fails(records.slice(start, middle - start), retry):
            stop = middle
        elif _fails(records.slice(middle, stop - middle), retry):
            start = middle
        else:
            return None
    row = records.slice(start, stop - start)
    return row if records.num_rows > 1 or _fails(row, retry) else None


def _fails(records: pa.RecordBatch, retry: Retry) -> bool:
    try:
        retry(records)
    except Exception:
        return True
    return False


def _preview(row: pa.RecordBatch | None) -> str:
    rows: list[object] = [] if row is None else row.to_pylist()
    return preview_of(rows[0]) if rows else ""


def _among(records: pa.RecordBatch) -> str:
    """Some rows, where it is not known which."""
    if records.num_rows == 1:
        return f"1 row, {_preview(records)}"
    return f"{records.num_rows} rows, the first of which is {_preview(records.slice(0, 1))}"
