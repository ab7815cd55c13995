"""Rows of keyed state as bytes: the unit in which state is captured, written and restored.

Operators on Arrow batches keep state in columns, whose chunks are ``column_chunks.ColumnChunk``; the kind tells them
from the chunks of this module, which hold all other state.

A chunk holds rows of one state: ``[name, kind, with time to live, classes, namespaces, keys, stored, gone]``. The last
four are encoded batches or None: state is written by columns, as records are sent. ``gone`` are keys that have no row
any more, or (namespace, key) where there are namespaces. ``classes`` are the fields of record classes at the time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from millstream.core.elements.batch import ObjectBatch
from millstream.core.errors import IncompatibleStateError, RecordTypeError, UnsavableStateError
from millstream.core.keys import KeyGroupCache, key_groups
from millstream.core.serde import decode_batch, decode_value, encode_batch, encode_value
from millstream.core.serde.evolution import ClassFields, noting_classes, saved_with
from millstream.taskmanager.state.column_chunks import KINDS as COLUMN_KINDS
from millstream.taskmanager.state.column_chunks import ColumnChunk, from_fields
from millstream.taskmanager.state.tables import SavedTable

CHUNK_ROWS: Final = 2048
_NO_GROUPS: Final = np.empty(0, np.int64)


@dataclass
class RowChunk:
    """Rows of one state; ``keys`` are (namespace, key) when ``spaced``."""

    name: str
    kind: str
    with_ttl: bool
    spaced: bool
    keys: list[Any]
    stored: list[Any]
    gone: list[Any]

    def plain_keys(self, keys: list[Any]) -> list[Any]:
        return [key for _, key in keys] if self.spaced else keys


Chunk = RowChunk | ColumnChunk


def encode_chunk(chunk: RowChunk) -> bytes:
    """The bytes of a chunk. Raises ``CheckpointError`` that names the state and the type that cannot be saved."""
    try:
        with noting_classes() as classes:
            content = [
                _encoded(chunk.plain_keys(chunk.keys)),
                _encoded([namespace for namespace, _ in chunk.keys]) if chunk.spaced else None,
                _encoded(chunk.stored),
                _encoded(chunk.gone),
            ]
    except RecordTypeError as error:
        raise unsavable(chunk, error) from error
    return encode_value([chunk.name, chunk.kind, chunk.with_ttl, chunk.spaced, classes, *content])


def decode_chunk(data: bytes | memoryview) -> Chunk:
    """The inverse of ``encode_chunk`` and ``encode_column_chunk``."""
    return _of_fields(decode_value(data))


def _of_fields(fields: list[Any]) -> Chunk:
    if fields[1] in COLUMN_KINDS:
        return from_fields(fields)
    encoded = EncodedRows(*fields)
    with reading_state(encoded.name, encoded.classes):
        keys = decoded_values(encoded.keys)
        if encoded.spaced:
            keys = list(zip(decoded_values(encoded.namespaces), keys, strict=True))
        stored, gone = decoded_values(encoded.stored), decoded_values(encoded.gone)
        return RowChunk(encoded.name, encoded.kind, encoded.with_ttl, encoded.spaced, keys, stored, gone)


class EncodedRows(NamedTuple):
    """The fields of an encoded chunk of rows; batches are encoded still."""

    name: str
    kind: str
    with_ttl: bool
    spaced: bool
    classes: ClassFields
    keys: bytes | None
    namespaces: bytes | None
    stored: bytes | None
    gone: bytes | None


class EncodedChunk:
    """A chunk that is made of Python values when somebody needs them.

    ``full``: of a full run, so that no key of its is in another such chunk. ``chosen``: only these of its rows count.
    """

    def __init__(self, data: bytes | memoryview, full: bool = False, chosen: GroupFilter | None = None) -> None:
        self._fields = decode_value(data)
        self.full = full
        self.chosen = chosen

    def rows(self) -> EncodedRows | None:
        """None when it holds columns."""
        return None if self._fields[1] in COLUMN_KINDS else EncodedRows(*self._fields)

    def decoded(self) -> Chunk:
        chunk = _of_fields(self._fields)
        return chunk if self.chosen is None else self.chosen.apply(chunk)


def decoded(chunk: Chunk | EncodedChunk) -> Chunk:
    """The chunk with its rows as Python values, or its columns."""
    return chunk.decoded() if isinstance(chunk, EncodedChunk) else chunk


@contextmanager
def reading_state(name: str, classes: ClassFields) -> Iterator[None]:
    """What is decoded inside is of the state ``name``, saved when record classes had these fields.

    Raises ``IncompatibleStateError`` that names the state.
    """
    try:
        with saved_with(classes):
            yield
    except IncompatibleStateError as error:
        raise IncompatibleStateError(f"the state {name!r} cannot be restored: {error.message}") from error


def divided(chunk: RowChunk, groups: range, parts: int, cache: KeyGroupCache) -> Iterator[tuple[range, RowChunk]]:
    """The chunk in ``parts`` of about as many key groups each; empty parts are left out."""
    of_rows = key_groups(chunk.plain_keys(chunk.keys), cache.max_parallelism, cache) if chunk.keys else _NO_GROUPS
    of_gone = key_groups(chunk.plain_keys(chunk.gone), cache.max_parallelism, cache) if chunk.gone else _NO_GROUPS
    bounds = [groups.start + len(groups) * part // parts for part in range(parts + 1)]
    for first, end in itertools.pairwise(bounds):
        chosen = np.flatnonzero((of_rows >= first) & (of_rows < end)).tolist()
        removed = np.flatnonzero((of_gone >= first) & (of_gone < end)).tolist()
        if chosen or removed:
            keys, stored = [chunk.keys[i] for i in chosen], [chunk.stored[i] for i in chosen]
            gone = [chunk.gone[i] for i in removed]
            yield (
                range(first, end),
                RowChunk(chunk.name, chunk.kind, chunk.with_ttl, chunk.spaced, keys, stored, gone),
            )


class GroupFilter:
    """Keeps the rows of some key groups."""

    def __init__(self, groups: range, max_parallelism: int) -> None:
        self._groups = groups
        self._cache = KeyGroupCache(max_parallelism)

    def apply(self, chunk: Chunk) -> Chunk:
        """The chunk without the rows of other groups."""
        if isinstance(chunk, ColumnChunk):
            return chunk.filtered(self._groups)
        chosen = self._chosen(chunk, chunk.keys)
        gone = self._chosen(chunk, chunk.gone)
        return RowChunk(
            chunk.name,
            chunk.kind,
            chunk.with_ttl,
            chunk.spaced,
            [chunk.keys[i] for i in chosen],
            [chunk.stored[i] for i in chosen],
            [chunk.gone[i] for i in gone],
        )

    def holds(self, keys: list[Any]) -> npt.NDArray[np.bool_]:
        """Which of the keys, at least one, are of these groups."""
        groups = key_groups(keys, self._cache.max_parallelism, self._cache)
        inside: npt.NDArray[np.bool_] = (groups >= self._groups.start) & (groups < self._groups.stop)
        return inside

    def _chosen(self, chunk: RowChunk, keys: list[Any]) -> list[int]:
        rows: list[int] = np.flatnonzero(self.holds(chunk.plain_keys(keys))).tolist() if keys else []
        return rows


def load_chunks(chunks: Iterable[Chunk | EncodedChunk], tables: dict[str, SavedTable]) -> None:
    """Apply chunks to ``tables``, the later over the earlier. Raises ``IncompatibleStateError`` for columns."""
    for chunk in map(as_rows, chunks):
        table = tables.get(chunk.name)
        if table is None:
            table = tables[chunk.name] = SavedTable(chunk.name, chunk.kind, chunk.with_ttl)
        table.with_ttl = chunk.with_ttl
        rows = table.spaced if chunk.spaced else table.plain
        for key in chunk.gone:
            rows.pop(key, None)
        rows.update(zip(chunk.keys, chunk.stored, strict=True))


def as_rows(chunk: Chunk | EncodedChunk) -> RowChunk:
    """For operators that keep their state by row. Raises ``IncompatibleStateError`` for columns."""
    chunk = decoded(chunk)
    if isinstance(chunk, ColumnChunk):
        raise IncompatibleStateError(
            f"the state {chunk.name!r} cannot be restored: it was saved in columns, by an operator on Arrow batches, "
            "and the operator that takes its place keeps its state by row. Start the changed job without this state."
        )
    return chunk


def unsavable(chunk: RowChunk, error: Exception) -> UnsavableStateError:
    """Why a chunk cannot be written: the state, and the type of the first value at fault."""
    culprit = ""
    for key, stored in zip(chunk.keys, chunk.stored, strict=True):
        try:
            encode_value(stored)
        except RecordTypeError:
            kind = type(stored)
            culprit = f" of type {kind.__module__}.{kind.__qualname__}, that of key {key!r:.100},"
            break
    return UnsavableStateError(
        f"the state {chunk.name!r} holds a value{culprit} which cannot be saved: {error} Keep plain values, "
        f"dataclasses or picklable objects in state, and build the rest in open()."
    )


def _encoded(values: list[Any]) -> bytes | None:
    return b"".join(encode_batch(ObjectBatch(values))) if values else None


def decoded_values(data: bytes | None) -> list[Any]:
    """The values of one of the fields that are batches."""
    if data is None:
        return []
    batch = decode_batch(data)
    assert isinstance(batch, ObjectBatch)
    return batch.values
