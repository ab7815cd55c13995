"""Kernels of functions against plain Python."""

import decimal
import re

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from millstream.core.table import logical_types as lt
from millstream.core.table.functions import decimal_arithmetic
from millstream.core.table.functions.regexp import group_of
from millstream.core.table.functions.regexp_extract import extract_group
from millstream.core.table.functions.split_index import split_index
from millstream.core.table.text_format import java_double
from millstream.core.table.time_patterns import (
    format_column,
    format_tick,
    parse_column,
    parse_text,
    time_pattern,
)

PATTERNS = [
    "yyyy-MM-dd",
    "yyyy-MM-dd HH:mm:ss.SSS",
    "HH:mm",
    "yyyyMMddHHmmss",
    "dd.MM.yy hh:mm a",
    "EEE d MMM yyyy H",
    "DDD",
]
TICKS = st.integers(-62_000_000_000_000, 250_000_000_000_000)


@given(st.lists(st.none() | TICKS, max_size=20), st.sampled_from(PATTERNS))
@example([0, 59_999, 60_000, -1], "HH:mm")
def test_texts_of_columns_are_those_of_single_times(ticks: list[int | None], source: str) -> None:
    pattern = time_pattern(source)
    found = format_column(pa.array(ticks, pa.int64()).cast(pa.timestamp("ms")), pattern).to_pylist()
    assert found == [None if tick is None else format_tick(tick, 1000, pattern) for tick in ticks]


@given(st.lists(TICKS, max_size=20))
def test_what_is_printed_is_read_back(ticks: list[int]) -> None:
    pattern = time_pattern("yyyy-MM-dd HH:mm:ss.SSS")
    times = pa.array(ticks, pa.int64()).cast(pa.timestamp("ms"))
    assert parse_column(format_column(times, pattern), pattern, "ms").equals(times)


@given(st.lists(st.none() | st.from_regex(r"\A(2|x)?0?2[0-4]-[01]?[0-9]-[0-3]?[0-9]( 1)?\Z"), max_size=20))
@example(["2024-02-29", "2023-02-29", "2024-13-01", "2024-04-31", "2024-1-1", ""])
def test_reading_a_column_refuses_what_reading_one_refuses(texts: list[str | None]) -> None:
    pattern = time_pattern("yyyy-MM-dd")
    found = parse_column(pa.array(texts, pa.string()), pattern, "ms").cast(pa.int64()).to_pylist()
    assert found == [None if text is None else parse_text(text, pattern, 1000) for text in texts]


@given(
    st.lists(st.none() | st.text("a/é-", max_size=8), max_size=12),
    st.sampled_from(["/", "--", "é", ""]),
    st.integers(0, 3),
)
def test_parts_are_those_of_split(texts: list[str | None], separator: str, index: int) -> None:
    def one(text: str | None) -> str | None:
        parts = [] if text is None else text.split(separator) if separator else [text]
        return parts[index] if index < len(parts) else None

    assert split_index(pa.array(texts, pa.string()), separator, index).to_pylist() == [one(text) for text in texts]


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)), st.integers(-999, 999).filter(bool))
def test_products_with_a_constant_are_exact(values: list[int | None], unscaled: int) -> None:
    factor = decimal.Decimal(unscaled).scaleb(-3)
    found = decimal_arithmetic.multiply(
        pa.array(values, pa.int64()), pa.scalar(factor, pa.decimal128(3, 3)), lt.decimal(23, 3)
    )
    with decimal.localcontext(prec=60):
        assert found.to_pylist() == [None if value is None else value * factor for value in values]


DECIMALS = st.none() | st.decimals(-(10**17), 10**17, places=4, allow_nan=False)


@given(st.lists(st.tuples(DECIMALS, DECIMALS.filter(lambda value: value is None or value != 0)), min_size=1))
def test_quotients_are_rounded_half_up(pairs: list[tuple[decimal.Decimal | None, decimal.Decimal | None]]) -> None:
    left, right = (pa.array(list(side), pa.decimal128(22, 4)) for side in zip(*pairs, strict=True))
    found = decimal_arithmetic.divide(left, right, lt.decimal(38, 8)).to_pylist()
    with decimal.localcontext(prec=90, rounding=decimal.ROUND_HALF_UP):
        for (one, other), answer in zip(pairs, found, strict=True):
            exact = None if one is None or other is None else (one / other).quantize(decimal.Decimal("1e-8"))
            assert answer == exact


REGEXPS = [
    r"(&|^)id=([^&]*)",
    r"(a+)(b)?",
    r"x|(y)",
    r"([a-z]+)\.([a-z]+)",
    r"(?:a|b)(c)",
    r"[(](a)",
    r"(a)\1",
    r"((a)|b)",
]


@given(
    st.lists(st.text("abcxy&=id.(", max_size=10), min_size=1, max_size=10), st.sampled_from(REGEXPS), st.integers(0, 3)
)
def test_groups_found_by_re2_are_those_of_backtracking(texts: list[str], pattern: str, group: int) -> None:
    found = extract_group(pa.array(texts), pattern, group)
    if found is not None:
        assert found.to_pylist() == [group_of(text, pattern, group) for text in texts]


def test_what_re2_lacks_or_may_leave_out_goes_through_the_loop() -> None:
    texts = pa.array(["aa"])
    for pattern, group in ((r"(a)\1", 1), (r"(a+)(b)?", 2), (r"x|(y)", 1), (r"a(?=a)", 0), ("(", 0)):
        assert extract_group(texts, pattern, group) is None
    assert extract_group(texts, r"(&|^)a", 1) is not None
    assert re.compile("(&|^)a")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e7, "1.0E7"),
        (9999999.0, "9999999.0"),
        (0.001, "0.001"),
        (0.0001, "1.0E-4"),
        (-1.5e300, "-1.5E300"),
        (1.7976931348623157e308, "1.7976931348623157E308"),
        (-0.0, "-0.0"),
    ],
)
def test_doubles_print_as_in_java(value: float, text: str) -> None:
    assert java_double(value) == text
