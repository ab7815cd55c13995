"""Changes a checkpoint so that its checksums still fit: what only the oracle can notice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import pyarrow as pa

from millstream.core.checkpoint.files import crc32c
from millstream.core.checkpoint.manifest import read_manifest, write_manifest
from millstream.core.checkpoint.storage import LocalStorage
from millstream.core.serde import decode_value, encode_value
from millstream.proto.v1.checkpoint_pb2 import KeyedRun, OperatorState, StateSection, SubtaskState
from millstream.taskmanager.state.chunks import Chunk, RowChunk, decode_chunk, encode_chunk
from millstream.taskmanager.state.column_chunks import GROUP, encode_column_chunk
from tests.oracle.held import uids_of


class Tampered:
    """The checkpoint in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._storage = LocalStorage(directory)
        self._manifest = read_manifest(self._storage)
        self._uids = uids_of(self._manifest.vertices)
        self._files = 0

    def save(self) -> None:
        """Write the changed manifest."""
        write_manifest(self._storage, self._manifest)

    def subtasks(self) -> Iterator[SubtaskState]:
        for vertex in self._manifest.vertices:
            yield from vertex.subtasks

    def operators(self, uid: str) -> Iterator[tuple[SubtaskState, OperatorState]]:
        for subtask in self.subtasks():
            for operator in subtask.operators:
                if self._uids.get(operator.operator_id) == uid:
                    yield subtask, operator

    # -- what can be wrong --------------------------------------------------------------------------------------------

    def drop_a_batch(self) -> bool:
        """The last batch of the first channel that has any on its way."""
        return self._change_flight(lambda batches: batches[:-1])

    def reverse_batches(self) -> bool:
        """Of the first channel that has several."""
        return self._change_flight(lambda batches: batches[::-1] if len(batches) > 1 else batches)

    def drop_a_channel(self) -> bool:
        """Everything that was on its way to one subtask from another."""
        for subtask in self.subtasks():
            if subtask.in_flight:
                del subtask.in_flight[0]
                return True
        return False

    def shift_an_offset(self, by: int) -> bool:
        """Of the first split that a reader has begun."""

        def shifted(data: bytes) -> bytes:
            split = cloudpickle.loads(data)
            return data if split.position < 100 else cloudpickle.dumps(replace(split, position=split.position + by))

        return self._change_section("numbers", "splits", shifted)

    def repeat_a_split(self) -> bool:
        """In the enumerator and in a reader."""
        for subtask, operator in self.operators("numbers"):
            for section in operator.sections:
                vertex = next(vertex for vertex in self._manifest.vertices if subtask in vertex.subtasks)
                held = cloudpickle.loads(vertex.enumerator)
                vertex.enumerator = cloudpickle.dumps([*held, cloudpickle.loads(self._read(subtask, section))])
                return True
        return False

    def drop_a_row(self, uid: str = "counts", state: str = "total") -> bool:
        """Of a keyed state, from the last run that has rows of it. Without effect on databases."""
        for subtask, operator in self.operators(uid):
            for run in reversed(operator.runs):
                for place in range(len(run.offsets)):
                    chunk = decode_chunk(self._of_run(subtask, run, place))
                    if chunk.name == state and (data := _without_a_row(chunk)):
                        self._replace_run(subtask, run, place, data)
                        return True
        return False

    def drop_a_window(self) -> bool:
        """The contents of one window of one key."""
        return self._change_section("windows", "contents", lambda data: encode_value(decode_value(data)[:-1]))

    def raise_the_watermark(self) -> bool:
        """Of one subtask of the windows, by an hour."""
        return self._change_section("windows", "watermark", lambda data: encode_value(decode_value(data) + 3_600_000))

    def forget_a_file(self) -> bool:
        """That one sink would commit."""
        for _, operator in self.operators("counts sink"):
            for place, section in enumerate(operator.sections):
                if section.name == "committables":
                    del operator.sections[place]
                    return True
        return False

    # -- inside -------------------------------------------------------------------------------------------------------

    def _change_flight(self, change: Callable[[list[Any]], list[Any]]) -> bool:
        for subtask in self.subtasks():
            for flight in subtask.in_flight:
                before = decode_value(self._read(subtask, flight))
                after = change(before)
                if after != before:
                    self._replace(subtask, flight, encode_value(after))
                    return True
        return False

    def _change_section(self, uid: str, name: str, change: Callable[[bytes], bytes]) -> bool:
        for subtask, operator in self.operators(uid):
            for section in operator.sections:
                before = self._read(subtask, section)
                if section.name == name and (after := change(before)) != before:
                    self._replace(subtask, section, after)
                    return True
        return False

    def _read(self, subtask: SubtaskState, piece: Any) -> bytes:
        return self._storage.read(subtask.files[piece.file].path, piece.offset, piece.length)

    def _replace(self, subtask: SubtaskState, piece: StateSection | Any, data: bytes) -> None:
        piece.file, piece.offset, piece.length, piece.crc32c = self._write(subtask, data), 0, len(data), crc32c(data)

    def _of_run(self, subtask: SubtaskState, run: KeyedRun, place: int) -> bytes:
        return self._storage.read(subtask.files[run.file].path, run.offsets[place], run.lengths[place])

    def _replace_run(self, subtask: SubtaskState, run: KeyedRun, place: int, data: bytes) -> None:
        """The chunks of a run stand behind each other in a file."""
        chunks = [self._of_run(subtask, run, i) for i in range(len(run.offsets))]
        chunks[place] = data
        run.file = self._write(subtask, b"".join(chunks))
        for i, chunk in enumerate(chunks):
            run.offsets[i], run.lengths[i] = sum(map(len, chunks[:i])), len(chunk)
            run.checksums[i] = crc32c(chunk)

    def _write(self, subtask: SubtaskState, data: bytes) -> int:
        self._files += 1
        name = f"tampered-{self._files}"
        self._storage.write(name, [data])
        subtask.files.add(path=name, length=len(data), crc32c=crc32c(data))
        return len(subtask.files) - 1


def _without_a_row(chunk: Chunk) -> bytes:
    """The chunk with its last row gone; nothing when it has none."""
    if isinstance(chunk, RowChunk):
        if not chunk.keys:
            return b""
        chunk.stored.pop()
        return encode_chunk(replace(chunk, gone=[*chunk.gone, chunk.keys.pop()]))
    rows = chunk.rows
    if not rows.num_rows:
        return b""
    last = rows.slice(rows.num_rows - 1)
    names = [GROUP, *rows.schema.names[chunk.first_key : chunk.first_key + chunk.keys]]
    gone = last.select(names) if chunk.gone is None else _joined(chunk.gone, last.select(names))
    return encode_column_chunk(replace(chunk, rows=rows.slice(0, rows.num_rows - 1), gone=gone))


def _joined(first: pa.RecordBatch, second: pa.RecordBatch) -> pa.RecordBatch:
    return pa.Table.from_batches([first, second.cast(first.schema)]).combine_chunks().to_batches()[0]
