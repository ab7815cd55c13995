"""Aggregate calls of a query, over columns of the operator's input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from millstream.core.table.logical_types import LogicalType


@dataclass(frozen=True)
class AggregateCall:
    """``name(DISTINCT? arguments) FILTER (WHERE filter)``; arguments and filter are columns computed before."""

    name: str
    """COUNT, SUM, SUM0, AVG, MIN, MAX, STDDEV_POP, STDDEV_SAMP, VAR_POP, VAR_SAMP, COLLECT, LISTAGG, ARRAY_AGG,
    FIRST_VALUE, LAST_VALUE, APPROX_COUNT_DISTINCT, PERCENTILE, JSON_OBJECTAGG, JSON_ARRAYAGG, LAG, LEAD,
    ROW_NUMBER, RANK, DENSE_RANK, NTILE, PERCENT_RANK, CUME_DIST, or a user's (then ``function`` is set)."""
    arguments: tuple[int, ...]
    argument_types: tuple[LogicalType, ...]
    type: LogicalType
    distinct: bool = False
    filter: int | None = None
    """A BOOLEAN column: rows where it is not true are left out."""
    constants: tuple[Any, ...] = ()
    """Literal parameters: the separator of LISTAGG, the percentages of PERCENTILE, offset and default of LAG."""
    ignore_nulls: bool = False
    function: Any = None
    """A ``millstream.core.table.python_functions.PythonAggregateFunction``."""

    def __str__(self) -> str:
        return self._text(lambda index: f"${index}")

    def with_names(self, names: Sequence[str]) -> str:
        """The call with the names of the input's columns, and all that its result depends on."""
        more = "".join(f", {constant!r}" for constant in self.constants) + (
            " IGNORE NULLS" if self.ignore_nulls else ""
        )
        return self._text(lambda index: names[index], more)

    def _text(self, name_of: Callable[[int], str], more: str = "") -> str:
        inner = ", ".join(map(name_of, self.arguments)) or "*"
        text = f"{self.name}({'DISTINCT ' if self.distinct else ''}{inner}{more})"
        return text if self.filter is None else f"{text} FILTER {name_of(self.filter)}"
