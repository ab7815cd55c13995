"""The names of ``pyflink.table.udf``."""

from millstream.table.user_functions import (
    AggregateFunction,
    AsyncScalarFunction,
    FunctionContext,
    ScalarFunction,
    TableFunction,
    UserDefinedFunction,
    udaf,
    udf,
    udtf,
)

__all__ = [
    "AggregateFunction", "AsyncScalarFunction", "FunctionContext", "ScalarFunction", "TableFunction",
    "UserDefinedFunction", "udaf", "udf", "udtf",
]  # fmt: skip
