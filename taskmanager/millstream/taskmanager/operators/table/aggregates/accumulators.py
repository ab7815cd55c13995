"""From aggregate calls to their accumulators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from millstream.core.errors import JobGraphError
from millstream.core.kernels.arrow_views import fixed_dtype
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.taskmanager.operators.table.aggregates.accumulator import Accumulator
from millstream.taskmanager.operators.table.aggregates.collections import ArrayAgg, JsonAgg, ListAgg, LoggedFirstLast
from millstream.taskmanager.operators.table.aggregates.counted_values import Collect, Percentile
from millstream.taskmanager.operators.table.aggregates.counting import Count
from millstream.taskmanager.operators.table.aggregates.extremes import Extreme, RankedExtreme
from millstream.taskmanager.operators.table.aggregates.first_last import FirstLast
from millstream.taskmanager.operators.table.aggregates.hyperloglog import ApproximateCount
from millstream.taskmanager.operators.table.aggregates.moments import Moments
from millstream.taskmanager.operators.table.aggregates.python_aggregate import PythonAggregate
from millstream.taskmanager.operators.table.aggregates.retracting_extremes import RetractingExtreme
from millstream.taskmanager.operators.table.aggregates.summing import DecimalSum, Sum

_ACCUMULATORS: Final[dict[str, Callable[[AggregateCall, int], Accumulator]]] = {
    "COUNT": Count,
    "STDDEV_POP": Moments,
    "STDDEV_SAMP": Moments,
    "VAR_POP": Moments,
    "VAR_SAMP": Moments,
    "COLLECT": Collect,
    "PERCENTILE": Percentile,
    "LISTAGG": ListAgg,
    "ARRAY_AGG": ArrayAgg,
    "JSON_ARRAYAGG": JsonAgg,
    "JSON_OBJECTAGG": JsonAgg,
    "APPROX_COUNT_DISTINCT": ApproximateCount,
}


def accumulator_for(call: AggregateCall, position: int, retracts: bool) -> Accumulator:
    """``retracts``: rows may be taken back. Raises ``JobGraphError`` for a call that cannot be made."""
    name = call.name
    if call.function is not None:
        _check_function(call, retracts)
        return PythonAggregate(call, position)
    if name in ("SUM", "SUM0", "AVG"):
        kind = call.argument_types[0].arrow()
        return DecimalSum(call, position) if pa.types.is_decimal(kind) else Sum(call, position)
    if name in ("MIN", "MAX"):
        if retracts:
            return RetractingExtreme(call, position)
        return RankedExtreme(call, position) if fixed_dtype(call.type.arrow()) is None else Extreme(call, position)
    if name in ("FIRST_VALUE", "LAST_VALUE"):
        return LoggedFirstLast(call, position) if retracts else FirstLast(call, position)
    if name == "APPROX_COUNT_DISTINCT" and retracts:
        raise JobGraphError(
            "APPROX_COUNT_DISTINCT cannot take rows back, and its input has updates or deletes. "
            "Use COUNT(DISTINCT ...)."
        )
    make = _ACCUMULATORS.get(name)
    if make is None:
        raise JobGraphError(f"there is no aggregate function {name} in GROUP BY and windows.")
    return make(call, position)


def _check_function(call: AggregateCall, retracts: bool) -> None:
    if retracts and not call.function.can_retract:
        raise JobGraphError(
            f"the aggregate function {call.function.name} has no method retract, and its input has updates or deletes. "
            "Give it retract(accumulator, *values)."
        )
