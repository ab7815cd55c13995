"""What a built-in scalar function is: a name, a rule for types, and an implementation over Arrow columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from millstream.core.errors import JobGraphError
from millstream.core.table.logical_types import LogicalType

if TYPE_CHECKING:
    from millstream.core.table.async_calls import AsyncCalls

Value = Any
"""A ``pyarrow.Array``, or a ``pyarrow.Scalar``: a column, or a constant that stands for a column of equal values."""


class TypeMismatch(JobGraphError):
    """The arguments of a function do not have types that it takes; the message names both."""


@dataclass(frozen=True)
class Signature:
    """How a call is made: arguments are cast to ``parameters`` where they differ in more than nullability."""

    parameters: tuple[LogicalType, ...]
    result: LogicalType


@dataclass
class EvaluationContext:
    """What functions may know besides their arguments; one for the evaluation of one batch."""

    rows: int
    """Of the batch: the length of the result where all arguments are constants."""
    now_us: int = 0
    """Wall clock in microseconds since 1970 UTC, the same for all rows of a batch."""
    watermark_ms: int | None = None
    """For CURRENT_WATERMARK; None before the first one."""
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    """``table.local-time-zone``."""
    subtask_index: int = 0
    random: Callable[[int], Sequence[float]] | None = None
    """``count -> count numbers in [0, 1)``, for RAND and UUID."""
    calls: AsyncCalls | None = None
    """Makes the calls of asynchronous functions; None where nobody can wait for them."""


Bind = Callable[[Sequence[LogicalType], Sequence[object]], Signature]
"""``(argument types, literal values or NOT_LITERAL) -> signature``. Raises ``TypeMismatch``."""

Evaluate = Callable[[Sequence[Value], LogicalType, EvaluationContext], Value]
"""``(arguments cast to the parameters, result type, context) -> a column of ``context.rows``, or a constant``.

At least one of the arguments is a column, unless there are none: calls of constants come as columns of one row.

The result has the Arrow type of the result type. NULL in, NULL out is each function's own business.
"""

CanFail = Callable[[Sequence[LogicalType], LogicalType], bool]
"""``(argument types, result type) -> whether evaluation may raise``."""

NOT_LITERAL = object()
"""Stands for an argument whose value is not known before the job runs."""


@dataclass(frozen=True)
class ScalarFunction:
    """A built-in function."""

    name: str
    bind: Bind
    evaluate: Evaluate
    deterministic: bool = True
    """False for RAND, UUID, CURRENT_TIMESTAMP and their like: never folded, and not twice the same in a retry."""
    can_fail: CanFail | None = None
    """Whether a call with these types may raise on some values; None where it never does. Only what may fail is kept
    from rows that a CASE, an AND or the like leaves out."""
    summary: str = ""
    """One sentence for ``DESCRIBE FUNCTION`` and the reference page."""
    examples: tuple[tuple[str, str], ...] = ()
    """``(SQL expression, its value as SQL prints it)``; run as tests."""
