"""Files as SQL tables: exactly the wanted columns, over partitions, splits, snapshots and bad rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from harness import SourceRun

from millstream.connectors.files import source as source_module
from millstream.connectors.files.tables import file_table_source
from millstream.core.errors import ConfigError, ExternalError, MalformedRecordError
from millstream.core.table.connectors import Filter

BID = pa.struct([("auction", pa.int64()), ("price", pa.int64())])
SCHEMA = pa.schema([("event_type", pa.int32()), ("bid", BID), ("note", pa.string())])


@pytest.fixture
def small_splits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "SPLIT_BYTES_MIN", 500)


def write_bids(file: Path, count: int, first: int = 0) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps({"event_type": 2, "person": None, "bid": {"auction": i, "price": i * 10}, "note": f"né {i}"})
        for i in range(first, first + count)
    ]
    file.write_text("\n".join(lines))


@pytest.mark.usefixtures("small_splits")
@pytest.mark.parametrize("parallelism", [1, 3])
@pytest.mark.parametrize("restore_every", [0, 2])
def test_nested_columns_are_read_once(tmp_path: Path, parallelism: int, restore_every: int) -> None:
    write_bids(tmp_path / "a.json", 300)
    write_bids(tmp_path / "b.json", 200, first=300)
    source = file_table_source(str(tmp_path), "json", SCHEMA, ["bid.price", "note"], {})
    run = SourceRun(source, parallelism, rows_max=20, restore_every=restore_every)
    assert sorted(run.all, key=lambda row: row["bid.price"]) == [
        {"bid.price": i * 10, "note": f"né {i}"} for i in range(500)
    ]


def partitioned(tmp_path: Path) -> pa.Schema:
    for day in ("2024-01-01", "2024-01-02"):
        for hour in (3, 4):
            write_bids(tmp_path / f"dt={day}" / f"hour={hour}" / "part.json", 2)
    return SCHEMA.append(pa.field("dt", pa.string())).append(pa.field("hour", pa.int32()))


def test_partition_columns_come_from_the_path(tmp_path: Path) -> None:
    schema = partitioned(tmp_path)
    source = file_table_source(str(tmp_path), "json", schema, ["hour", "bid.price", "dt"], {}, ["dt", "hour"])
    rows = SourceRun(source).all
    assert rows[:3] == [
        {"hour": 3, "bid.price": 0, "dt": "2024-01-01"},
        {"hour": 3, "bid.price": 10, "dt": "2024-01-01"},
        {"hour": 4, "bid.price": 0, "dt": "2024-01-01"},
    ]
    assert len(rows) == 8


@pytest.mark.parametrize(
    ("filters", "files"),
    [
        ([Filter("dt", "=", "2024-01-01")], 2),
        ([Filter("dt", "=", "2024-01-01"), Filter("hour", ">", 3)], 1),
        ([Filter("hour", "IN", (4, 5)), Filter("bid.price", "=", 7)], 2),
        ([Filter("dt", "IS_NULL")], 0),
        ([Filter("hour", "<=", "x")], 4),
    ],
)
def test_partitions_that_cannot_pass_are_not_read(tmp_path: Path, filters: list[Filter], files: int) -> None:
    schema = partitioned(tmp_path)
    source = file_table_source(str(tmp_path), "json", schema, ["hour"], {}, ["dt", "hour"], filters)
    assert len(SourceRun(source).all) == files * 2


def test_a_default_partition_is_null_and_a_wrong_one_an_error(tmp_path: Path) -> None:
    schema = SCHEMA.append(pa.field("hour", pa.int32()))
    write_bids(tmp_path / "t" / "hour=__DEFAULT_PARTITION__" / "a.json", 1)
    source = file_table_source(str(tmp_path / "t"), "json", schema, ["hour"], {}, ["hour"])
    assert SourceRun(source).all == [{"hour": None}]
    write_bids(tmp_path / "t" / "hour=noon" / "a.json", 1)
    with pytest.raises(MalformedRecordError, match="hour=noon is no int32"):
        SourceRun(source)
    write_bids(tmp_path / "u" / "a.json", 1)
    with pytest.raises(ExternalError, match=r"not in a directory hour=\.\.\."):
        SourceRun(file_table_source(str(tmp_path / "u"), "json", schema, ["hour"], {}, ["hour"]))


def test_bad_rows_fail_with_file_and_line_or_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"event_type":1}\n{"event_type":"x"}\n{"event_type":3}\n')
    options: dict[str, str] = {}
    with pytest.raises(
        MalformedRecordError, match=r"a\.json, line 2: event_type is no int32: \"x\"} at column 15"
    ) as e:
        SourceRun(file_table_source(str(file), "json", SCHEMA, ["event_type"], options))
    assert e.value.place.line == 2
    options["json.ignore-parse-errors"] = "true"
    run = SourceRun(file_table_source(str(file), "json", SCHEMA, ["event_type"], options))
    assert (run.all, run.malformed) == ([{"event_type": 1}, {"event_type": None}, {"event_type": 3}], 1)


@pytest.mark.parametrize(
    ("file_format", "options", "message"),
    [
        ("jsn", {}, "unknown format 'jsn'. Did you mean 'json'"),
        ("json", {"json.ignore-parse-error": "true"}, "unknown option 'json.ignore-parse-error'. Did you mean"),
        ("json", {"json.timestamp-format.standard": "iso"}, "expected one of SQL, ISO-8601"),
    ],
)
def test_wrong_options_are_refused(file_format: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        file_table_source("x", file_format, SCHEMA, None, options)
