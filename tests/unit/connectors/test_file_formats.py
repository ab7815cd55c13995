"""CSV, Parquet and Avro as SQL tables: the same rows at any parallelism, the wanted columns, bad files and values."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import SourceRun

from millstream.connectors.files import source as source_module
from millstream.connectors.files.tables import file_table_source
from millstream.core.errors import ConfigError, MalformedRecordError
from millstream.core.table.connectors import Filter

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("price", pa.decimal128(10, 2)),
        ("at", pa.timestamp("ms")),
        ("tags", pa.list_(pa.string())),
    ]
)
NESTED = SCHEMA.append(pa.field("bid", pa.struct([("x", pa.int64()), ("y", pa.string())])))


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": i,
            "name": None if i % 7 == 3 else f"né {i}",
            "price": Decimal(i) / 4,
            "at": datetime.datetime(2020, 1, 1) + datetime.timedelta(milliseconds=i),
            "tags": ["a", str(i)],
            "bid": None if i % 5 == 4 else {"x": i, "y": "z"},
        }
        for i in range(count)
    ]


def write_parquet(file: Path, data: list[dict[str, Any]], schema: pa.Schema = NESTED) -> None:
    pq.write_table(pa.Table.from_pylist(data, schema=schema), file, row_group_size=100)


def write_avro(file: Path, data: list[dict[str, Any]]) -> None:
    bid = {"type": "record", "name": "b", "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "string"}]}
    fields = [
        {"name": "unwanted", "type": "string"},
        {"name": "bid", "type": ["null", bid]},
        {"name": "id", "type": "int"},
        {"name": "name", "type": ["null", "string"]},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ]
    with file.open("wb") as stream:
        fastavro.writer(
            stream,
            {"type": "record", "name": "own", "namespace": "of.somebody", "fields": fields},
            [{**row, "unwanted": "u", "at": row["at"].replace(tzinfo=datetime.UTC)} for row in data],
            codec="deflate",
        )


@pytest.mark.parametrize("parallelism", [1, 3])
@pytest.mark.parametrize("restore_every", [0, 2])
@pytest.mark.parametrize("file_format", ["parquet", "avro"])
def test_rows_are_read_once(tmp_path: Path, file_format: str, parallelism: int, restore_every: int) -> None:
    data = rows(700)
    write = write_parquet if file_format == "parquet" else write_avro
    write(tmp_path / "a", data[:450])
    write(tmp_path / "b", data[450:])
    source = file_table_source(str(tmp_path), file_format, NESTED, ["tags", "bid.x", "price", "at", "bid", "name"], {})
    run = SourceRun(source, parallelism, rows_max=70, restore_every=restore_every)
    wanted = [
        {"tags": r["tags"], "bid.x": r["bid"] and r["bid"]["x"], **{k: r[k] for k in ("price", "at", "bid", "name")}}
        for r in data
    ]
    assert sorted(run.all, key=lambda row: row["at"]) == wanted
    assert len(SourceRun(file_table_source(str(tmp_path), file_format, NESTED, [], {})).all) == 700


@pytest.mark.parametrize("file_format", ["parquet", "avro"])
def test_columns_the_file_lacks_are_null_and_other_types_an_error(tmp_path: Path, file_format: str) -> None:
    (write_parquet if file_format == "parquet" else write_avro)(tmp_path / "a", rows(3))
    schema = pa.schema([("id", pa.int32()), ("new", pa.string())])
    assert SourceRun(file_table_source(str(tmp_path), file_format, schema, None, {})).all[2] == {"id": 2, "new": None}
    with pytest.raises(MalformedRecordError, match=r"/a.*name.*int64"):
        SourceRun(file_table_source(str(tmp_path), file_format, pa.schema([("name", pa.int64())]), None, {}))
    (tmp_path / "a").write_bytes(b"{}")
    with pytest.raises(MalformedRecordError, match=r"/a is not an? (Parquet|Avro) file"):
        SourceRun(file_table_source(str(tmp_path), file_format, schema, None, {}))


@pytest.mark.parametrize(
    ("condition", "groups"),
    [
        (Filter("id", "=", 250), 1),
        (Filter("id", "<", 100), 1),
        (Filter("id", "<=", 100), 2),
        (Filter("id", ">", 299), 1),
        (Filter("id", ">=", 299), 2),
        (Filter("id", "IN", (5, 350)), 2),
        (Filter("id", "IS_NULL"), 0),
        (Filter("name", "IS_NULL"), 4),
        (Filter("bid.x", ">", 10**6), 0),
        (Filter("id", "=", "x"), 4),
        (Filter("nobody", "=", 1), 4),
    ],
)
def test_row_groups_that_cannot_pass_are_not_read(tmp_path: Path, condition: Filter, groups: int) -> None:
    write_parquet(tmp_path / "a", rows(400))
    source = file_table_source(str(tmp_path), "parquet", NESTED, ["id"], {}, filters=[condition])
    assert len(SourceRun(source).all) == groups * 100


@pytest.mark.parametrize("parallelism", [1, 3])
def test_csv_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallelism: int) -> None:
    monkeypatch.setattr(source_module, "SPLIT_BYTES_MIN", 500)
    data = [{k: row[k] for k in SCHEMA.names} for row in rows(500)]
    lines = [
        f'{r["id"]},{r["name"] or "n/a"},{r["price"]},{r["at"].isoformat(" ", "milliseconds")},"{";".join(r["tags"])}"'
        for r in data
    ]
    (tmp_path / "a.csv").write_text("\n".join(lines))
    options = {"csv.null-literal": "n/a"}
    whole = SourceRun(file_table_source(str(tmp_path), "csv", SCHEMA, None, options), parallelism, rows_max=40)
    assert sorted(whole.all, key=lambda row: row["id"]) == data
    part = SourceRun(
        file_table_source(str(tmp_path), "csv", SCHEMA, ["price", "id"], options), parallelism, rows_max=40
    )
    assert sorted(part.all, key=lambda row: row["id"]) == [{"price": r["price"], "id": r["id"]} for r in data]
    assert len(SourceRun(file_table_source(str(tmp_path), "csv", SCHEMA, [], options)).all) == 500


@pytest.mark.parametrize(
    ("text", "options", "wanted"),
    [
        ("1\tx y\n", {"csv.field-delimiter": "\\t"}, [(1, "x y")]),
        ("1;'a;b'\n", {"csv.field-delimiter": ";", "csv.quote-character": "'"}, [(1, "a;b")]),
        ('1,"a\n', {"csv.disable-quote-character": "true"}, [(1, '"a')]),
        ("#c\n1,a\n#d,e\n2,b\n", {"csv.allow-comments": "true"}, [(1, "a"), (2, "b")]),
        ("1,a\\,b\n", {"csv.escape-character": "\\"}, [(1, "a,b")]),
        ("-,-\n2,x\n", {"csv.null-literal": "-"}, [(None, None), (2, "x")]),
        (",\n5,\n", {}, [(None, ""), (5, "")]),
        ("x,a\n2\n3,b,c\n\n", {"csv.ignore-parse-errors": "true"}, [(None, "a"), (2, None), (3, "b")]),
    ],
)
def test_csv_options(tmp_path: Path, text: str, options: dict[str, str], wanted: list[Any]) -> None:
    (tmp_path / "a.csv").write_text(text)
    schema = pa.schema([("n", pa.int32()), ("s", pa.string())])
    run = SourceRun(file_table_source(str(tmp_path), "csv", schema, None, options))
    assert [(row["n"], row["s"]) for row in run.all] == wanted
    assert run.malformed == (1 if "csv.ignore-parse-errors" in options else 0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x,2020-01-01,true", "column n: 'x' is no int8"),
        ("300,2020-01-01,true", "column n: '300' is no int8"),
        ("1,2020-13-01,true", "column d: '2020-13-01' is no date32"),
        ("1,2020-01-01,yes", "column b: 'yes' is no bool"),
        ("1,2020-01-01", "2 columns where 3 are expected"),
        ('1,2020-01-01,"true', "malformed CSV"),
    ],
)
def test_bad_csv_rows_fail_with_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(f"1,2020-01-01,true\n{line}\n")
    schema = pa.schema([("n", pa.int8()), ("d", pa.date32()), ("b", pa.bool_())])
    with pytest.raises(MalformedRecordError, match=rf"a\.csv, line 2: {message}"):
        SourceRun(file_table_source(str(tmp_path), "csv", schema, None, {}))


def test_what_csv_cannot_hold_or_use_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot hold struct"):
        file_table_source("x", "csv", NESTED, ["bid"], {})
    with pytest.raises(ConfigError, match="must be one ASCII character"):
        file_table_source("x", "csv", SCHEMA, ["id"], {"csv.field-delimiter": "ab"})
    with pytest.raises(ConfigError, match=r"not together with 'json\.ignore-parse-errors'"):
        options = {"json.ignore-parse-errors": "true", "json.fail-on-missing-field": "true"}
        file_table_source("x", "json", SCHEMA, ["id"], options)
