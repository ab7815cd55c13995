"""Nexmark events as files: the rows of the generator, in files that cover the whole time."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from millstream.connectors.nexmark.__main__ import main
from millstream.connectors.nexmark.files import write_events
from millstream.connectors.nexmark.generator import NexmarkGenerator
from millstream.connectors.nexmark.model import EVENT_SCHEMA, EventKind, NexmarkModel
from millstream.core.errors import ConfigError

MODEL = NexmarkModel(seed=5)


def generated(kind: EventKind, events: int) -> list[dict[str, Any]]:
    whole = NexmarkGenerator(MODEL, EVENT_SCHEMA).batch(np.arange(events))
    return [row for row in whole.column(kind.column).to_pylist() if row is not None]


def plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat(" ", "milliseconds") if isinstance(value, datetime) else value
        for name, value in row.items()
    }


def lines(folder: Path) -> list[list[str]]:
    return [file.read_text().splitlines() for file in sorted(folder.iterdir())]


def test_lines_are_the_rows(tmp_path: Path) -> None:
    assert write_events(MODEL, 1020, tmp_path, 1) == {0: 21, 1: 63, 2: 936}
    for kind in EventKind:
        (found,) = lines(tmp_path / kind.column)
        wanted = [plain(row) for row in generated(kind, 1020)]
        assert found == [json.dumps(row, separators=(",", ":")) for row in wanted]


def test_each_file_covers_the_whole_time(tmp_path: Path) -> None:
    write_events(MODEL, 120_000, tmp_path, 3)
    parts = [[json.loads(line) for line in part] for part in lines(tmp_path / "bid")]
    assert sorted(row["extra"] for part in parts for row in part) == sorted(
        row["extra"] for row in generated(EventKind.BID, 120_000)
    )
    assert len(parts) == 3
    for part in parts:
        times = [row["dateTime"] for row in part]
        assert times == sorted(times)
        assert times[0] < "2024-01-01 00:00:00.020" and times[-1] > "2024-01-01 00:00:11.980"


def test_parquet_has_the_types_of_the_table(tmp_path: Path) -> None:
    write_events(MODEL, 1000, tmp_path, 2, "parquet")
    found = pq.read_table(tmp_path / "auction")
    assert list(found.schema) == list(EVENT_SCHEMA.field("auction").type)
    assert found.sort_by("id").to_pylist() == generated(EventKind.AUCTION, 1000)


def test_few_events_leave_files_out(tmp_path: Path) -> None:
    assert write_events(MODEL, 0, tmp_path) == {0: 0, 1: 0, 2: 0}
    assert write_events(MODEL, 2, tmp_path) == {0: 1, 1: 1, 2: 0}


def test_nothing_is_mixed_with_what_was_there(tmp_path: Path) -> None:
    write_events(MODEL, 10, tmp_path)
    with pytest.raises(ConfigError, match="has files already"):
        write_events(MODEL, 10, tmp_path)


def test_the_command_writes_and_says_what(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--events", "100", "--out", str(tmp_path / "a"), "--seed", "5", "--files", "1"])
    assert done.exit_code == 0, done.output
    assert "92 rows" in done.output
    assert len(lines(tmp_path / "a" / "bid")[0]) == 92
    again = CliRunner().invoke(main, ["--events", "100", "--out", str(tmp_path / "a")])
    assert again.exit_code == 1 and "has files already" in again.output
