"""The functions that begin expressions (``pyflink.table.expressions``)."""

from __future__ import annotations

from typing import Any, Final

from sqlglot import exp

from millstream.core.table.logical_types import LogicalType
from millstream.datastream.call_site import refuse
from millstream.sql.parser.types import type_node
from millstream.table import expression_parser
from millstream.table.expression import (
    Expression,
    _unit_expression,
    binary,
    conditional,
    expression_of,
    function_call,
    user_call,
)
from millstream.table.literals import literal_node
from millstream.table.method_names import ROWS
from millstream.table.time_units import TimePointUnit
from millstream.table.user_functions import as_user_function, unnamed

__all__ = [
    "CURRENT_RANGE", "CURRENT_ROW", "UNBOUNDED_RANGE", "UNBOUNDED_ROW", "and_", "array", "array_", "atan2", "call",
    "call_sql", "coalesce", "col", "concat", "concat_ws", "convert_tz", "current_date", "current_time",
    "current_timestamp", "current_watermark", "date_format", "dense_rank", "e", "from_unixtime", "if_then_else",
    "interval_", "json_array", "json_object", "json_string", "lit", "local_time", "local_timestamp", "log", "map_",
    "map_from_arrays", "negative", "not_", "null_of", "or_", "pi", "proctime", "rand", "rand_integer", "range_", "rank",
    "row", "row_interval", "row_number", "source_watermark", "temporal_overlaps", "timestamp_diff", "to_date",
    "to_timestamp", "to_timestamp_ltz", "unix_timestamp", "uuid", "with_columns", "without_columns",
]  # fmt: skip


def _bound(name: str) -> Expression:
    return Expression(exp.var(name))


UNBOUNDED_RANGE: Final = _bound("UNBOUNDED RANGE")
UNBOUNDED_ROW: Final = _bound("UNBOUNDED ROWS")
CURRENT_RANGE: Final = _bound("CURRENT RANGE")
CURRENT_ROW: Final = _bound("CURRENT ROWS")


def col(name: str) -> Expression:
    """A column by its name; ``"*"`` is all columns."""
    if not isinstance(name, str) or not name:
        raise refuse(f"col takes the name of a column, not {name!r:.60}.")
    if name == "*":
        return Expression(exp.Star())
    return Expression(exp.Column(this=exp.to_identifier(name, quoted=True)))


def lit(value: Any, data_type: LogicalType | None = None) -> Expression:
    """A constant, of the type that its value has or of ``data_type``."""
    made = expression_of(value) if isinstance(value, Expression) else Expression(literal_node(value))
    return made if data_type is None else made.cast(data_type)


def null_of(data_type: LogicalType) -> Expression:
    """NULL of a type."""
    return Expression(exp.Cast(this=exp.Null(), to=type_node(data_type)))


def call(function: Any, *args: Any) -> Expression:
    """A call by name of a built-in function or one of the catalog, or of a function itself."""
    if isinstance(function, str):
        return function_call(function, *args)
    made = as_user_function(getattr(function, "__name__", type(function).__name__), function)
    return user_call(unnamed(made), made, args)


def call_sql(sql_expression: str) -> Expression:
    """An expression as SQL writes it. Raises ``SqlError`` with its place."""
    return Expression(expression_parser.parse(sql_expression))


# -- conditions --------------------------------------------------------------------------------------------------------


def and_(predicate0: Any, predicate1: Any, *predicates: Any) -> Expression:
    """Whether all hold."""
    return _folded(exp.And, (predicate0, predicate1, *predicates))


def or_(predicate0: Any, predicate1: Any, *predicates: Any) -> Expression:
    """Whether one holds."""
    return _folded(exp.Or, (predicate0, predicate1, *predicates))


def _folded(kind: type[exp.Expression], predicates: tuple[Any, ...]) -> Expression:
    result = expression_of(predicates[0])
    for predicate in predicates[1:]:
        result = binary(kind, result, predicate)
    return result


def not_(expression: Any) -> Expression:
    return ~expression_of(expression)


def if_then_else(condition: Any, if_true: Any, if_false: Any) -> Expression:
    """One of two values."""
    return conditional(condition, if_true, if_false)


def coalesce(*args: Any) -> Expression:
    """The first that is not NULL."""
    return function_call("COALESCE", *args)


# -- columns -----------------------------------------------------------------------------------------------------------


def with_columns(head: Any, *tails: Any) -> Expression:
    """Several columns, by name or by position from 1 on."""
    return function_call("$WITH_COLUMNS", *map(_chosen, (head, *tails)))


def without_columns(head: Any, *tails: Any) -> Expression:
    """All columns but these."""
    return function_call("$WITHOUT_COLUMNS", *map(_chosen, (head, *tails)))


def range_(start: str | int, end: str | int) -> Expression:
    """The columns from ``start`` to ``end``, both included, by name or by position from 1 on."""
    return function_call("$RANGE", _chosen(start), _chosen(end))


def _chosen(column: Any) -> Expression:
    return col(column) if isinstance(column, str) else expression_of(column)


# -- constants and the clock -------------------------------------------------------------------------------------------


def pi() -> Expression:
    return function_call("PI")


def e() -> Expression:
    return function_call("E")


def rand(seed: Any = None) -> Expression:
    return function_call("RAND") if seed is None else function_call("RAND", seed)


def rand_integer(bound: Any, seed: Any = None) -> Expression:
    return function_call("RAND_INTEGER", bound) if seed is None else function_call("RAND_INTEGER", seed, bound)


def uuid() -> Expression:
    return function_call("UUID")


def current_date() -> Expression:
    return function_call("CURRENT_DATE")


def current_time() -> Expression:
    return function_call("CURRENT_TIME")


def current_timestamp() -> Expression:
    return function_call("CURRENT_TIMESTAMP")


def local_time() -> Expression:
    return function_call("LOCALTIME")


def local_timestamp() -> Expression:
    return function_call("LOCALTIMESTAMP")


def current_watermark(rowtime_attribute: Any) -> Expression:
    return function_call("CURRENT_WATERMARK", rowtime_attribute)


def proctime() -> Expression:
    """The processing time of the row, as a time attribute."""
    return function_call("PROCTIME")


def source_watermark() -> Expression:
    """In the watermark of a ``Schema``: that of the stream."""
    return function_call("SOURCE_WATERMARK")


# -- times -------------------------------------------------------------------------------------------------------------


def to_date(date_str: Any, format: Any = None) -> Expression:
    return _optional("TO_DATE", date_str, format)


def to_timestamp(timestamp_str: Any, format: Any = None) -> Expression:
    return _optional("TO_TIMESTAMP", timestamp_str, format)


def to_timestamp_ltz(numeric_epoch_time: Any, precision: Any = None) -> Expression:
    return _optional("TO_TIMESTAMP_LTZ", numeric_epoch_time, precision)


def from_unixtime(unixtime: Any, format: Any = None) -> Expression:
    return _optional("FROM_UNIXTIME", unixtime, format)


def unix_timestamp(date_str: Any = None, format: Any = None) -> Expression:
    return _optional("UNIX_TIMESTAMP", date_str, format)


def date_format(timestamp: Any, format: Any) -> Expression:
    return function_call("DATE_FORMAT", timestamp, format)


def timestamp_diff(time_point_unit: TimePointUnit | str, time_point1: Any, time_point2: Any) -> Expression:
    """Whole units from the first to the second."""
    return function_call("TIMESTAMPDIFF", _unit_expression(time_point_unit), time_point1, time_point2)


def convert_tz(date_str: Any, tz_from: Any, tz_to: Any) -> Expression:
    return function_call("CONVERT_TZ", date_str, tz_from, tz_to)


def temporal_overlaps(
    left_time_point: Any, left_temporal: Any, right_time_point: Any, right_temporal: Any
) -> Expression:
    return function_call("OVERLAPS", left_time_point, left_temporal, right_time_point, right_temporal)


def interval_(text: str, unit: str) -> Expression:
    """``interval_("1-2", "YEAR TO MONTH")``: an interval as SQL writes it."""
    return call_sql(f"INTERVAL '{text}' {unit}")


def row_interval(rows: int) -> Expression:
    """A number of rows, for ``preceding`` of an over window."""
    return function_call(ROWS, rows)


# -- texts and numbers -------------------------------------------------------------------------------------------------


def concat(first: Any, *others: Any) -> Expression:
    return function_call("CONCAT", first, *others)


def concat_ws(separator: Any, first: Any, *others: Any) -> Expression:
    """Joined by ``separator``; NULLs are left out."""
    return function_call("CONCAT_WS", separator, first, *others)


def atan2(y: Any, x: Any) -> Expression:
    return function_call("ATAN2", y, x)


def negative(v: Any) -> Expression:
    return -expression_of(v)


def log(v: Any, base: Any = None) -> Expression:
    """The natural logarithm, or that to ``base``."""
    return function_call("LOG", v) if base is None else function_call("LOG", base, v)


# -- collections and JSON ----------------------------------------------------------------------------------------------


def row(head: Any, *tails: Any) -> Expression:
    return function_call("ROW", head, *tails)


def array(head: Any, *tails: Any) -> Expression:
    return function_call("ARRAY", head, *tails)


array_ = array


def map_(key: Any, value: Any, *tail: Any) -> Expression:
    """From keys and values by turns."""
    return function_call("MAP", key, value, *tail)


def map_from_arrays(key: Any, value: Any) -> Expression:
    return function_call("MAP_FROM_ARRAYS", key, value)


def json_string(value: Any) -> Expression:
    return function_call("JSON_STRING", value)


def json_object(*key_values: Any) -> Expression:
    """From keys and values by turns; NULLs stay."""
    return function_call("JSON_OBJECT", *key_values)


def json_array(*values: Any) -> Expression:
    return function_call("JSON_ARRAY", *values)


# -- numbers of rows ---------------------------------------------------------------------------------------------------


def row_number() -> Expression:
    return function_call("ROW_NUMBER")


def rank() -> Expression:
    return function_call("RANK")


def dense_rank() -> Expression:
    return function_call("DENSE_RANK")


def _optional(name: str, first: Any, second: Any) -> Expression:
    return function_call(name, *(value for value in (first, second) if value is not None))
