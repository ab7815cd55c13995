"""Between instants (TIMESTAMP_LTZ) and the wall clock of the session's zone (TIMESTAMP)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from millstream.core.table.functions.function import EvaluationContext, Value


def to_local(values: Value, context: EvaluationContext, zone: str | None = None) -> Value:
    """Instants as wall-clock times of the session's zone, or of ``zone``."""
    name = zone or str(context.time_zone)
    if name in ("UTC", "Etc/UTC", "GMT"):
        return pc.cast(pc.cast(values, pa.int64()), pa.timestamp(values.type.unit))
    return pc.local_timestamp(pc.cast(values, pa.timestamp(values.type.unit, tz=name)))


def to_instant(values: Value, context: EvaluationContext, zone: str | None = None) -> Value:
    """Wall-clock times of the session's zone as instants; of two the earlier, in a gap the time after it."""
    name = zone or str(context.time_zone)
    target = pa.timestamp(values.type.unit, tz="UTC")
    if name in ("UTC", "Etc/UTC", "GMT"):
        return pc.cast(pc.cast(values, pa.int64()), target)
    zoned = pc.assume_timezone(values, name, ambiguous="earliest", nonexistent="latest")
    return pc.cast(pc.cast(zoned, pa.int64()), target)
