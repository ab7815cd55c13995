"""Time columns as milliseconds, and back; between instants and the local time of the session."""

from __future__ import annotations

from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Int64Array = npt.NDArray[np.int64]

_PER_MS: Final = {"ms": 1, "us": 1000, "ns": 1_000_000}


def milliseconds_of(column: pa.Array) -> Int64Array:
    """A TIMESTAMP, TIMESTAMP_LTZ or BIGINT (of ms) column; fractions are cut downwards. NULLs are arbitrary."""
    kind = column.type
    values = column.cast(pa.int64()) if pa.types.is_timestamp(kind) else column
    if values.null_count:
        values = pc.fill_null(values, 0)
    numbers: Int64Array = values.to_numpy()
    if pa.types.is_timestamp(kind):
        if kind.unit == "s":
            return numbers * 1000
        if kind.unit != "ms":
            return numbers // _PER_MS[kind.unit]
    return numbers


def timestamps_from(numbers: Int64Array, kind: pa.DataType) -> pa.Array:
    """Milliseconds as a column of the timestamp type ``kind``."""
    if pa.types.is_timestamp(kind):
        return pa.array(numbers * _PER_MS[kind.unit], pa.int64()).cast(kind)
    return pa.array(numbers, pa.int64()).cast(kind)


def to_local(numbers: Int64Array, zone: ZoneInfo) -> Int64Array:
    """Instants in ms as what clocks of ``zone`` show, counted as if it were UTC."""
    if zone.key == "UTC":
        return numbers
    instants = pa.array(numbers, pa.timestamp("ms", "UTC")).cast(pa.timestamp("ms", zone.key))
    shown: Int64Array = pc.local_timestamp(instants).cast(pa.int64()).to_numpy()
    return shown


def from_local(numbers: Int64Array, zone: ZoneInfo) -> Int64Array:
    """The inverse; a time shown twice is the earlier one, and one never shown is when the clock went forward."""
    if zone.key == "UTC":
        return numbers
    shown = pa.array(numbers, pa.timestamp("ms"))
    instants = pc.assume_timezone(shown, zone.key, ambiguous="earliest", nonexistent="latest")
    result: Int64Array = instants.cast(pa.int64()).to_numpy()
    return result


def is_instant(kind: pa.DataType) -> bool:
    """Whether it is TIMESTAMP_LTZ."""
    return pa.types.is_timestamp(kind) and kind.tz is not None
