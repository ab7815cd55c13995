"""The events as files, a directory for each of ``person``, ``auction`` and ``bid``: inputs of benchmarks and tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from millstream.connectors.nexmark.fields import KindRows
from millstream.connectors.nexmark.model import EVENT_SCHEMA, EventKind, NexmarkModel
from millstream.connectors.rounds import RoundsSplit, rounds_splits
from millstream.core.errors import ConfigError

FORMATS: Final = ("json", "parquet")
_CHUNK_EVENTS: Final = 50_000
_GROUP_ROWS: Final = 500_000


def write_events(
    model: NexmarkModel, events: int, directory: Path, files: int = 2, file_format: str = "json"
) -> dict[EventKind, int]:
    """Write the first ``events`` events as ``directory/bid/part-0.json`` and so on, ``files`` a table.

    File i of a table holds the rows that subtask i of a source with parallelism ``files`` would make: all files cover
    the whole time, each in its order. Lines are compact JSON, times ``2024-01-01 00:00:00.000``. Returns the rows
    written by kind. Raises ``ConfigError`` where a table's directory has files already.
    """
    for kind in EventKind:
        folder = directory / kind.column
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"{folder} has files already. Remove them or choose another directory.")
    rows = dict.fromkeys(EventKind, 0)
    for split in rounds_splits(files, model.epoch_events, events):
        for kind in EventKind:
            path = directory / kind.column / f"part-{split.index}.{file_format}"
            write = _write_json if file_format == "json" else _write_parquet
            rows[kind] += write(path, kind, _batches(model, kind, split))
    return rows


def _batches(model: NexmarkModel, kind: EventKind, split: RoundsSplit) -> Iterator[pa.RecordBatch]:
    fields = list(EVENT_SCHEMA.field(kind.column).type)
    while not split.is_finished:
        events = split.numbers(_CHUNK_EVENTS)
        split = split.after(len(events))
        rows = KindRows(model, kind, events[model.kinds(events) == kind])
        yield pa.RecordBatch.from_arrays([rows.field(field.name) for field in fields], schema=pa.schema(fields))


def _write_json(path: Path, kind: EventKind, batches: Iterator[pa.RecordBatch]) -> int:
    rows = 0
    with path.open("wb") as file:
        for batch in batches:
            write_lines(file, batch)
            rows += batch.num_rows
    return rows


def _write_parquet(path: Path, kind: EventKind, batches: Iterator[pa.RecordBatch]) -> int:
    rows = 0
    with pq.ParquetWriter(path, pa.schema(list(EVENT_SCHEMA.field(kind.column).type)), compression="zstd") as writer:
        group: list[pa.RecordBatch] = []
        for batch in batches:
            group.append(batch)
            rows += batch.num_rows
            if sum(part.num_rows for part in group) >= _GROUP_ROWS:
                writer.write_table(pa.Table.from_batches(group))
                group = []
        if group:
            writer.write_table(pa.Table.from_batches(group))
    return rows


def write_lines(file: IO[bytes], batch: pa.RecordBatch) -> None:
    """The rows as JSON lines. No field is null and no text has a character that JSON escapes: the generator's words
    are letters, digits and punctuation."""
    if batch.num_rows == 0:
        return
    pieces: list[Any] = []
    for number, field in enumerate(batch.schema):
        quote = "" if pa.types.is_integer(field.type) else '"'
        opening = '{"' if number == 0 else f'{pieces.pop()},"'
        pieces += [f'{opening}{field.name}":{quote}', batch.column(number).cast(pa.string()), quote]
    lines = pc.binary_join_element_wise(*pieces[:-1], f"{pieces[-1]}}}\n", "")
    offsets = np.frombuffer(lines.buffers()[1], np.int32, len(lines) + 1)
    file.write(lines.buffers()[2].slice(0, int(offsets[-1])))
