"""The file source over all formats, at several parallelisms, with snapshots in between, and with bad rows."""

import csv
import datetime
import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import SourceRun

from millstream.connectors.files import source as source_module
from millstream.connectors.files.api import csv_source, json_source, parquet_source, text_source
from millstream.connectors.files.malformed import MalformedRow
from millstream.core.errors import ExternalError, MalformedRecordError, UserError


class Tag:
    tag_id = "bad"


class Point(NamedTuple):
    x: int
    y: float | None
    name: str


class NamedBid(NamedTuple):
    price: int
    auction: int
    missing: str = "none"


@dataclass
class Bid:
    auction: int
    price: int


@pytest.fixture
def small_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "SPLIT_BYTES_MIN", 500)


@pytest.mark.usefixtures("small_splits")
@pytest.mark.parametrize("parallelism", [1, 2, 5])
@pytest.mark.parametrize("restore_every", [0, 1, 3])
def test_text_is_read_once(tmp_path: Path, parallelism: int, restore_every: int) -> None:
    expected = []
    for number in range(3):
        rows = [f"file {number} line {i} \u00e9" for i in range(400)]
        (tmp_path / f"{number}.txt").write_text("\n".join(rows) + ("\n" if number else ""))
        expected += rows
    (tmp_path / ".hidden.txt").write_text("no\n")
    run = SourceRun(text_source(str(tmp_path)), parallelism, rows_max=50, restore_every=restore_every)
    assert sorted(run.all) == sorted(expected)
    if parallelism == 1:
        assert run.all == expected
    else:
        assert all(run.values), "every reader should get a part of the input"


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n\r\nthree")
    assert SourceRun(text_source(str(file))).all == ["one", "two", "", "three"]


@pytest.mark.usefixtures("small_splits")
def test_json_with_and_without_schema(tmp_path: Path) -> None:
    file = tmp_path / "bids.ndjson"
    rows = [{"auction": i, "price": i * 2, "extra": {"deep": [1, None, "x"]}} for i in range(300)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert SourceRun(json_source(str(file))).all == rows
    typed = SourceRun(json_source(str(file), schema=Bid), parallelism=2, rows_max=20).all
    assert sorted(typed, key=lambda bid: bid.auction) == [Bid(i, i * 2) for i in range(300)]
    named = SourceRun(json_source(str(file), schema=NamedBid)).all
    assert named == [NamedBid(i * 2, i) for i in range(300)] and type(named[0]) is NamedBid
    assert SourceRun(json_source(str(file), schema={"price": int})).all == [{"price": i * 2} for i in range(300)]


def test_malformed_json_names_file_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "bad.ndjson"
    file.write_text('{"a": 1}\n{"a": 2}\n{"a": x}\n{"a": 4}\n')
    with pytest.raises(MalformedRecordError) as caught:
        SourceRun(json_source(str(file)))
    assert f"{file}, line 3: malformed JSON at column 7" in str(caught.value)
    assert caught.value.place.line == 3
    skipped = SourceRun(json_source(str(file), on_malformed="skip"))
    assert [row["a"] for row in skipped.all] == [1, 2, 4]
    assert skipped.malformed == 1
    aside = SourceRun(json_source(str(file), on_malformed=Tag()))
    assert [row["a"] for row in aside.all] == [1, 2, 4]
    [bad] = aside.side["bad"]
    assert bad == MalformedRow(str(file), 3, '{"a": x}', "malformed JSON at column 7")


def test_json_of_the_wrong_type_names_the_field(tmp_path: Path) -> None:
    file = tmp_path / "bad.ndjson"
    file.write_text('{"auction": 1, "price": "two"}\n')
    with pytest.raises(MalformedRecordError, match=r"line 1: the record does not fit the schema.*price"):
        SourceRun(json_source(str(file), schema=Bid))


@pytest.mark.usefixtures("small_splits")
@pytest.mark.parametrize("parallelism", [1, 3])
def test_csv_rows_as_dicts_tuples_and_records(tmp_path: Path, parallelism: int) -> None:
    file = tmp_path / "points.csv"
    expected = [(i, None if i % 7 == 0 else i / 4, f'p"{i},') for i in range(500)]
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["x", "y", "name"])
        writer.writerows(expected)
    dicts = SourceRun(csv_source(str(file)), parallelism, rows_max=40).all
    assert sorted(dicts, key=lambda row: row["x"]) == [dict(zip(["x", "y", "name"], e, strict=True)) for e in expected]
    tuples = SourceRun(csv_source(str(file), columns=["name", "x"], records="tuple"), parallelism).all
    assert sorted(tuples, key=lambda row: row[1]) == [(e[2], e[0]) for e in expected]
    points = SourceRun(csv_source(str(file), schema=Point), parallelism, restore_every=2).all
    assert sorted(points) == [Point(*e) for e in expected]
    assert type(points[0]) is Point


def test_csv_types(tmp_path: Path) -> None:
    file = tmp_path / "types.csv"
    file.write_text("d,t,b,i\n2013-01-02,2013-01-02 03:04:05,true,NA\n")
    schema = {"d": datetime.date, "t": datetime.datetime, "b": bool, "i": int}
    [row] = SourceRun(csv_source(str(file), schema=schema)).all
    assert row == {
        "d": datetime.date(2013, 1, 2),
        "t": datetime.datetime(2013, 1, 2, 3, 4, 5),
        "b": True,
        "i": None,
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("3,4,5", "3 columns where 2 are expected"),
        ("3", "1 columns where 2 are expected"),
        ("three,4", "column a: 'three' is not of type int64"),
    ],
)
def test_malformed_csv_names_file_line_and_reason(tmp_path: Path, line: str, reason: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(f"a,b\n1,2\n{line}\n5,6\n")
    source = {"path": str(file), "schema": {"a": int, "b": int}}
    with pytest.raises(MalformedRecordError) as caught:
        SourceRun(csv_source(**source))
    assert f"{file}, line 3: {reason}" in str(caught.value)
    assert [row["a"] for row in SourceRun(csv_source(**source, on_malformed="skip")).all] == [1, 5]
    [bad] = SourceRun(csv_source(**source, on_malformed=Tag())).side["bad"]
    assert (bad.line, bad.text) == (3, line)


def test_line_numbers_are_right_in_later_chunks(tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    rows = [f"{i},{i}" for i in range(20_000)]
    rows[15_000] = "oops"
    file.write_text("a,b\n" + "\n".join(rows) + "\n")
    with pytest.raises(MalformedRecordError, match="line 15002: 1 columns"):
        SourceRun(csv_source(str(file), schema={"a": int, "b": int}), rows_max=100)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"has no column 'c'; its columns are a, b"):
        SourceRun(csv_source(str(file), columns=["c"]))


@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize("restore_every", [0, 1])
def test_parquet(tmp_path: Path, parallelism: int, restore_every: int) -> None:
    file = tmp_path / "a.parquet"
    table = pa.table({"i": list(range(1000)), "s": [f"s{i % 5}" for i in range(1000)]})
    pq.write_table(table, file, row_group_size=100)
    run = SourceRun(parquet_source(str(file), columns=["s", "i"]), parallelism, 64, restore_every)
    assert sorted(run.all, key=lambda row: row["i"]) == [{"s": f"s{i % 5}", "i": i} for i in range(1000)]
    assert max(run.batch_rows) <= 64


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    with pytest.raises(ExternalError, match="there is no such file or directory"):
        SourceRun(text_source(str(tmp_path / "nothing")))
    with pytest.raises(ExternalError, match="no file matches"):
        SourceRun(text_source(str(tmp_path / "*.csv")))
    (tmp_path / "a.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(MalformedRecordError, match="not a Parquet file"):
        SourceRun(parquet_source(str(tmp_path / "a.parquet")))
    (tmp_path / "a.txt.gz").write_bytes(b"\x1f\x8b\x08\x00broken")
    with pytest.raises(ExternalError, match=r"a\.txt\.gz"):
        SourceRun(text_source(str(tmp_path / "a.txt.gz")))
