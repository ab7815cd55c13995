"""Files of one stretch of time are read side by side: no row of any of them is late."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from millstream.connectors.files.tables import file_table_source
from millstream.core.errors import MalformedRecordError
from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Call, InputRef, Literal
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.watermarks import ExpressionWatermarks
from millstream.testing.source_harness import SourceHarness

SCHEMA = pa.schema([("id", pa.int64()), ("ts", pa.timestamp("ms"))])
ROW = RowType((Column("id", lt.BIGINT), Column("ts", lt.timestamp(3))))
TS = InputRef(lt.timestamp(3), 1)
DELAY = Literal(lt.INTERVAL_DAY_TIME.with_nullable(False), datetime.timedelta(seconds=1))
WATERMARKS = ExpressionWatermarks(ROW, "ts", TS, Call(lt.timestamp(3), "-", (TS, DELAY)), "UTC")
START_MS = 1_704_067_200_000  # 2024-01-01 00:00:00


def write_files(directory: Path, files: int, seconds: int) -> None:
    """Each file has a row a second, over the same seconds, padded so that it takes several chunks."""
    for file in range(files):
        lines = [
            f'{{"id": {second * files + file}, "pad": "{"x" * 9000}", "ts": "{_text(second)}"}}'
            for second in range(seconds)
        ]
        (directory / f"part-{file}.json").write_text("\n".join(lines) + "\n")


def _text(second: int) -> str:
    return str(datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=second))


def late_rows(harness: SourceHarness) -> tuple[int, int]:
    """``(rows, rows that came after a watermark that had passed them)``; reads to the end."""
    rows = late = 0
    while not harness.is_finished():
        marks = len(harness._recorded.watermarks_ms)
        reached_ms = harness._recorded.watermarks_ms[-1] if marks else -1
        for value in harness.read(1):
            rows += 1
            late += round(value["ts"].replace(tzinfo=datetime.UTC).timestamp() * 1000) <= reached_ms
    return rows, late


@pytest.mark.parametrize("parallelism", [1, 2, 3])
def test_no_row_is_late(tmp_path: Path, parallelism: int) -> None:
    write_files(tmp_path, files=3, seconds=2000)
    source = file_table_source(str(tmp_path), "json", SCHEMA, None, {}).in_time_order()
    with SourceHarness(source, WATERMARKS.strategy(0), parallelism=parallelism) as harness:
        rows, late = late_rows(harness)
        marks = harness._recorded.watermarks_ms
    assert (rows, late) == (6000, 0)
    assert len(marks) > 3
    assert marks[-2] <= START_MS + 1999 * 1000 - 1000


def test_one_after_the_other_they_would_be(tmp_path: Path) -> None:
    write_files(tmp_path, files=2, seconds=1000)
    source = file_table_source(str(tmp_path), "json", SCHEMA, None, {})
    with SourceHarness(source, WATERMARKS.strategy(0)) as harness:
        assert late_rows(harness)[1] > 0


def test_rescaled_in_the_middle(tmp_path: Path) -> None:
    write_files(tmp_path, files=4, seconds=1500)
    source = file_table_source(str(tmp_path), "json", SCHEMA, None, {}).in_time_order()
    with SourceHarness(source, WATERMARKS.strategy(0), parallelism=2) as harness:
        seen = [value["id"] for value in harness.read(3)]
        harness.rescale(3)
        while not harness.is_finished():
            seen += [value["id"] for value in harness.read(1)]
    assert sorted(seen) == list(range(6000))


def test_a_row_without_time_is_refused_with_its_values(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"id": 7, "ts": null}\n')
    source = file_table_source(str(tmp_path), "json", SCHEMA, None, {}).in_time_order()
    with (
        SourceHarness(source, WATERMARKS.strategy(0)) as harness,
        pytest.raises(MalformedRecordError, match=r"event time 'ts' is NULL in the row \{'id': 7"),
    ):
        harness.read_all()
