"""The Table API: names and behaviour of ``pyflink.table``.

``TableEnvironment.create()`` is where a program begins; ``millstream.table.expressions`` has ``col``, ``lit`` and the
other functions that begin expressions. Beyond PyFlink: ``to_arrow``, ``to_polars``, ``from_arrow``, ``from_polars``,
functions vectorised by annotation, and iteration over a table.
"""

from millstream.core.api.row import Row, RowKind
from millstream.table.environment_settings import EnvironmentSettings
from millstream.table.explain_detail import ExplainDetail
from millstream.table.expression import Expression
from millstream.table.schema import Schema
from millstream.table.schemas import ResolvedSchema, TableSchema
from millstream.table.stream_table_environment import StreamTableEnvironment
from millstream.table.table import Table
from millstream.table.table_config import TableConfig
from millstream.table.table_descriptor import FormatDescriptor, TableDescriptor
from millstream.table.table_environment import TableEnvironment
from millstream.table.table_pipeline import StatementSet, TablePipeline
from millstream.table.table_result import ResultKind, TableResult
from millstream.table.time_units import TimeIntervalUnit, TimePointUnit
from millstream.table.types import DataType, DataTypes
from millstream.table.user_functions import (
    AggregateFunction,
    AsyncScalarFunction,
    FunctionContext,
    ScalarFunction,
    TableFunction,
    udaf,
    udf,
    udtf,
)
from millstream.table.windows import Over, Session, Slide, Tumble

__all__ = [
    "AggregateFunction",
    "AsyncScalarFunction",
    "DataType",
    "DataTypes",
    "EnvironmentSettings",
    "ExplainDetail",
    "Expression",
    "FormatDescriptor",
    "FunctionContext",
    "Over",
    "ResolvedSchema",
    "ResultKind",
    "Row",
    "RowKind",
    "ScalarFunction",
    "Schema",
    "Session",
    "Slide",
    "StatementSet",
    "StreamTableEnvironment",
    "Table",
    "TableConfig",
    "TableDescriptor",
    "TableEnvironment",
    "TableFunction",
    "TablePipeline",
    "TableResult",
    "TableSchema",
    "TimeIntervalUnit",
    "TimePointUnit",
    "Tumble",
    "udaf",
    "udf",
    "udtf",
]
