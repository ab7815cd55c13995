"""Rows of text from columns: what Python's parsers read back is what was written."""

from __future__ import annotations

import csv
import datetime
import io
import json
import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.connectors.files.formats import row_text
from millstream.connectors.files.formats.csv_columns import CsvOptions
from millstream.connectors.files.formats.row_text import CsvRows, JsonRows

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=50) | st.text('\\"\x00\x1f\x7f\n\t,;é', max_size=70)
SCHEMA = pa.schema(
    [
        ("i", pa.int64()),
        ('na"me', pa.string()),
        ("f", pa.float64()),
        ("b", pa.bool_()),
        ("r", pa.struct([("x", pa.int32()), ("s", pa.string())])),
        ("l", pa.list_(pa.string())),
    ]
)
RECORD = st.none() | st.fixed_dictionaries({"x": st.none() | st.integers(-9, 9), "s": st.none() | TEXT})
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "i": st.none() | st.integers(-(2**63), 2**63 - 1),
            'na"me': st.none() | TEXT,
            "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "b": st.none() | st.booleans(),
            "r": RECORD,
            "l": st.none() | st.lists(st.none() | TEXT, max_size=3),
        }
    ),
    max_size=20,
)


def text_of(rows: JsonRows | CsvRows, records: pa.RecordBatch) -> str:
    return b"".join(piece.tobytes() for piece in rows.encode(records)).decode()


@settings(deadline=None, max_examples=150)
@given(rows=ROWS, start=st.integers(0, 5))
def test_json_reads_back(rows: list[dict[str, Any]], start: int) -> None:
    records = pa.RecordBatch.from_pylist(rows, schema=SCHEMA).slice(start)
    lines = text_of(JsonRows(), records).split("\n")
    assert lines.pop() == ""
    assert [json.loads(line) for line in lines] == rows[start:]


@settings(deadline=None, max_examples=50)
@given(rows=ROWS)
def test_json_without_nulls(rows: list[dict[str, Any]]) -> None:
    text = text_of(JsonRows(skip_nulls=True), pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
    found = [json.loads(line) for line in text.split("\n")[:-1]]
    assert [set(row) for row in found] == [{name for name, value in row.items() if value is not None} for row in rows]


@settings(deadline=None, max_examples=150)
@given(cells=st.lists(st.tuples(TEXT, TEXT), max_size=20))
@pytest.mark.parametrize(("delimiter", "quote", "escape"), [(",", '"', None), (";", "'", None), (",", '"', "\\")])
def test_csv_reads_back(cells: list[tuple[str, str]], delimiter: str, quote: str, escape: str | None) -> None:
    cells = [(a.replace("\r", ""), b.replace("\r", "")) for a, b in cells]
    records = pa.RecordBatch.from_pylist(
        [{"a": a, "b": b} for a, b in cells], schema=pa.schema([("a", pa.string()), ("b", pa.string())])
    )
    text = text_of(CsvRows(CsvOptions(delimiter, quote, escape)), records)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=quote,
        escapechar=escape,
        doublequote=escape is None,
    )
    assert [tuple(row) for row in reader] == cells


def test_the_text_of_other_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_text, "_ROWS_AT_ONCE", 2)
    at = datetime.datetime(2020, 1, 2, 3, 4, 5, 120000)
    columns = {
        "t": pa.array([at, at.replace(microsecond=0), None], pa.timestamp("us")),
        "z": pa.array([at, at.replace(microsecond=0), None], pa.timestamp("ms", tz="UTC")),
        "d": pa.array([at.date(), None, None], pa.date32()),
        "c": pa.array([at.time(), datetime.time(1, 0), None], pa.time32("ms")),
        "n": pa.array([Decimal("1.10"), Decimal("-0.01"), None], pa.decimal128(5, 2)),
        "x": pa.array([b"hi", b"", None], pa.binary()),
        "f": pa.array([math.nan, -math.inf, 1.5], pa.float64()),
        "m": pa.array([[("k", at)], [], None], pa.map_(pa.string(), pa.timestamp("ms"))),
    }
    records = pa.RecordBatch.from_pydict(columns)
    iso = JsonRows("T")
    assert [json.loads(line) for line in text_of(iso, records).splitlines()] == [
        {"t": "2020-01-02T03:04:05.12", "z": "2020-01-02T03:04:05.12Z", "d": "2020-01-02", "c": "03:04:05.12", "n": 1.1,
         "x": "aGk=", "f": "NaN", "m": {"k": "2020-01-02T03:04:05.12"}},
        {"t": "2020-01-02T03:04:05", "z": "2020-01-02T03:04:05Z", "d": None, "c": "01:00:00", "n": -0.01, "x": "",
         "f": "-Infinity", "m": {}},
        {"t": None, "z": None, "d": None, "c": None, "n": None, "x": None, "f": 1.5, "m": None},
    ]  # fmt: skip
    options = CsvOptions(null_literal="-", array_delimiter="|")
    lists = pa.RecordBatch.from_pydict({"l": pa.array([["a", "b"], [], None]), "k": pa.array([[1, None], [2], None])})
    assert text_of(CsvRows(options), lists) == "a|b,1|\n,2\n-,-\n"
    assert (
        text_of(CsvRows(options), records.select(["t", "n"]))
        == "2020-01-02 03:04:05.12,1.10\n2020-01-02 03:04:05,-0.01\n-,-\n"
    )
