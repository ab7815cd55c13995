"""The result types of aggregate functions and of functions that only stand before OVER."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Final

from millstream.core.table import logical_types as lt
from millstream.core.table.functions.binding import refused
from millstream.core.table.functions.function import TypeMismatch
from millstream.core.table.logical_types import LogicalType, TypeRoot

_R = TypeRoot
_AVERAGE_SCALE_MIN: Final = 6
Rule = Callable[[str, Sequence[LogicalType]], LogicalType]


def _first(name: str, types: Sequence[LogicalType]) -> LogicalType:
    """That of the argument; NULL where there is no row."""
    return types[0].with_nullable(True)


def _comparable(name: str, types: Sequence[LogicalType]) -> LogicalType:
    if types[0].root in lt.COMPOSITE:
        raise refused(name, 0, "of a type that has an order", types[0])
    return _first(name, types)


def _sum(name: str, types: Sequence[LogicalType]) -> LogicalType:
    """Of whole numbers their own type, wrapping around; of DECIMAL all 38 digits."""
    kind = types[0]
    if kind.root is _R.DECIMAL:
        return lt.decimal(lt.MAX_DECIMAL_PRECISION, kind.scale)
    if kind.root in lt.INTERVALS:
        return kind.with_nullable(True)
    return _number(name, kind)


def _sum0(name: str, types: Sequence[LogicalType]) -> LogicalType:
    return _sum(name, types).with_nullable(False)


def _average(name: str, types: Sequence[LogicalType]) -> LogicalType:
    """Of whole numbers their own type, truncated; of DECIMAL at least six digits after the point."""
    kind = types[0]
    if kind.root is _R.DECIMAL:
        return lt.decimal(lt.MAX_DECIMAL_PRECISION, max(_AVERAGE_SCALE_MIN, kind.scale))
    return _number(name, kind)


def _number(name: str, kind: LogicalType) -> LogicalType:
    if kind.root is _R.NULL:
        return lt.INT
    if kind.root not in lt.NUMERIC:
        raise refused(name, 0, "a number", kind)
    return kind.with_nullable(True)


def _always(kind: LogicalType) -> Rule:
    return lambda name, types: kind


def _text(name: str, types: Sequence[LogicalType]) -> LogicalType:
    if types[0].root not in (*lt.TEXT, _R.NULL):
        raise refused(name, 0, "a STRING", types[0])
    return lt.STRING


def _percentile(name: str, types: Sequence[LogicalType]) -> LogicalType:
    """DOUBLE, or an ARRAY of them for an array of percentages."""
    _number(name, types[0])
    several = len(types) > 1 and types[1].root is _R.ARRAY
    return lt.array(lt.DOUBLE.with_nullable(False)) if several else lt.DOUBLE


_COUNT: Final = lt.BIGINT.with_nullable(False)
_JSON: Final = lt.STRING.with_nullable(False)
_SHARE: Final = lt.DOUBLE.with_nullable(False)

_RULES: Final[dict[str, tuple[int, int, Rule]]] = {
    "COUNT": (0, 64, _always(_COUNT)),
    "APPROX_COUNT_DISTINCT": (1, 1, _always(_COUNT)),
    "SUM": (1, 1, _sum),
    "SUM0": (1, 1, _sum0),
    "$SUM0": (1, 1, _sum0),
    "AVG": (1, 1, _average),
    "MIN": (1, 1, _comparable),
    "MAX": (1, 1, _comparable),
    "STDDEV_POP": (1, 1, _average),
    "STDDEV_SAMP": (1, 1, _average),
    "STDDEV": (1, 1, _average),
    "VAR_POP": (1, 1, _average),
    "VAR_SAMP": (1, 1, _average),
    "VARIANCE": (1, 1, _average),
    "COLLECT": (1, 1, lambda name, types: lt.multiset(types[0]).with_nullable(False)),
    "LISTAGG": (1, 2, _text),
    "ARRAY_AGG": (1, 1, lambda name, types: lt.array(types[0])),
    "FIRST_VALUE": (1, 1, _first),
    "LAST_VALUE": (1, 1, _first),
    "PERCENTILE": (1, 3, _percentile),
    "JSON_OBJECTAGG": (2, 2, _always(_JSON)),
    "JSON_OBJECTAGG_NULL_ON_NULL": (2, 2, _always(_JSON)),
    "JSON_OBJECTAGG_ABSENT_ON_NULL": (2, 2, _always(_JSON)),
    "JSON_ARRAYAGG": (1, 1, _always(_JSON)),
    "JSON_ARRAYAGG_NULL_ON_NULL": (1, 1, _always(_JSON)),
    "JSON_ARRAYAGG_ABSENT_ON_NULL": (1, 1, _always(_JSON)),
    "LAG": (1, 3, _first),
    "LEAD": (1, 3, _first),
    "ROW_NUMBER": (0, 0, _always(_COUNT)),
    "RANK": (0, 0, _always(_COUNT)),
    "DENSE_RANK": (0, 0, _always(_COUNT)),
    "NTILE": (0, 1, _always(_COUNT)),
    "PERCENT_RANK": (0, 0, _always(_SHARE)),
    "CUME_DIST": (0, 0, _always(_SHARE)),
}
"""Fewest and most arguments (constants may be left out), and the rule for the type."""


def aggregate_names() -> tuple[str, ...]:
    """All names, in order."""
    return tuple(sorted(_RULES))


def aggregate_type(name: str, types: Sequence[LogicalType]) -> LogicalType:
    """The result type of ``name`` over arguments of ``types``, with DISTINCT or without.

    Raises ``TypeMismatch`` for an unknown name (nearest offered), a wrong number of arguments, or a type not taken.
    """
    rule = _RULES.get(name.upper())
    if rule is None:
        near = difflib.get_close_matches(name.upper(), _RULES, n=1, cutoff=0.6)
        raise TypeMismatch(
            f"there is no aggregate function {name.upper()}." + (f" Did you mean {near[0]}?" if near else "")
        )
    least, most, result = rule
    if not least <= len(types) <= most:
        counted = str(least) if least == most else f"{least} to {most}"
        raise TypeMismatch(f"{name.upper()} takes {counted} arguments, not {len(types)}")
    return result(name.upper(), types)
