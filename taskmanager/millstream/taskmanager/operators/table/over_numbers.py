"""Functions of OVER that look at the place of a row: LAG, LEAD, ranks and shares."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from millstream.core.errors import JobGraphError
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.taskmanager.operators.table.aggregates.accumulator import Int64Array
from millstream.taskmanager.operators.table.over_frames import SortedRows

OFFSETS: Final = ("LAG", "LEAD")
NUMBERS: Final = ("ROW_NUMBER", "RANK", "DENSE_RANK")
SHARES: Final = ("NTILE", "PERCENT_RANK", "CUME_DIST")


def goes_by_place(call: AggregateCall) -> bool:
    """Whether the call looks at the place of a row, whatever its frame."""
    return call.function is None and call.name in (*OFFSETS, *NUMBERS, *SHARES)


def offset_of(call: AggregateCall) -> int:
    """How many rows LAG or LEAD goes; one by default."""
    return int(call.constants[0]) if call.constants and call.constants[0] is not None else 1


def shifted(call: AggregateCall, rows: SortedRows, wanted: Int64Array) -> pa.Array:
    """LAG and LEAD of the rows at ``wanted``; the default, or NULL, beyond the partition."""
    offset = offset_of(call) if call.name == "LEAD" else -offset_of(call)
    places = wanted + offset
    outside = (places < rows.first[wanted]) | (places >= rows.end[wanted])
    kind = call.type.arrow()
    found = rows.columns[call.arguments[0]].take(pa.array(np.where(outside, 0, places), mask=outside)).cast(kind)
    if len(call.constants) < 2 or call.constants[1] is None or not outside.any():
        return found
    default = pa.array([call.constants[1]], kind)
    return pa.concat_arrays([found, default]).take(pa.array(np.where(outside, len(found), np.arange(len(found)))))


def numbered(call: AggregateCall, rows: SortedRows, wanted: Int64Array) -> pa.Array:
    """Ranks and shares of the rows at ``wanted``, in partitions that are there as a whole."""
    first, end = rows.first[wanted], rows.end[wanted]
    count, place = end - first, wanted - first
    rank = rows.first_peer[wanted] - first
    peers = np.cumsum(rows.opens_peers)
    kind = call.type.arrow()
    if call.name == "ROW_NUMBER":
        return pa.array(place + 1).cast(kind)
    if call.name == "RANK":
        return pa.array(rank + 1).cast(kind)
    if call.name == "DENSE_RANK":
        return pa.array(peers[wanted] - peers[first] + 1).cast(kind)
    if call.name == "PERCENT_RANK":
        return pa.array(rank / np.maximum(count - 1, 1)).cast(kind)
    if call.name == "CUME_DIST":
        return pa.array((rows.last_peer[wanted] - first + 1) / count).cast(kind)
    buckets = int(call.constants[0])
    size, larger = count // buckets, count % buckets
    border = larger * (size + 1)
    in_larger = place // (size + 1)
    in_smaller = larger + (place - border) // np.maximum(size, 1)
    return pa.array(np.where(place < border, in_larger, in_smaller) + 1).cast(kind)


def refuse_unbounded(call: AggregateCall) -> None:
    """``JobGraphError`` for what needs the rows to come, where the input has no end."""
    if call.name in (*SHARES, "LEAD"):
        raise JobGraphError(
            f"{call.name} OVER needs the rows that follow, and a stream has no end. "
            "SET 'execution.runtime-mode' = 'batch', or use LAG, ROW_NUMBER or RANK."
        )
