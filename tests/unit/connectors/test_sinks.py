"""File sinks: whole files only, rolled by size and age, nothing left of a failed job."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from millstream.connectors.files.api import csv_sink, json_sink, parquet_sink, text_sink
from millstream.connectors.print_sink import PrintSink
from millstream.core.api.sink import Sink, SinkContext, SinkWriter
from millstream.core.clock import ManualClock
from millstream.core.elements import ObjectBatch
from millstream.core.errors import ExternalError, RecordTypeError


class Context(SinkContext):
    has_checkpoints = False

    def __init__(self, subtask: int = 0, parallelism: int = 1) -> None:
        self.job_id = "0123456789abcdef"
        self.operator_id = "89abcdef01234567"
        self.subtask_index = subtask
        self.parallelism = parallelism
        self.attempt = 0
        self.clock = ManualClock(1_000_000)


class Pair(NamedTuple):
    name: str
    value: int | None


@dataclass
class Thing:
    name: str
    value: int


def writer_of(sink: Sink, context: Context | None = None) -> SinkWriter:
    writer = sink.create_writer(context or Context())
    writer.open()
    return writer


def files(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.iterdir())


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    writer = writer_of(text_sink(str(tmp_path / "new" / "out")))
    out = tmp_path / "new" / "out"
    assert files(out) == []
    writer.write(ObjectBatch(["a", "b"]))
    assert files(out) == [".part-0-01234567-89abcdef-0-0.txt.inprogress"]
    writer.flush()
    writer.close()
    assert files(out) == ["part-0-01234567-89abcdef-0-0.txt"]
    assert (out / "part-0-01234567-89abcdef-0-0.txt").read_text() == "a\nb\n"


def test_a_failed_job_leaves_nothing_unfinished(tmp_path: Path) -> None:
    for sink in (text_sink(str(tmp_path)), parquet_sink(str(tmp_path))):
        writer = writer_of(sink)
        writer.write(ObjectBatch([{"a": 1}]))
        writer.close()
    assert files(tmp_path) == []


def test_files_roll_by_size_and_by_age(tmp_path: Path) -> None:
    context = Context()
    writer = writer_of(text_sink(str(tmp_path), roll_bytes=10, roll_interval="5s"), context)
    writer.write(ObjectBatch(["0123456789"]))
    assert files(tmp_path) == ["part-0-01234567-89abcdef-0-0.txt"]
    writer.write(ObjectBatch(["x"]))
    writer.on_time(context.clock.wall_ms() + 4_999)
    assert len(files(tmp_path)) == 2 and files(tmp_path)[0].startswith(".")
    writer.on_time(context.clock.wall_ms() + 5_000)
    assert files(tmp_path) == ["part-0-01234567-89abcdef-0-0.txt", "part-0-01234567-89abcdef-0-1.txt"]
    writer.close()


@pytest.mark.parametrize(
    ("records", "header", "rows"),
    [
        ([Pair("a", 1), Pair("b,", None)], ["name", "value"], [["a", "1"], ["b,", ""]]),
        ([Thing("a", 1)], ["name", "value"], [["a", "1"]]),
        ([{"name": "a", "value": 1}, {"value": 2, "name": "b"}], ["name", "value"], [["a", "1"], ["b", "2"]]),
        ([("a", 1)], None, [["a", "1"]]),
        ([5], None, [["5"]]),
    ],
)
def test_csv_records(tmp_path: Path, records: list[Any], header: list[str] | None, rows: list[list[str]]) -> None:
    writer = writer_of(csv_sink(str(tmp_path)))
    for record in records:
        writer.write(ObjectBatch([record]))
    writer.flush()
    with next(tmp_path.glob("*.csv")).open(newline="") as stream:
        assert list(csv.reader(stream)) == ([header] if header else []) + rows


def test_json_records(tmp_path: Path) -> None:
    writer = writer_of(json_sink(str(tmp_path)))
    writer.write(ObjectBatch([Pair("a", 1), Thing("b", 2), {"c": [1, None]}]))
    writer.flush()
    lines = next(tmp_path.glob("*.ndjson")).read_text().splitlines()
    expected = [{"name": "a", "value": 1}, {"name": "b", "value": 2}, {"c": [1, None]}]
    assert [json.loads(line) for line in lines] == expected


def test_parquet_records(tmp_path: Path) -> None:
    writer = writer_of(parquet_sink(str(tmp_path)))
    writer.write(ObjectBatch([Pair("a", 1)]))
    writer.write(ObjectBatch([Pair("b", None)]))
    writer.flush()
    table = pq.read_table(next(tmp_path.glob("*.parquet")))
    assert table.to_pylist() == [{"name": "a", "value": 1}, {"name": "b", "value": None}]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    writer = writer_of(json_sink(str(tmp_path)))
    with pytest.raises(RecordTypeError, match="cannot be written as JSON"):
        writer.write(ObjectBatch([object()]))
    writer.close()
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ExternalError, match=r"cannot write to .*file"):
        writer_of(text_sink(str(blocked / "below")))


def test_print_labels_subtasks(capsys: pytest.CaptureFixture[str]) -> None:
    writer_of(PrintSink()).write(ObjectBatch([1, "two"]))
    writer_of(PrintSink("out"), Context(1, 3)).write(ObjectBatch([{"a": 1}]))
    writer_of(PrintSink(), Context(0, 2)).write(ObjectBatch([None]))
    assert capsys.readouterr().out == "1\ntwo\nout:2> {'a': 1}\n1> None\n"
