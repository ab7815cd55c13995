"""Random expressions where SQL leaves no choice: the same values as DuckDB gives."""

import datetime
import math
from typing import Any

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.table import logical_types as lt
from millstream.core.table.evaluation import fold_constants
from tests.unit.table.expression_text import evaluate, parse, row_type

COLUMNS = row_type(a=lt.BIGINT, b=lt.BIGINT, x=lt.DOUBLE, s=lt.STRING, t=lt.STRING, ts=lt.timestamp(6), d=lt.DATE)
SMALL = st.none() | st.integers(-1000, 1000)
REAL = st.none() | st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3) + 0.0)
WORD = st.none() | st.text("abcAB é%_", max_size=6)
TIME = st.none() | st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2100, 1, 1))
DATE = st.none() | st.dates(datetime.date(1900, 1, 1), datetime.date(2100, 1, 1))
ROWS = st.lists(st.tuples(SMALL, SMALL, REAL, WORD, WORD, TIME, DATE), min_size=1, max_size=12)


def both(*parts: Any) -> st.SearchStrategy[str]:
    return st.tuples(*(part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts)).map("".join)


WHOLE: st.SearchStrategy[str] = st.deferred(
    lambda: (
        st.sampled_from(["a", "b", "1", "7", "-3", "CAST(NULL AS BIGINT)"])
        | both("(", WHOLE, st.sampled_from([" + ", " - "]), WHOLE, ")")
        | both("(a * ", st.sampled_from(["2", "b", "-1"]), ")")
        | both("CASE WHEN ", CONDITION, " THEN ", WHOLE, " ELSE ", WHOLE, " END")
        | both("COALESCE(", WHOLE, ", ", WHOLE, ")")
        | both("ABS(", WHOLE, ")")
        | both("NULLIF(", WHOLE, ", ", WHOLE, ")")
        | both("(", WHOLE, " % ", st.sampled_from(["7", "-5"]), ")")
        | both("CHAR_LENGTH(", TEXT, ")")
        | both("POSITION(", TEXT, ", ", TEXT, ")")
        | both(
            "EXTRACT(",
            st.sampled_from(["YEAR", "MONTH", "DAY", "HOUR", "MINUTE", "WEEK", "QUARTER", "DOY"]),
            " FROM ts)",
        )
        | both("EXTRACT(", st.sampled_from(["YEAR", "MONTH", "DAY", "ISODOW", "CENTURY"]), " FROM d)")
    )
)
TEXT: st.SearchStrategy[str] = st.deferred(
    lambda: (
        st.sampled_from(["s", "t", "'ab'", "'%'"])
        | both("LOWER(", TEXT, ")")
        | both("UPPER(", TEXT, ")")
        | both("(", TEXT, " || ", TEXT, ")")
        | both("SUBSTRING(", TEXT, ", ", st.sampled_from(["1", "2", "3"]), ", ", st.sampled_from(["1", "3"]), ")")
        | both("REPLACE(", TEXT, ", 'a', ", TEXT, ")")
        | both("REVERSE(", TEXT, ")")
        | both("TRIM(", TEXT, ")")
        | both("LEFT(", TEXT, ", 2)")
        | both("LPAD(", TEXT, ", 4, 'xy')")
        | both("CASE WHEN ", CONDITION, " THEN ", TEXT, " ELSE ", TEXT, " END")
        | both("CAST(", WHOLE, " AS VARCHAR(40))")
    )
)
CONDITION: st.SearchStrategy[str] = st.deferred(
    lambda: (
        both("(", WHOLE, st.sampled_from([" = ", " <> ", " < ", " <= ", " > ", " >= "]), WHOLE, ")")
        | both("(", TEXT, st.sampled_from([" = ", " <> "]), TEXT, ")")
        | both("(", CONDITION, st.sampled_from([" AND ", " OR "]), CONDITION, ")")
        | both("(NOT ", CONDITION, ")")
        | both("(", WHOLE, " IS ", st.sampled_from(["NULL", "NOT NULL", "DISTINCT FROM b", "NOT DISTINCT FROM a"]), ")")
        | both("(", TEXT, " LIKE ", st.sampled_from(["'a%'", "'%b_'", "'_'", "'%'"]), ")")
        | both("(", WHOLE, st.sampled_from([" IN ", " NOT IN "]), "(1, 7, a, NULL))")
        | both("(", WHOLE, " BETWEEN ", WHOLE, " AND ", WHOLE, ")")
        | st.sampled_from(["(ts < d)", "(x > a)", "(x = b)", "(d >= '2000-01-01')"])
    )
)
DOUBLE = st.sampled_from(
    ["x + a", "x * 2e0", "x - x", "FLOOR(x)", "CEIL(x)", "x / 4e0", "SQRT(ABS(x))", "DEGREES(x)", "SIN(x)"]
)
EXACT = st.sampled_from(["a * 0.908", "a * 1.5 + b", "CAST(a AS DECIMAL(10, 2)) - 0.25", "CAST(x AS DECIMAL(12, 3))"])


def compare(text: str, rows: list[tuple[Any, ...]]) -> None:
    arrays = [
        pa.array(list(values), column.type.arrow())
        for values, column in zip(zip(*rows, strict=True), COLUMNS.columns, strict=True)
    ]
    table = pa.table(arrays, names=COLUMNS.names)
    told = text.replace("POSITION(", "STRPOS_SWAPPED(")
    with duckdb.connect() as connection:
        connection.execute("CREATE MACRO strpos_swapped(needle, hay) AS strpos(hay, needle)")
        connection.register("rows", table)
        expected = [row[0] for row in connection.execute(f"SELECT {told} FROM rows").fetchall()]
    for expression in (parse(text, COLUMNS), fold_constants(parse(text, COLUMNS))):
        found = evaluate(expression, COLUMNS, arrays).to_pylist()
        assert len(found) == len(expected)
        for row, one, other in zip(rows, found, expected, strict=True):
            same = (
                math.isclose(one, other, rel_tol=1e-12)
                if isinstance(one, float) and other is not None
                else one == other
            )
            assert same, f"{text} on {row}: {one!r}, DuckDB says {other!r}"


@settings(max_examples=80, deadline=None)
@given(WHOLE | TEXT | CONDITION, ROWS)
def test_random_expressions(text: str, rows: list[tuple[Any, ...]]) -> None:
    compare(text, rows)


@settings(max_examples=40, deadline=None)
@given(DOUBLE | EXACT, ROWS)
def test_numbers_that_are_not_whole(text: str, rows: list[tuple[Any, ...]]) -> None:
    compare(text, rows)
