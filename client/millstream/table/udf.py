"""The names of ``pyflink.table.udf``."""

from millstream.table.user_functions import (
    AggregateFunction,
    FunctionContext,
    ScalarFunction,
    TableFunction,
    UserDefinedFunction,
    udaf,
    udf,
    udtf,
)

__all__ = [
    "AggregateFunction", "FunctionContext", "ScalarFunction", "TableFunction", "UserDefinedFunction", "udaf", "udf",
    "udtf",
]  # fmt: skip
