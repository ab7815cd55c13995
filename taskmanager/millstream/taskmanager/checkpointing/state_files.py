"""The files of one subtask's state: written from a snapshot, and read again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from millstream.core.checkpoint.files import crc32c
from millstream.core.checkpoint.manifest import checked, read_checked, read_exactly
from millstream.core.checkpoint.storage import Storage
from millstream.core.elements.batch import Batch
from millstream.core.keys import key_group_range
from millstream.core.serde import decode_batch, decode_value, encode_batch, encode_value
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.checkpointing.task_snapshot import TaskSnapshot
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.state.backend import KeyedCapture, RestoredKeyed, StoredDatabase
from millstream.taskmanager.state.chunks import Chunk, EncodedChunk, GroupFilter, RowChunk
from millstream.taskmanager.state.column_chunks import KINDS as COLUMN_KINDS
from millstream.taskmanager.state.column_chunks import ColumnChunk
from millstream.taskmanager.state.column_files import read_columns, write_columns
from millstream.taskmanager.state.state_writer import StateWriter
from millstream.taskmanager.state.table_files import gather, read_table, write_table
from millstream.taskmanager.task.context import SubtaskInfo

_BLOCK_BYTES: Final = 16 << 20


def store_snapshot(info: SubtaskInfo, snapshot: TaskSnapshot, writer: StateWriter) -> checkpoint_pb2.SubtaskState:
    """Write a complete snapshot; durable on return. ``OSError`` when the storage refuses."""
    state = checkpoint_pb2.SubtaskState(index=info.subtask_index)
    pieces: list[bytes] = []
    offset = 0
    for operator_id, of_operator in snapshot.operators:
        operator = state.operators.add(operator_id=operator_id)
        for name, mode, group, data in of_operator.pieces():
            operator.sections.add(
                name=name, mode=mode, key_group=group, offset=offset, length=len(data), crc32c=crc32c(data)
            )
            pieces.append(data)
            offset += len(data)
    for key, batches in snapshot.flights():
        data = encode_value([b"".join(encode_batch(batch)) for batch in batches])
        state.in_flight.add(**key._asdict(), offset=offset, length=len(data), crc32c=crc32c(data))
        pieces.append(data)
        offset += len(data)
    if pieces:
        writer.write(pieces, shared=False)  # the first file: sections and batches in flight have index 0
    for operator, (_, of_operator) in zip(state.operators, snapshot.operators, strict=True):
        if of_operator.capture is None:
            continue
        if snapshot.barrier.savepoint:
            _store_tables(info, of_operator.capture, writer, operator)
        else:
            of_operator.capture.store(writer, operator)
    state.files.extend(writer.files)
    state.written_bytes = writer.written_bytes
    return state


def _store_tables(
    info: SubtaskInfo, capture: KeyedCapture, writer: StateWriter, operator: checkpoint_pb2.OperatorState
) -> None:
    """As savepoints have it: one Parquet file a state."""
    groups = key_group_range(info.subtask_index, info.max_parallelism, info.parallelism)
    rows: list[RowChunk] = []
    columns: dict[str, list[ColumnChunk]] = {}
    for chunk in capture.rows():
        if isinstance(chunk, ColumnChunk):
            columns.setdefault(chunk.name, []).append(chunk)
        else:
            rows.append(chunk)
    for name, chunks in columns.items():
        content, count = write_columns(chunks)
        path = f"{operator.operator_id[:16]}/{file_name(name)}.{info.subtask_index}.parquet"
        operator.tables.add(
            name=name,
            kind=chunks[0].kind,
            with_ttl=chunks[0].with_ttl,
            file=writer.write_named(path, content),
            rows=count,
            first_group=groups.start,
            last_group=groups.stop - 1,
        )
    for table in gather(rows):
        name = f"{operator.operator_id[:16]}/{file_name(table.name)}{'.windows' if table.spaced else ''}"
        content = write_table(table, info.max_parallelism)
        operator.tables.add(
            name=table.name,
            kind=table.kind,
            with_ttl=table.with_ttl,
            spaced=table.spaced,
            file=writer.write_named(f"{name}.{info.subtask_index}.parquet", content),
            rows=len(table.keys),
            first_group=groups.start,
            last_group=groups.stop - 1,
        )


def file_name(text: str) -> str:
    """The name of a state with whatever a file's name should not have replaced."""
    return re.sub(r"[^\w-]", "_", text)


class StateReader:
    """What a subtask starts with. All methods raise ``DamagedStateError`` for files that changed or are gone."""

    def __init__(self, storage: Storage, restored: checkpoint_pb2.RestoredState, info: SubtaskInfo) -> None:
        self._storage = storage
        self._restored = restored
        self._info = info

    def operators(self, groups: range) -> dict[str, OperatorSnapshot]:
        """By operator id. ``groups`` are the key groups of the subtask."""
        snapshots: dict[str, OperatorSnapshot] = {}
        for operator in self._restored.operators:
            snapshot = snapshots[operator.operator_id] = OperatorSnapshot()
            for section in operator.sections:
                data = read_checked(self._storage, section.path, section.offset, section.length, section.crc32c)
                snapshot.add(section.name, section.mode, section.key_group, data)
            snapshot.backend = self._keyed(operator, groups)
        return snapshots

    def in_flight(self, keep: dict[int, Any]) -> Iterator[tuple[int, int, Batch]]:
        """``(edge, producer, batch)``. ``keep`` filters the batches of an edge whose consumers are others now."""
        for flight in self._restored.in_flight:
            data = read_checked(self._storage, flight.file.path, flight.offset, flight.length, flight.crc32c)
            for encoded in decode_value(data):
                batch = decode_batch(encoded)
                if flight.filter:
                    batch = keep[flight.edge_id](batch)
                if batch.num_rows:
                    yield flight.edge_id, flight.producer, batch

    def _keyed(self, operator: checkpoint_pb2.RestoredOperator, groups: range) -> RestoredKeyed | None:
        if not operator.runs and not operator.databases and not operator.tables:
            return None
        databases = [
            StoredDatabase(
                self._storage,
                [(file.name, file.file) for file in database.files],
                range(database.first_group, database.last_group + 1),
                self._restored.own,
            )
            for database in operator.databases
        ]
        chain = None
        if self._restored.own and not databases:
            chain = [(restored.file, _narrowed(restored.run, groups)) for restored in operator.runs]
        return RestoredKeyed(self._chunks(operator, groups), chain, databases)

    def _chunks(self, operator: checkpoint_pb2.RestoredOperator, groups: range) -> Iterator[Chunk | EncodedChunk]:
        for restored in operator.runs:
            run = _narrowed(restored.run, groups)
            kept = range(run.first_group, run.last_group + 1)
            chosen = GroupFilter(kept, self._info.max_parallelism)
            for held, data in self._pieces(restored.file.path, run, kept):
                whole = not run.filter or (kept.start <= held.start and held.stop <= kept.stop)
                yield EncodedChunk(data, run.full, None if whole else chosen)

        for restored_table in operator.tables:
            file, table = restored_table.file, restored_table.table
            own = groups.start <= table.first_group and table.last_group < groups.stop
            content = read_checked(self._storage, file.path, 0, file.length, file.crc32c)
            wanted = None if own else groups
            if table.kind in COLUMN_KINDS:
                yield from read_columns(
                    content, name=table.name, kind=table.kind, with_ttl=table.with_ttl, groups=wanted
                )
                continue
            yield from read_table(
                content,
                name=table.name,
                kind=table.kind,
                with_ttl=table.with_ttl,
                spaced=table.spaced,
                groups=wanted,
            )

    def _pieces(self, path: str, run: checkpoint_pb2.KeyedRun, kept: range) -> Iterator[tuple[range, memoryview]]:
        """The chunks of a run, which stand behind each other, read in blocks; only those that may hold rows to keep."""
        groups = [
            range(first, last + 1) for first, last in zip(run.chunk_first_groups, run.chunk_last_groups, strict=True)
        ] or [range(self._info.max_parallelism)] * len(run.offsets)
        start = 0
        while start < len(run.offsets):
            stop, size = start, 0
            while stop < len(run.offsets) and (stop == start or size + run.lengths[stop] <= _BLOCK_BYTES):
                size += run.lengths[stop]
                stop += 1
            block = memoryview(read_exactly(self._storage, path, run.offsets[start], size))
            for i in range(start, stop):
                if groups[i].stop <= kept.start or kept.stop <= groups[i].start:
                    continue
                begin = run.offsets[i] - run.offsets[start]
                data = block[begin : begin + run.lengths[i]]
                yield groups[i], checked(data, self._storage, path, run.offsets[i], run.checksums[i])
            start = stop


def _narrowed(run: checkpoint_pb2.KeyedRun, groups: range) -> checkpoint_pb2.KeyedRun:
    """The part of a run that is the subtask's."""
    first, last = max(run.first_group, groups.start), min(run.last_group, groups.stop - 1)
    if (first, last) == (run.first_group, run.last_group):
        return run
    narrowed = checkpoint_pb2.KeyedRun()
    narrowed.CopyFrom(run)
    narrowed.first_group, narrowed.last_group, narrowed.filter = first, last, True
    return narrowed
