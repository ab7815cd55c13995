"""Values of settings: what users may write, and that it reads back."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.config.values import (
    Boolean,
    Choice,
    DurationKind,
    Integer,
    Optional,
    PathKind,
    Size,
    Text,
    TextMap,
)


@pytest.mark.parametrize(
    ("raw", "milliseconds"),
    [
        ("10 s", 10_000),
        ("10s", 10_000),
        ("200 ms", 200),
        ("5 min", 300_000),
        ("1.5 h", 5_400_000),
        ("2 d", 172_800_000),
        ("250", 250),
        (250, 250),
        ("PT10S", 10_000),
        ("PT1H30M", 5_400_000),
        (timedelta(seconds=3), 3000),
    ],
)
def test_durations_read_as_users_write_them(raw: object, milliseconds: int) -> None:
    assert DurationKind().parse(raw) == timedelta(milliseconds=milliseconds)


@pytest.mark.parametrize("raw", ["", "s", "10 parsecs", "-5 s", -5, True, 1.5, None, "PT", [1]])
def test_durations_that_are_none_are_refused(raw: object) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        DurationKind().parse(raw)


@pytest.mark.parametrize(
    ("raw", "size_bytes"), [("128 kb", 131072), ("64mb", 2**26), ("1.5 GB", 3 * 2**29), ("17", 17), (17, 17)]
)
def test_sizes_are_powers_of_1024(raw: object, size_bytes: int) -> None:
    assert Size().parse(raw) == size_bytes


def test_a_size_below_its_minimum_is_refused_with_the_minimum() -> None:
    with pytest.raises(ValueError, match="at least 4 kb"):
        Size(4096).parse("1 kb")


@pytest.mark.parametrize("raw", [70_000, -1, "x", "1.5", True, None])
def test_integers_outside_their_limits_are_refused(raw: object) -> None:
    with pytest.raises(ValueError, match="expected a"):
        Integer(0, 65535).parse(raw)


def test_words_ignore_case_and_maps_read_from_text() -> None:
    assert Choice(("none", "LZ4")).parse("lz4") == "LZ4"
    assert Boolean().parse("TRUE") is True
    assert TextMap().parse("a:1, b:x:y") == {"a": "1", "b": "x:y"}
    assert PathKind().parse("~/x") == Path.home() / "x"
    with pytest.raises(ValueError, match="one of none, LZ4"):
        Choice(("none", "LZ4")).parse("snappy")


@given(st.integers(0, 10**12))
def test_durations_and_sizes_survive_being_written(number: int) -> None:
    duration = timedelta(milliseconds=number)
    assert DurationKind().parse(DurationKind().text(duration)) == duration
    assert DurationKind().parse(DurationKind().flat(duration)) == duration
    assert Size().parse(Size().text(number)) == number


@given(st.one_of(st.none(), st.text(min_size=1).filter(lambda text: text != "(none)")))
def test_optional_text_survives_being_written(value: str | None) -> None:
    kind = Optional(Text())
    assert kind.parse(kind.text(value)) == value
