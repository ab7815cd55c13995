"""What a terminal shows of results: values as text, columns of fixed width, rows that change."""

import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.client.sql_shell.cell_text import column_texts, value_text
from millstream.client.sql_shell.grid import Grid
from millstream.client.sql_shell.materialized_result import ChangeLog, MaterializedResult
from millstream.core.elements.batch import RowKind
from millstream.core.table import logical_types as t

BERLIN = ZoneInfo("Europe/Berlin")


def test_values() -> None:
    assert value_text(None) == "<NULL>"
    assert value_text(True) == "TRUE"
    assert value_text("abc") == "abc"


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (Decimal("1E+3"), t.decimal(10, 0), "1000"),
        (b"\x01\xff", t.BYTES, "x'01ff'"),
        ([1, None], t.array(t.INT), "[1, NULL]"),
        ([("k", 1)], t.map_of(t.STRING, t.INT), "{k=1}"),
        ({"a": 1, "b": "x"}, t.row(("a", t.INT), ("b", t.STRING)), "(1, x)"),
        (datetime.date(2020, 2, 1), t.DATE, "2020-02-01"),
        (datetime.time(1, 2, 3, 456000), t.LogicalType(t.TypeRoot.TIME), "01:02:03"),
        (datetime.time(1, 2, 3, 456000), t.LogicalType(t.TypeRoot.TIME, precision=3), "01:02:03.456"),
        (1e10, t.DOUBLE, "1.0E10"),
        (float("inf"), t.DOUBLE, "Infinity"),
        (14, t.INTERVAL_YEAR_MONTH, "+1-02"),
        (datetime.timedelta(days=1, milliseconds=5), t.INTERVAL_DAY_TIME, "+1 00:00:00.005"),
        (False, t.BOOLEAN, "FALSE"),
        (None, t.INT, "<NULL>"),
    ],
)
def test_values_are_shown_as_cast_to_string_writes_them(value: Any, kind: t.LogicalType, text: str) -> None:
    assert column_texts(pa.array([value], kind.arrow()), kind, BERLIN) == [text]


def test_times_keep_their_digits_and_take_the_zone() -> None:
    nanoseconds = pa.array([1_600_000_000_123_456_789, None, -1], pa.int64()).cast(pa.timestamp("ns"))
    assert column_texts(nanoseconds, t.timestamp(9), BERLIN) == [
        "2020-09-13 12:26:40.123456789",
        "<NULL>",
        "1969-12-31 23:59:59.999999999",
    ]
    instants = pa.array([1_600_000_000_120], pa.int64()).cast(pa.timestamp("ms", "UTC"))
    assert column_texts(instants, t.timestamp_ltz(3), BERLIN) == ["2020-09-13 14:26:40.120"]
    assert column_texts(instants.cast(pa.timestamp("ms")), t.timestamp(0), BERLIN) == ["2020-09-13 12:26:40"]


def test_a_grid_cuts_and_aligns() -> None:
    grid = Grid.for_types(("n", "text"), (t.TINYINT, t.STRING), 8)
    assert grid.header() == ["+------+----------+", "|    n | text     |", "+------+----------+"]
    assert grid.row(("12", "much too long")) == "|   12 | much ... |"
    assert grid.row(("1", "日本語")) == "|    1 | 日本語   |"
    assert grid.row(("1", "a\nb")) == "|    1 | a\\nb     |"


def changed(*changes: tuple[RowKind, str], rows_max: int = 10) -> MaterializedResult:
    result = MaterializedResult(rows_max)
    for kind, text in changes:
        result.apply(kind, (text,))
    return result


def test_an_update_keeps_its_place() -> None:
    result = changed(
        (RowKind.INSERT, "a"),
        (RowKind.INSERT, "b"),
        (RowKind.UPDATE_BEFORE, "a"),
        (RowKind.UPDATE_AFTER, "c"),
        (RowKind.DELETE, "b"),
        (RowKind.INSERT, "d"),
    )
    assert result.rows() == [("c",), ("d",)]
    assert (len(result), result.changes) == (2, 6)


def test_the_oldest_rows_go() -> None:
    result = changed(*[(RowKind.INSERT, str(n)) for n in range(5)], (RowKind.DELETE, "0"), rows_max=3)
    assert (result.rows(), result.dropped) == ([("2",), ("3",), ("4",)], 2)
    assert result.rows(1, 1) == [("3",)]


OPERATIONS = st.lists(st.tuples(st.sampled_from(["add", "remove", "update"]), st.integers(0, 5), st.integers(0, 5)))


@given(OPERATIONS)
def test_the_rows_are_the_bag_that_the_changes_give(operations: list[tuple[str, int, int]]) -> None:
    result, twin = MaterializedResult(1000), []
    for operation, old, new in operations:
        if operation == "add":
            result.apply(RowKind.INSERT, (str(new),))
            twin.append(str(new))
        elif str(old) in twin:
            twin.remove(str(old))
            result.apply(RowKind.DELETE if operation == "remove" else RowKind.UPDATE_BEFORE, (str(old),))
            if operation == "update":
                result.apply(RowKind.UPDATE_AFTER, (str(new),))
                twin.append(str(new))
    assert sorted(row for (row,) in result.rows()) == sorted(twin)
    assert len(result) == len(twin)


def test_many_removed_rows_leave_no_holes() -> None:
    result = MaterializedResult(10_000)
    for number in range(5000):
        result.apply(RowKind.INSERT, (str(number),))
    result.apply(RowKind.UPDATE_BEFORE, ("4999",))
    for number in range(4990):
        result.apply(RowKind.DELETE, (str(number),))
    result.apply(RowKind.UPDATE_AFTER, ("last",))
    result.apply(RowKind.DELETE, ("4990",))
    assert result.rows() == [*[(str(number),) for number in range(4991, 4999)], ("last",)]
    assert len(result._slots) < 2000


def test_a_change_log_keeps_the_last_changes() -> None:
    log = ChangeLog(2)
    for kind in (RowKind.INSERT, RowKind.UPDATE_BEFORE, RowKind.UPDATE_AFTER):
        log.apply(kind, ("x",))
    assert (log.rows(), log.changes) == ([("-U", "x"), ("+U", "x")], 3)
