"""TYPEOF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from millstream.core.table import logical_types as lt
from millstream.core.table.arrow_types import logical_type
from millstream.core.table.expressions import Expression, Literal
from millstream.core.table.functions.binding import ANY, CONDITION, takes
from millstream.core.table.functions.function import EvaluationContext, ScalarFunction, Value
from millstream.core.table.logical_types import LogicalType


def type_of(arguments: Sequence[Expression]) -> Expression:
    """The type of the first argument as a constant: it is known before the job runs."""
    text = str(arguments[0].type)
    return Literal(lt.char(len(text)).with_nullable(False), text)


def _evaluate(arguments: Sequence[Value], kind: LogicalType, context: EvaluationContext) -> Value:
    return pa.scalar(str(logical_type(arguments[0].type)), pa.string())


FUNCTIONS: Final = (
    ScalarFunction(
        "TYPEOF",
        takes("TYPEOF", ANY, CONDITION, optional=1, result=lt.STRING, nullable=False),
        _evaluate,
        summary="The name of the type.",
        examples=(("TYPEOF('abc')", "CHAR(3) NOT NULL"), ("TYPEOF(1 + 1.5)", "DECIMAL(12, 1) NOT NULL")),
    ),
)
