"""File tables written and read again: every format, partitions, rolling, and what does not fit."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from harness import SourceRun
from test_sinks import Context, writer_of

from millstream.connectors.files import sink as sink_module
from millstream.connectors.files.tables import file_table_sink, file_table_source
from millstream.core.api.sink import CommittingSinkWriter
from millstream.core.elements.batch import ArrowBatch, ObjectBatch
from millstream.core.errors import ConfigError, RecordTypeError

SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("small", pa.int8()),
        ("ok", pa.bool_()),
        ("f", pa.float32()),
        ("price", pa.decimal128(12, 3)),
        ("day", pa.date32()),
        ("at", pa.timestamp("ms")),
        ("raw", pa.binary()),
        ("tags", pa.list_(pa.int64())),
    ]
)
START = datetime.datetime(2024, 1, 1)


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": i,
            "name": f'né "{i}", x',
            "small": i % 100,
            "ok": i % 2 == 0,
            "f": i / 2,
            "price": Decimal(i) / 8,
            "day": (START + datetime.timedelta(days=i % 3)).date(),
            "at": START + datetime.timedelta(milliseconds=i * 37),
            "raw": bytes([i % 256]),
            "tags": [i, i + 1],
        }
        for i in range(count)
    ]


def batches(data: list[dict[str, Any]], schema: pa.Schema = SCHEMA, size: int = 90) -> list[ArrowBatch]:
    return [
        ArrowBatch(pa.RecordBatch.from_pylist(data[i : i + size], schema=schema)) for i in range(0, len(data), size)
    ]


def written(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())


@pytest.mark.parametrize("file_format", ["json", "csv", "parquet", "avro"])
@pytest.mark.parametrize("keys", [[], ["day", "ok"]])
def test_what_is_written_is_read(tmp_path: Path, file_format: str, keys: list[str]) -> None:
    data = rows(400)
    writer = writer_of(file_table_sink(str(tmp_path), file_format, SCHEMA, {}, keys))
    for batch in batches(data):
        writer.write(batch)
    writer.flush()
    writer.close()
    assert len(written(tmp_path)) == (6 if keys else 1)
    run = SourceRun(file_table_source(str(tmp_path), file_format, SCHEMA, None, {}, keys))
    assert sorted(run.all, key=lambda row: row["id"]) == data


def test_partition_directories_and_success_files(tmp_path: Path) -> None:
    schema = pa.schema([("k", pa.string()), ("v", pa.int64()), ("n", pa.int32())])
    data = [("a/b=c", 1, 1), (None, 2, 1), ("", 3, None), ("x y", 4, 2), ("a/b=c", 5, 1)]
    options = {"sink.partition-commit.policy.kind": "success-file"}
    writer = writer_of(file_table_sink(str(tmp_path), "json", schema, options, ["k", "n"]))
    writer.write(ArrowBatch(pa.RecordBatch.from_pylist([{"k": k, "v": v, "n": n} for k, v, n in data], schema=schema)))
    writer.flush()
    assert {name.rsplit("/", 1)[0] for name in written(tmp_path)} == {
        "k=a%2Fb%3Dc/n=1",
        "k=__DEFAULT_PARTITION__/n=1",
        "k=__DEFAULT_PARTITION__/n=__DEFAULT_PARTITION__",
        "k=x y/n=2",
    }
    assert sum(name.endswith("/_SUCCESS") for name in written(tmp_path)) == 4
    run = SourceRun(file_table_source(str(tmp_path), "json", schema, ["v", "k"], {}, ["k", "n"]))
    assert sorted((row["v"], row["k"]) for row in run.all) == [
        (1, "a/b=c"), (2, None), (3, None), (4, "x y"), (5, "a/b=c")
    ]  # fmt: skip


def test_files_roll_by_size_age_and_inactivity(tmp_path: Path) -> None:
    options = {
        "sink.rolling-policy.file-size": "1 kb",
        "sink.rolling-policy.rollover-interval": "10 min",
        "sink.rolling-policy.inactivity-interval": "3 min",
    }
    context = Context()
    writer = writer_of(file_table_sink(str(tmp_path), "json", SCHEMA, options), context)
    (small,), (large,) = batches(rows(1)), batches(rows(20))
    writer.write(large)
    assert len(visible := [name for name in written(tmp_path) if not name.startswith(".")]) == 1
    for minute, wanted in [(0.5, 1), (2.5, 1), (4, 2)]:
        if minute == 0.5:
            writer.write(small)
        context.clock.advance(int(minute * 60_000) - (context.clock.wall_ms() - 1_000_000))
        writer.on_time(context.clock.wall_ms())
        visible = [name for name in written(tmp_path) if not name.startswith(".")]
        assert len(visible) == wanted, minute
    writer.close()


def test_few_files_are_open_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "OPEN_FILES_MAX", 2)
    schema = pa.schema([("k", pa.int64()), ("v", pa.int64())])
    writer = writer_of(file_table_sink(str(tmp_path), "csv", schema, {}, ["k"]))
    writer.write(ArrowBatch(pa.RecordBatch.from_pylist([{"k": i % 5, "v": i} for i in range(50)], schema=schema)))
    assert sum("/." in name for name in written(tmp_path)) == 2
    writer.flush()
    run = SourceRun(file_table_source(str(tmp_path), "csv", schema, None, {}, ["k"]))
    assert sorted((row["v"], row["k"]) for row in run.all) == [(i, i % 5) for i in range(50)]


def test_files_of_all_partitions_belong_to_the_checkpoint(tmp_path: Path) -> None:
    context = Context()
    context.has_checkpoints = True
    sink = file_table_sink(str(tmp_path), "parquet", SCHEMA, {}, ["ok"])
    writer = writer_of(sink, context)
    assert isinstance(writer, CommittingSinkWriter)
    writer.write(batches(rows(10))[0])
    pending = writer.prepare_commit()
    writer.write(batches(rows(10))[0])
    writer.close()
    assert len(pending) == 2 and len(written(tmp_path)) == 2, "what came after the checkpoint is gone"
    later = Context()
    later.attempt = 1
    sink.clean_up(later, pending)
    for file in [*pending, *pending]:
        sink.commit(file)
    assert sum(pq.read_metadata(tmp_path / name).num_rows for name in written(tmp_path)) == 10


def test_only_inserts_of_columns_are_taken(tmp_path: Path) -> None:
    writer = writer_of(file_table_sink(str(tmp_path), "json", SCHEMA, {}))
    with pytest.raises(RecordTypeError, match="not Python rows"):
        writer.write(ObjectBatch([{"id": 1}]))
    (batch,) = batches(rows(2))
    with pytest.raises(RecordTypeError, match="only takes INSERT rows"):
        writer.write(ArrowBatch(batch.records, None, np.array([0, 3], np.int8)))
    writer.close()


def test_types_that_a_format_does_not_hold_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot hold struct"):
        file_table_sink(str(tmp_path), "csv", pa.schema([("r", pa.struct([("x", pa.int64())]))]), {})
    with pytest.raises(ConfigError, match="Avro has no type for timestamp"):
        file_table_sink(str(tmp_path), "avro", pa.schema([("t", pa.timestamp("ns"))]), {})
    with pytest.raises(ConfigError, match="expected one of success-file"):
        file_table_sink(str(tmp_path), "json", SCHEMA, {"sink.partition-commit.policy.kind": "metastore"})
