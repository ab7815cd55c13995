"""The filesystem connector: from options to what the file tables do."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from harness import SourceRun
from test_sinks import writer_of

from millstream.connectors.table_factories import connector_of
from millstream.core.elements.batch import ArrowBatch
from millstream.core.errors import ConfigError
from millstream.core.table.connectors import ALL_CHANGES, INSERT_ONLY, Filter, Pushdown, TableDescription

SCHEMA = pa.schema([("a", pa.int64()), ("place", pa.struct([("x", pa.int32())])), ("day", pa.string())])


def described(path: str, **options: str) -> TableDescription:
    named = {name.replace("__", ".").replace("_", "-"): value for name, value in options.items()}
    return TableDescription(
        "t", SCHEMA, {"connector": "filesystem", "path": path, "format": "json", **named}, partition_keys=("day",)
    )


def write(directory: Path) -> None:
    for day, rows in (("1", '{"a": 1, "place": {"x": 5}}\n{"a": 2}\n'), ("2", '{"a": 3}\nnonsense\n')):
        (directory / f"day={day}").mkdir()
        (directory / f"day={day}" / "part-0.json").write_text(rows)


def test_a_directory_is_a_table(tmp_path: Path) -> None:
    write(tmp_path)
    table = described(f"file://{tmp_path}", json__ignore_parse_errors="true", scan__parallelism="2")
    found = connector_of(table).source(table, Pushdown(("day", "place.x", "a")))
    assert found.bounded and found.parallelism == 2
    assert found.schema == pa.schema([("day", pa.string()), ("place.x", pa.int32()), ("a", pa.int64())])
    assert sorted(SourceRun(found.source).all, key=lambda row: row["a"]) == [
        {"day": "1", "place.x": 5, "a": 1},
        {"day": "1", "place.x": None, "a": 2},
        {"day": "2", "place.x": None, "a": 3},
    ]


def test_partitions_that_cannot_pass_are_not_read(tmp_path: Path) -> None:
    write(tmp_path)
    table = described(str(tmp_path))
    found = connector_of(table).source(table, Pushdown(("a",), (Filter("day", "=", "1"),)))
    assert [row["a"] for row in SourceRun(found.source).all] == [1, 2]


@pytest.mark.parametrize("file_format", ["json", "csv", "parquet", "avro"])
def test_what_is_written_can_be_read(tmp_path: Path, file_format: str) -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string()), ("day", pa.string())])
    options = {"connector": "filesystem", "path": f"file://{tmp_path / 'out'}", "format": file_format}
    options["sink.parallelism"] = "1"
    table = TableDescription("t", schema, options, partition_keys=("day",))
    connector = connector_of(table)
    assert connector.accepted_changelog(table, ALL_CHANGES) == INSERT_ONLY and connector.sink_parallelism(table) == 1
    rows = [{"a": i, "b": f"x{i}", "day": str(i % 2)} for i in range(10)]
    writer = writer_of(connector.sink(table))
    writer.write(ArrowBatch(pa.RecordBatch.from_pylist(rows, schema=schema)))
    writer.flush()
    writer.close()
    assert sorted(folder.name for folder in (tmp_path / "out").iterdir()) == ["day=0", "day=1"]
    found = SourceRun(connector.source(table, Pushdown()).source).all
    assert sorted(found, key=lambda row: row["a"]) == rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "jsn"}, "option 'format' is 'jsn': expected one of"),
        ({"json__ignore_parse_error": "true"}, "Did you mean 'json.ignore-parse-errors'"),
        ({"source__monitor_interval": "0 s"}, "it must be longer than 0"),
        ({"csv__null_literal": "NULL"}, "option 'csv.null-literal' is 'NULL': it is of another format than 'json'"),
        ({"sink__rolling_policy__file_size": "big"}, "expected a size such as"),
        ({"auto_compaction": "true"}, "small files are not merged"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, options: dict[str, str], message: str) -> None:
    table = described(str(tmp_path), **options)
    with pytest.raises(ConfigError, match=re.escape(message)):
        connector_of(table).source(table, Pushdown())


def test_path_and_format_are_required() -> None:
    table = TableDescription("t", SCHEMA, {"connector": "filesystem"})
    with pytest.raises(ConfigError, match=r"missing in WITH: 'path' \(a directory.*'format'"):
        connector_of(table).source(table, Pushdown())
