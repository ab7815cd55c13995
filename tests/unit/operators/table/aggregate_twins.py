"""What each aggregate function is, in plain Python over a list of values."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.logical_types import TypeRoot

_BITS = {TypeRoot.INTEGER: 32, TypeRoot.BIGINT: 64, TypeRoot.SMALLINT: 16, TypeRoot.TINYINT: 8}


def aggregate(call: AggregateCall, rows: Sequence[Sequence[Any]]) -> Any:
    """The value of ``call`` over ``rows``."""
    if call.filter is not None:
        rows = [row for row in rows if row[call.filter]]
    if not call.arguments:
        return len(rows)
    arguments = [tuple(row[index] for index in call.arguments) for row in rows]
    if call.name == "ARRAY_AGG" and not call.ignore_nulls and not call.distinct:
        return [value for (value,) in arguments] or None
    if call.name in ("JSON_ARRAYAGG", "JSON_OBJECTAGG"):
        return _json(call, arguments)
    arguments = [each for each in arguments if None not in each]
    if call.distinct:
        arguments = list(dict.fromkeys(arguments))
    return _of_values(call, [each[0] for each in arguments])


def _of_values(call: AggregateCall, values: list[Any]) -> Any:
    name = call.name
    if name in ("COUNT", "APPROX_COUNT_DISTINCT"):
        return len(values) if name == "COUNT" else len(set(values))
    if name == "COLLECT":
        return list(Counter(values).items())
    if name == "SUM0":
        return _wrapped(call, sum(values))
    if not values:
        return None
    if name == "SUM":
        return _wrapped(call, sum(values))
    if name == "AVG":
        return _average(call, values)
    if name in ("MIN", "MAX"):
        return min(values) if name == "MIN" else max(values)
    if name in ("FIRST_VALUE", "LAST_VALUE"):
        return values[0] if name == "FIRST_VALUE" else values[-1]
    if name == "LISTAGG":
        return (call.constants[0] if call.constants else ",").join(values)
    if name == "ARRAY_AGG":
        return values
    if name == "PERCENTILE":
        return _percentile(values, call.constants[0])
    return _variance(name, values)


def _wrapped(call: AggregateCall, total: Any) -> Any:
    if isinstance(total, Decimal):
        return None if abs(total) >= 10 ** (call.type.precision - call.type.scale) else total
    bits = _BITS.get(call.type.root)
    return total if bits is None else (total + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def _average(call: AggregateCall, values: list[Any]) -> Any:
    if isinstance(values[0], Decimal):
        with localcontext(prec=76):
            mean = sum(values) / len(values)
            return mean.quantize(Decimal(1).scaleb(-call.type.scale), ROUND_HALF_UP)
    if isinstance(values[0], int):
        total = sum(values)
        return abs(total) // len(values) * (1 if total >= 0 else -1)
    return sum(values) / len(values)


def _percentile(values: list[Any], share: float) -> float:
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return float(low + (high - low) * (place - math.floor(place)))


def _variance(name: str, values: list[Any]) -> float | None:
    divisor = len(values) - name.endswith("_SAMP")
    if divisor <= 0:
        return None
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / divisor
    return math.sqrt(variance) if name.startswith("STDDEV") else variance


def _json(call: AggregateCall, arguments: list[tuple[Any, ...]]) -> str:
    if call.ignore_nulls:
        arguments = [each for each in arguments if each[-1] is not None]
    value: Any = dict(arguments) if call.name == "JSON_OBJECTAGG" else [each[0] for each in arguments]
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
