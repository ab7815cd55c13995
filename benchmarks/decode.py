"""NDJSON bids to three Arrow columns on one core, against pyarrow, DuckDB and, if it is installed, polars.

Run: ``python benchmarks/decode.py [--rows N] [--site DIR]``. ``--site`` is a directory with further packages, such as
``pip install --target DIR polars`` makes. Each reader gives the same three columns of the same file; the figure is the
CPU time of the process, so that helper threads of a peer count too. Then: our file source as a job polls it, other
projections and types, and writing.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import duckdb
import pyarrow as pa
import pyarrow.json as pajson

from millstream.connectors.files.formats.csv_columns import CsvOptions
from millstream.connectors.files.formats.json_schema import JsonOptions, JsonSchema
from millstream.connectors.files.formats.ndjson_columns import NdjsonColumns
from millstream.connectors.files.formats.row_text import CsvRows, JsonRows
from millstream.connectors.files.tables import file_table_source
from millstream.core.api.source import EnumeratorContext, PollStatus, ReaderContext, SplitBatch
from millstream.core.clock import SystemClock

REPEATS = 5
CHUNK_BYTES = 4 * 1024 * 1024
THREE = ("auction", "price", "dateTime")
BID = pa.schema(
    [
        ("auction", pa.int64()),
        ("bidder", pa.int64()),
        ("price", pa.int64()),
        ("channel", pa.string()),
        ("url", pa.string()),
        ("dateTime", pa.timestamp("ms")),
        ("extra", pa.string()),
    ]
)
EVENT = pa.schema([("event_type", pa.int32()), ("bid", pa.struct(list(BID)))])


def write_bids(plain: Path, nested: Path, rows: int) -> None:
    """The same bids as rows of a table of bids, and inside rows of a table of all events."""
    generator = random.Random(1)
    with plain.open("w") as plain_stream, nested.open("w") as nested_stream:
        for number in range(rows):
            at = datetime.fromtimestamp(1_700_000_000 + number / 10_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
            bid = (
                f'{{"auction":{generator.randrange(10_000)},"bidder":{generator.randrange(50_000)},'
                f'"price":{generator.randrange(100, 10**7)},"channel":"Facebook",'
                f'"url":"https://www.nexmark.com/facebook/item.htm?query={generator.randrange(10**6)}",'
                f'"dateTime":"{at}","extra":"{"x" * generator.randrange(20, 40)}"}}'
            )
            plain_stream.write(bid + "\n")
            nested_stream.write(f'{{"event_type":2,"person":null,"auction":null,"bid":{bid}}}\n')


class Enumeration(EnumeratorContext):
    parallelism = 1

    def __init__(self) -> None:
        self.splits: list[object] = []

    def assign(self, splits: list[object], subtask: int) -> None:
        self.splits += splits

    def no_more_splits(self, subtask: int) -> None:
        pass

    def ask_later(self, subtask: int, delay_ms: int) -> None:
        pass


class Reading(ReaderContext):
    subtask_index = 0
    parallelism = 1
    clock = SystemClock()
    batch_rows_max = 2048
    column_rows_max = 32 * 1024

    def wake_up(self) -> None:
        pass

    def report_malformed(self, count: int) -> None:
        raise AssertionError


def through_source(file: Path, schema: pa.Schema, names: tuple[str, ...]) -> int:
    source = file_table_source(str(file), "json", schema, names, {})
    enumeration = Enumeration()
    enumerator = source.create_enumerator(enumeration)
    enumerator.start()
    enumerator.handle_split_request(0)
    reader = source.create_reader(Reading())
    reader.add_splits(enumeration.splits)  # type: ignore[arg-type]
    reader.notify_no_more_splits()
    rows = 0
    while (answer := reader.poll()) is not PollStatus.END_OF_INPUT:
        assert isinstance(answer, SplitBatch)
        rows += answer.batch.num_rows
    reader.close()
    return rows


def decoding(file: Path, schema: pa.Schema, names: tuple[str, ...]) -> Callable[[], int]:
    """The decoder alone, over chunks that are in memory."""
    data, chunks = file.read_bytes(), []
    while data:
        cut = data.find(b"\n", CHUNK_BYTES) + 1 or len(data)
        chunks.append(data[:cut])
        data = data[cut:]
    decoder = NdjsonColumns(JsonSchema(schema, names, JsonOptions()))

    def decode() -> int:
        return sum(decoder.decode(chunk, False).records.num_rows for chunk in chunks)  # type: ignore[union-attr]

    return decode


def with_pyarrow(file: Path) -> int:
    options = pajson.ParseOptions(
        explicit_schema=pa.schema([BID.field(name) for name in THREE]), unexpected_field_behavior="ignore"
    )
    table = pajson.read_json(file, pajson.ReadOptions(use_threads=False, block_size=CHUNK_BYTES), options)
    return int(table.num_rows)


def with_duckdb(file: Path) -> int:
    connection = duckdb.connect(config={"threads": 1})
    columns = "{auction: 'BIGINT', price: 'BIGINT', dateTime: 'TIMESTAMP'}"
    query = f"SELECT * FROM read_json('{file}', format='newline_delimited', columns={columns})"
    return int(connection.sql(query).to_arrow_table().num_rows)


def with_polars(file: Path) -> int:
    import polars as pl

    schema = {"auction": pl.Int64, "price": pl.Int64, "dateTime": pl.String}
    return int(pl.read_ndjson(file, schema=schema).height)


def report(name: str, rows: int, read: Callable[[], int], ours: float = 0.0) -> float:
    """Prints and returns million rows a second of CPU time, the best of several rounds."""
    assert read() == rows
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        read()
        best = min(best, time.process_time() - started)
    rate = rows / best / 1e6
    print(f"{name:52}{rate:8.2f} M rows/s" + (f"{ours / rate:8.1f}x slower than the source" if ours else ""))
    return rate


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--site", default="")
    arguments = parser.parse_args()
    sys.path.append(arguments.site)
    rows = arguments.rows
    with tempfile.TemporaryDirectory() as directory:
        plain, nested = Path(directory, "bids.json"), Path(directory, "events.json")
        write_bids(plain, nested, rows)
        print(f"{rows} bids of {plain.stat().st_size / rows:.0f} bytes")
        ours = report("file source, 3 columns", rows, lambda: through_source(plain, BID, THREE))
        report("pyarrow.json, 3 columns", rows, lambda: with_pyarrow(plain), ours)
        report("DuckDB read_json, 3 columns", rows, lambda: with_duckdb(plain), ours)
        try:
            report("polars read_ndjson, 3 columns, time as text", rows, lambda: with_polars(plain), ours)
        except ImportError:
            print("polars is not installed")
        names = tuple(f"bid.{name}" for name in THREE)
        report("file source, bid.* of all events, 3 columns", rows, lambda: through_source(nested, EVENT, names))
        for label, schema, file, wanted in [
            ("decoder alone, 3 columns", BID, plain, THREE),
            ("decoder alone, bid.*, 3 columns", EVENT, nested, names),
            ("decoder alone, 1 column", BID, plain, ("auction",)),
            ("decoder alone, 2 columns of text", BID, plain, ("channel", "url")),
            ("decoder alone, all 7 columns", BID, plain, tuple(BID.names)),
        ]:
            report(label, rows, decoding(file, schema, wanted))
        everything = NdjsonColumns(JsonSchema(BID, BID.names, JsonOptions())).decode(plain.read_bytes(), False).records
        assert everything is not None

        def encode(encoder: JsonRows | CsvRows) -> int:
            encoder.encode(everything)
            return rows

        report("JSON lines of all 7 columns", rows, lambda: encode(JsonRows()))
        report("CSV lines of all 7 columns", rows, lambda: encode(CsvRows(CsvOptions())))


if __name__ == "__main__":
    main()
