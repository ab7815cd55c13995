"""How compiled expressions run: shared parts, branches on their own rows, folding, errors, zones."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import time
from typing import Any

import pyarrow as pa
import pytest

from millstream.core.errors import RecordTypeError
from millstream.core.table import logical_types as lt
from millstream.core.table.evaluation import (
    can_fail,
    compile_predicate,
    compile_projections,
    fold_constants,
    is_deterministic,
)
from millstream.core.table.expressions import Literal
from millstream.core.table.functions import registry, string
from millstream.core.table.functions.function import EvaluationContext, TypeMismatch
from tests.unit.table.expression_text import evaluate, parse, printed, row_type

COLUMNS = row_type(a=lt.INT, b=lt.INT, s=lt.STRING, ts=lt.timestamp(3), p=lt.BIGINT)


def batch(rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    values = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
    return pa.record_batch(
        [pa.array(list(v), c.type.arrow()) for v, c in zip(values, COLUMNS.columns, strict=True)], names=COLUMNS.names
    )


ROWS = batch([(1, 0, "7", 1000, 5), (4, 2, "x", None, None), (None, 1, None, 86_400_000, 7)])


def column(text: str, rows: pa.RecordBatch = ROWS, **given: Any) -> list[Any]:
    return list(evaluate(text, COLUMNS, rows.columns, **given).to_pylist())


def test_a_branch_sees_only_the_rows_it_applies_to() -> None:
    assert column("CASE WHEN b <> 0 THEN a / b ELSE -1 END") == [-1, 2, None]
    assert column("b <> 0 AND a / b > 1") == [False, True, None]
    assert column("b = 0 OR a / b > 1") == [True, True, None]
    assert column("CASE WHEN s = 'x' THEN 0 ELSE CAST(s AS INT) END") == [7, 0, None]
    assert column("IF(b = 0, 0, a / b)") == [0, 2, None]
    assert column("COALESCE(NULLIF(b, 0) - 1, a / NULLIF(b, 0))") == [None, 1, 0]
    with pytest.raises(RecordTypeError, match=r"/\(1, 0\): division by zero"):
        column("a / b")


def test_nested_branches_narrow_the_rows_further() -> None:
    text = "CASE WHEN a IS NOT NULL THEN CASE WHEN b <> 0 THEN a / b ELSE a + b END ELSE b END"
    assert column(text) == [1, 2, 1]


def test_errors_name_function_and_value() -> None:
    with pytest.raises(RecordTypeError, match=r"CAST\('x'\): the text is no INT.*TRY_CAST"):
        column("CAST(s AS INT)")
    assert column("TRY_CAST(s AS INT)") == [7, None, None]


def test_an_empty_batch_has_typed_columns() -> None:
    empty = batch([])
    for text in (
        "a + b",
        "CASE WHEN b <> 0 THEN a / b ELSE 0 END",
        "UPPER(s)",
        "DATE_FORMAT(ts, 'yyyy')",
        "1",
        "s LIKE 'a%'",
    ):
        assert column(text, empty) == []


def test_columns_pass_by_reference_and_equal_parts_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    upper = registry.scalar_function("UPPER")
    assert upper is not None

    def counted(arguments: Any, kind: Any, context: Any) -> Any:
        calls.append(context.rows)
        return upper.evaluate(arguments, kind, context)

    monkeypatch.setitem(registry._by_name(), "UPPER", replace(upper, evaluate=counted))
    project = compile_projections([parse(text, COLUMNS) for text in ("a", "UPPER(s)", "UPPER(s) || '!'", "1")], COLUMNS)
    first, second, third, fourth = project(ROWS, EvaluationContext(rows=3))
    assert first is ROWS.columns[0] or first.buffers()[1].address == ROWS.columns[0].buffers()[1].address
    assert second.to_pylist() == ["7", "X", None]
    assert third.to_pylist() == ["7!", "X!", None]
    assert fourth.to_pylist() == [1, 1, 1]
    assert calls == [3]


def test_predicates_have_no_nulls() -> None:
    keep = compile_predicate(parse("a > 1", COLUMNS), COLUMNS)
    assert keep(ROWS.columns, EvaluationContext(rows=3)).to_pylist() == [False, True, False]
    never = compile_predicate(parse("NULL = 1", COLUMNS), COLUMNS)
    assert never(ROWS.columns, EvaluationContext(rows=3)).to_pylist() == [False] * 3


def test_folding_keeps_what_fails_and_what_depends_on_the_clock() -> None:
    assert isinstance(fold_constants(parse("1 + 2 * 3")), Literal)
    assert not isinstance(fold_constants(parse("1 / 0")), Literal)
    assert not isinstance(fold_constants(parse("NOW()")), Literal)
    assert str(fold_constants(parse("a > 1 AND 1 = 1", COLUMNS))) == ">($0, 1)"
    assert str(fold_constants(parse("a > 1 OR 1 = 1", COLUMNS))) == "True"
    assert str(fold_constants(parse("CASE WHEN 1 = 2 THEN a ELSE b END", COLUMNS))) == "$1"
    assert column("CASE WHEN a = 1 THEN 0 ELSE 1 / 0 END", ROWS.slice(0, 1)) == [0]


def test_what_can_fail_and_what_is_deterministic() -> None:
    assert can_fail(parse("a / b", COLUMNS)) and not can_fail(parse("a + b", COLUMNS))
    assert can_fail(parse("CAST(s AS INT)", COLUMNS)) and not can_fail(parse("TRY_CAST(s AS INT)", COLUMNS))
    assert is_deterministic(parse("a + b", COLUMNS)) and not is_deterministic(parse("RAND() + a", COLUMNS))


def test_errors_of_binding_name_types_and_nearest_function() -> None:
    for text, message in (
        ("LOWR('a')", "no function LOWR. Did you mean LOWER"),
        ("'a' + 1", r"\+ does not take CHAR\(1\) and INT"),
        ("LOWER(1)", "argument 1 of LOWER must be a STRING, not INT"),
        ("CASE WHEN 1 = 1 THEN 1 ELSE 'a' END", r"CASE does not take INT and CHAR\(1\)"),
        ("TRUE > 1", "> does not take BOOLEAN and INT"),
        ("CAST(DATE '2024-01-01' AS INT)", "CAST does not convert DATE to INT"),
        ("DATE_FORMAT(ts, 'yyyy-bb')", "letter 'b'"),
        ("SUBSTRING('a')", "SUBSTRING takes 2 to 3 arguments, not 1"),
        ("EXTRACT(FORTNIGHT FROM ts)", "no unit 'FORTNIGHT'"),
    ):
        with pytest.raises(TypeMismatch, match=message):
            parse(text, COLUMNS)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("1 + 1", "INT NOT NULL"),
        ("a + p", "BIGINT"),
        ("a / b", "INT"),
        ("0.908 * p", "DECIMAL(23, 3)"),
        ("1.25 + 1.5", "DECIMAL(4, 2) NOT NULL"),
        ("CAST(1 AS DECIMAL(38, 10)) * CAST(1 AS DECIMAL(38, 10))", "DECIMAL(38, 6)"),
        ("CAST(1 AS DECIMAL(20, 4)) / CAST(1 AS DECIMAL(20, 4))", "DECIMAL(38, 18)"),
        ("a + 1e0", "DOUBLE"),
        ("p % a", "INT"),
        ("'a' || 'b'", "STRING NOT NULL"),
        ("CASE WHEN a = 1 THEN 'a' ELSE 'abc' END", "VARCHAR(3) NOT NULL"),
        ("CASE WHEN a = 1 THEN 'a' END", "CHAR(1)"),
        ("COALESCE(a, 1)", "INT NOT NULL"),
        ("ROUND(2.345, 2)", "DECIMAL(4, 2) NOT NULL"),
        ("HOUR(ts)", "BIGINT"),
        ("TO_TIMESTAMP('x')", "TIMESTAMP(3)"),
        ("s IS NULL", "BOOLEAN NOT NULL"),
        ("ts - INTERVAL '1' DAY", "TIMESTAMP(3)"),
    ],
)
def test_result_types(text: str, kind: str) -> None:
    found = parse(text, COLUMNS).type
    assert found.text() == kind.removesuffix(" NOT NULL")
    if kind.endswith("NOT NULL") and "CAST" not in text:
        assert not found.nullable


def test_instants_are_seen_in_the_zone_of_the_session() -> None:
    text = "CAST(TO_TIMESTAMP_LTZ(0, 3) AS STRING)"
    assert printed(text, "Asia/Shanghai") == "1970-01-01 08:00:00.000"
    assert printed(text, "UTC") == "1970-01-01 00:00:00.000"
    assert printed("HOUR(TO_TIMESTAMP_LTZ(0, 3))", "Asia/Shanghai") == "8"
    assert printed("CAST(CAST(TIMESTAMP '2024-03-31 12:00:00' AS TIMESTAMP_LTZ(3)) AS STRING)", "Europe/Berlin") == (
        "2024-03-31 12:00:00.000"
    )
    assert printed("FROM_UNIXTIME(0)", "Asia/Shanghai") == "1970-01-01 08:00:00"
    assert printed("UNIX_TIMESTAMP('1970-01-01 08:00:00')", "Asia/Shanghai") == "0"
    assert printed("CURRENT_DATE", "Asia/Shanghai", now_us=86_400_000_000 - 1) == "1970-01-02"


def test_random_functions_take_the_numbers_of_the_operator() -> None:
    assert printed("RAND()", random=lambda count: [0.25] * count) == "0.25"
    assert printed("RAND_INTEGER(10)", random=lambda count: [0.99] * count) == "9"
    assert printed("UUID()", random=lambda count: [0.5] * count) == "80000000-8000-4000-8000-000080000000"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("9223372036854775807 + 1", "-9223372036854775808"),
        ("CAST(-2147483648 AS INT) / -1", "-2147483648"),
        ("ABS(-2147483648)", "2147483648"),
        ("CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)) + 1", "NULL"),
        ("CAST(1e20 AS INT)", "2147483647"),
        ("CAST('  12.9 ' AS INT)", "12"),
        ("CAST('1e3' AS DOUBLE)", "1000.0"),
        ("CAST('NaN' AS DOUBLE)", "NaN"),
        ("CAST(1e0 / 3 AS FLOAT)", "0.33333334"),
        ("CAST(12345678e0 AS STRING)", "1.2345678E7"),
        ("CAST('2024-1-2 3:4:5.6789' AS TIMESTAMP(3))", "2024-01-02 03:04:05.678"),
        ("CAST('abcdef' AS VARCHAR(3))", "abc"),
        ("CAST('ab' AS CHAR(4)) || '|'", "ab  |"),
        ("CAST('t' AS BOOLEAN)", "TRUE"),
        ("CAST(MAP['a', 1] AS STRING)", "{a=1}"),
        ("CAST(ARRAY[1, 2] AS ARRAY<STRING>)", "[1, 2]"),
        ("CAST(INTERVAL '26' HOUR AS STRING)", "+1 02:00:00.000"),
    ],
)
def test_bounds_and_texts(text: str, answer: str) -> None:
    assert printed(text) == answer


def test_splitting_goes_by_bytes_and_respects_slices() -> None:
    texts = pa.array(["skip", "a--b--c", "--", None, "é--ü", "x"])[1:]
    columns = row_type(s=lt.STRING)
    for index, expected in (
        (0, ["a", "", None, "é", "x"]),
        (1, ["b", "", None, "ü", None]),
        (2, ["c", None, None, None, None]),
    ):
        assert evaluate(f"SPLIT_INDEX(s, '--', {index})", columns, [texts]).to_pylist() == expected
    assert string._split_one("a--b", "--", 1) == "b"


def test_constants_that_python_cannot_hold_are_left_to_the_job() -> None:
    far = fold_constants(parse("TIMESTAMPADD(YEAR, 9000, TIMESTAMP '2024-01-01 00:00:00')", COLUMNS))
    assert not isinstance(far, Literal)
    assert isinstance(fold_constants(parse("TIMESTAMPADD(YEAR, 9, TIMESTAMP '2024-01-01 00:00:00')", COLUMNS)), Literal)


def test_upper_case_as_java_has_it() -> None:
    assert column("UPPER(s || 'straße')")[:2] == ["7STRASSE", "XSTRASSE"]


def test_a_division_by_zero_names_its_operator() -> None:
    with pytest.raises(RecordTypeError, match=r"%\(1, 0\): division by zero"):
        column("a % b")


def test_times_have_the_digits_of_their_type() -> None:
    (cut,) = evaluate("CAST(TIMESTAMP '2024-01-01 10:20:30.456' AS TIME)", COLUMNS, ROWS.columns).unique().to_pylist()
    assert cut == time(10, 20, 30)


@pytest.mark.parametrize(
    ("unit", "start", "end", "count"),
    [
        ("MONTH", "2024-01-31 00:00:00", "2024-02-29 00:00:00", 1),
        ("MONTH", "2024-01-31 10:00:00", "2024-02-29 09:00:00", 0),
        ("MONTH", "2024-03-31 00:00:00", "2024-02-29 00:00:00", -1),
        ("MONTH", "2024-02-29 10:00:00", "2024-01-31 11:00:00", -1),
        ("MONTH", "2024-01-15 10:00:00", "2024-02-14 11:00:00", 0),
        ("QUARTER", "2024-01-31 00:00:00", "2024-04-30 00:00:00", 1),
        ("YEAR", "2024-02-29 00:00:00", "2025-02-28 00:00:00", 1),
        ("YEAR", "1969-12-31 00:00:00", "1971-12-30 00:00:00", 1),
    ],
)
def test_months_between_are_those_of_flink(unit: str, start: str, end: str, count: int) -> None:
    """As Flink 2.3 answered."""
    assert set(column(f"TIMESTAMPDIFF({unit}, TIMESTAMP '{start}', TIMESTAMP '{end}')")) == {count}


def test_a_date_may_lack_its_day() -> None:
    assert column("CAST(CAST('2024-02' AS DATE) AS STRING)")[0] == "2024-02-01"
    assert column("CAST(TRY_CAST('2024' AS DATE) AS STRING)")[0] == "2024-01-01"
    assert column("TRY_CAST('2024-13' AS DATE)")[0] is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-01-01 00:00:00.000", 1704067200),
        ("2024-01-01 00:00:00 xx", 1704067200),
        ("2024-1-1 1:2:3", 1704070923),
        ("2024-13-45 00:00:00", 1739491200),
        ("x", -(2**63)),
    ],
)
def test_unix_timestamp_reads_texts_as_leniently_as_java(text: str, seconds: int) -> None:
    """As Flink 2.3 answered."""
    assert set(column(f"UNIX_TIMESTAMP('{text}')")) == {seconds}


def test_convert_tz_reads_texts_as_leniently_as_java() -> None:
    assert column("CONVERT_TZ('1970-1-1 0:0:0.5', 'UTC', 'America/Los_Angeles')")[0] == "1969-12-31 16:00:00"
    assert column("CONVERT_TZ('x', 'UTC', 'America/Los_Angeles')")[0] is None
