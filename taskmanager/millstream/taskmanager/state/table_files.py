"""Rows of keyed state as Parquet files: the form of savepoints, which every backend reads and other tools too.

A file holds rows of one state of one subtask, sorted by key group. ``key``, ``namespace`` (of window state) and
``value`` are Arrow columns of the type that the values have, as far as Arrow has one: numbers, text, times, lists,
structs of dataclasses, NamedTuples, tuples (fields ``f0``, ``f1``, ...) and dicts; the rest is shown as text. What is
restored is in ``_key``, ``_namespace`` and ``_value``, as bytes.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np

from millstream.core.api.row import Row
from millstream.core.keys import KeyGroupCache, key_groups
from millstream.core.serde import decode_value, encode_value
from millstream.core.serde.evolution import noting_classes
from millstream.taskmanager.state.chunks import CHUNK_ROWS, RowChunk, reading_state
from millstream.taskmanager.state.tables import without_times

ROW_GROUP_ROWS: Final = 1 << 16
KEY_GROUP: Final = "key_group"
KEY: Final = "key"
NAMESPACE: Final = "namespace"
VALUE: Final = "value"
_CLASSES: Final = b"millstream.classes"


@dataclasses.dataclass
class TableRows:
    """All rows of one state."""

    name: str
    kind: str
    with_ttl: bool
    spaced: bool
    keys: list[Any] = dataclasses.field(default_factory=list)
    stored: list[Any] = dataclasses.field(default_factory=list)


def gather(chunks: Iterable[RowChunk]) -> list[TableRows]:
    """The rows of full chunks by state, those with namespaces apart."""
    tables: dict[tuple[str, bool], TableRows] = {}
    for chunk in chunks:
        table = tables.get((chunk.name, chunk.spaced))
        if table is None:
            table = TableRows(chunk.name, chunk.kind, chunk.with_ttl, chunk.spaced)
            tables[(chunk.name, chunk.spaced)] = table
        table.keys += chunk.keys
        table.stored += chunk.stored
    return [table for table in tables.values() if table.keys]


def write_table(table: TableRows, max_parallelism: int) -> bytes:
    """The file's content."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    keys = [key for _, key in table.keys] if table.spaced else table.keys
    groups = key_groups(keys, max_parallelism, KeyGroupCache(max_parallelism))
    order = np.argsort(groups, kind="stable").tolist()
    keys = [keys[i] for i in order]
    stored = [table.stored[i] for i in order]
    plain = [without_times(table.kind, value) for value in stored] if table.with_ttl else stored
    with noting_classes() as classes:
        raw = {"_key": _encoded(keys), "_value": _encoded(stored)}
        if table.spaced:
            raw["_namespace"] = _encoded([table.keys[i][0] for i in order])
    columns: dict[str, Any] = {KEY_GROUP: pa.array(groups[order], pa.int32()), KEY: shown(keys)}
    if table.spaced:
        columns[NAMESPACE] = shown([table.keys[i][0] for i in order])
    content = pa.table({**columns, VALUE: shown(plain), **raw})
    content = content.replace_schema_metadata({_CLASSES: json.dumps(classes)})
    written = io.BytesIO()
    pq.write_table(content, written, compression="zstd", row_group_size=ROW_GROUP_ROWS)
    return written.getvalue()


def read_table(
    content: bytes, *, name: str, kind: str, with_ttl: bool, spaced: bool, groups: range | None = None
) -> Iterator[RowChunk]:
    """The rows of some key groups, or of all."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    columns = [KEY_GROUP, "_key", "_value", *(["_namespace"] if spaced else [])]
    file = pq.ParquetFile(pa.BufferReader(content))
    classes = json.loads((file.schema_arrow.metadata or {}).get(_CLASSES, b"{}"))
    for batch in file.iter_batches(CHUNK_ROWS, columns=columns):
        if groups is not None:
            inside = pc.and_(
                pc.greater_equal(batch.column(KEY_GROUP), groups.start), pc.less(batch.column(KEY_GROUP), groups.stop)
            )
            batch = batch.filter(inside)
        if not batch.num_rows:
            continue
        with reading_state(name, classes):
            keys = list(map(decode_value, batch.column("_key").to_pylist()))
            if spaced:
                keys = list(zip(map(decode_value, batch.column("_namespace").to_pylist()), keys, strict=True))
            stored = list(map(decode_value, batch.column("_value").to_pylist()))
        yield RowChunk(name, kind, with_ttl, spaced, keys, stored, [])


def shown(values: list[Any]) -> Any:
    """``values`` as an Arrow array of the type they have, or as text when they have none in common."""
    import pyarrow as pa

    try:
        return pa.array(list(map(_plain, values)))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _encoded(values: list[Any]) -> Any:
    import pyarrow as pa

    return pa.array(list(map(encode_value, values)), pa.binary())


def _plain(value: Any) -> Any:
    """Records as dicts, for Arrow makes structs of them."""
    convert = _CONVERT.get(type(value))
    if convert is not None:
        return convert(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: _plain(item) for name, item in zip(value._fields, value, strict=True)}
    return value


def _of_row(row: Row) -> Any:
    names = row.get_field_names() or [f"f{i}" for i in range(len(row))]
    return {name: _plain(item) for name, item in zip(names, row, strict=True)}


_CONVERT: Final[dict[type, Callable[[Any], Any]]] = {
    int: lambda value: value,
    str: lambda value: value,
    float: lambda value: value,
    tuple: lambda value: {f"f{i}": _plain(item) for i, item in enumerate(value)},
    list: lambda value: [_plain(item) for item in value],
    set: lambda value: [_plain(item) for item in value],
    frozenset: lambda value: [_plain(item) for item in value],
    dict: lambda value: (
        {key: _plain(item) for key, item in value.items()}
        if all(type(key) is str for key in value)
        else [{"key": _plain(key), "value": _plain(item)} for key, item in value.items()]
    ),
    Row: _of_row,
}
