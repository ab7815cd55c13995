"""Reading savepoints and checkpoints."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream.client.translation.operator_ids import id_of_uid
from millstream.core.checkpoint.manifest import read_manifest
from millstream.core.checkpoint.storage import absolute_location, open_storage
from millstream.core.clock import Clock, SystemClock
from millstream.core.config import load
from millstream.core.errors import UserError
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.checkpointing.state_files import StateReader
from millstream.taskmanager.state.backend import RestoredKeyed
from millstream.taskmanager.state.chunks import Chunk, decoded, load_chunks
from millstream.taskmanager.state.column_chunks import ColumnChunk
from millstream.taskmanager.state.rocksdb_files import rows_of_database
from millstream.taskmanager.state.table_files import shown
from millstream.taskmanager.state.tables import SavedTable, without_times
from millstream.taskmanager.task.context import SubtaskInfo

if TYPE_CHECKING:
    import pyarrow as pa

    from millstream.taskmanager.state.columnar.backend import ColumnarBackend


@dataclass(frozen=True)
class KeyedStateInfo:
    """One keyed state of an operator.

    ``kind``: value, list, map, reducing or aggregating; columns (one row a key) or rows (any number) of SQL operators.
    """

    name: str
    kind: str
    rows: int


@dataclass(frozen=True)
class OperatorInfo:
    """An operator whose state is there."""

    operator_id: str
    name: str
    parallelism: int
    max_parallelism: int


@dataclass
class _Reader:
    """Implements ``SubtaskContext`` for one that has all key groups."""

    max_parallelism: int
    parallelism: int = 1
    subtask_index: int = 0
    clock: Clock = field(default_factory=SystemClock)
    configuration: dict[str, Any] = field(default_factory=dict)


class Savepoint:
    """A savepoint or a retained checkpoint.

    Example::

        savepoint = Savepoint.load("/savepoints/savepoint-4bca2f-1a209aef896")
        savepoint.operators()
        savepoint.read_keyed_state("count", "reduced")  # a pyarrow.Table: key, value
    """

    def __init__(self, location: str, settings: Mapping[str, Any]) -> None:
        self.location = location
        self._storage = open_storage(location, settings)
        self.manifest = read_manifest(self._storage)

    @classmethod
    def load(cls, path: str | Path, settings: Mapping[str, Any] | None = None) -> Savepoint:
        """The one in a directory or at a URL; ``settings`` such as ``s3.endpoint`` go before the configured ones.

        Raises ``CheckpointError`` when there is none, or it is damaged.
        """
        return cls(absolute_location(path), {**load().flatten(), **(settings or {})})

    def operators(self) -> list[OperatorInfo]:
        """All operators of the job, in the order of the plan."""
        return [
            OperatorInfo(operator_id, name, vertex.parallelism, vertex.max_parallelism)
            for vertex in self.manifest.vertices
            for operator_id, name in zip(vertex.operator_ids, vertex.operator_names, strict=True)
        ]

    def keyed_states(self, operator: str) -> list[KeyedStateInfo]:
        """The keyed states of an operator, named by its uid, its name or its id."""
        tables, columnar = self._tables(operator)
        found = [KeyedStateInfo(table.name, table.kind, len(table)) for table in tables.values()]
        if columnar is not None:
            found += [KeyedStateInfo(name, kind, rows) for name, (kind, rows) in columnar.tables().items()]
        return found

    def rows(self, operator: str, state: str) -> Iterator[tuple[Any, Any]]:
        """``(key, what is stored)`` of each key: a value, a list, a dict, or an accumulator, as Python objects.

        Raises ``UserError`` when there is no such operator or state.
        """
        table = self._table(operator, state)
        for key, stored in table.plain.items():
            yield key, without_times(table.kind, stored) if table.with_ttl else stored

    def window_rows(self, operator: str, state: str) -> Iterator[tuple[Any, Any, Any]]:
        """``(window, key, what is stored)`` of state that belongs to windows."""
        table = self._table(operator, state)
        for (namespace, key), stored in table.spaced.items():
            yield namespace, key, without_times(table.kind, stored) if table.with_ttl else stored

    def read_keyed_state(self, operator: str, state: str) -> pa.Table:
        """Columns ``key`` and ``value``; of the types that the values have, text where Arrow has none for them.

        State of SQL operators has the columns it was declared with: those of the key, then those of the values.
        """
        import pyarrow as pa

        _, columnar = self._tables(operator)
        if columnar is not None and state in columnar.tables():
            return pa.Table.from_batches([columnar.contents(state)])
        rows = list(self.rows(operator, state))
        return pa.table({"key": shown([key for key, _ in rows]), "value": shown([stored for _, stored in rows])})

    def _table(self, operator: str, state: str) -> SavedTable:
        tables, columnar = self._tables(operator)
        names = ", ".join(map(repr, [*tables, *(columnar.tables() if columnar else ())])) or "none"
        if columnar is not None and state in columnar.tables():
            raise UserError(f"the state {state!r} of {operator!r} is kept in columns; read it with read_keyed_state.")
        if state not in tables:
            raise UserError(f"operator {operator!r} has no keyed state {state!r} in {self.location}; it has {names}.")
        return tables[state]

    def _tables(self, operator: str) -> tuple[dict[str, SavedTable], ColumnarBackend | None]:
        """State by row, and state in columns if there is any."""
        vertex, operator_id = self._find(operator)
        everything = range(vertex.max_parallelism)
        tables: dict[str, SavedTable] = {}
        columns: list[Chunk] = []
        for subtask in vertex.subtasks:
            restored = checkpoint_pb2.RestoredState(directory=self.location)
            for saved in subtask.operators:
                if saved.operator_id == operator_id:
                    _add(restored, subtask, saved)
            info = SubtaskInfo("", "", "", vertex.name, subtask.index, 0, 1, vertex.max_parallelism)
            for found in StateReader(self._storage, restored, info).operators(everything).values():
                if found.backend is None:
                    continue
                held = map(decoded, found.backend.chunks)
                for is_columnar, chunks in groupby(held, lambda chunk: isinstance(chunk, ColumnChunk)):
                    if is_columnar:
                        columns += chunks
                    else:
                        load_chunks(chunks, tables)
                for database in found.backend.databases:
                    work = Path(tempfile.gettempdir())
                    load_chunks(rows_of_database(database, everything, work), tables)
        if not columns:
            return tables, None
        from millstream.taskmanager.state.columnar.backend import ColumnarBackend

        columnar = ColumnarBackend(_Reader(vertex.max_parallelism), operator)
        columnar.restore(RestoredKeyed(columns))
        return tables, columnar

    def _find(self, operator: str) -> tuple[checkpoint_pb2.VertexState, str]:
        by_uid = id_of_uid(operator)
        found = [
            (vertex, operator_id)
            for vertex in self.manifest.vertices
            for operator_id, name in zip(vertex.operator_ids, vertex.operator_names, strict=True)
            if operator in (operator_id, name) or operator_id == by_uid
        ]
        if len(found) == 1:
            return found[0]
        names = ", ".join(repr(info.name) for info in self.operators())
        told = "no operator" if not found else f"{len(found)} operators"
        raise UserError(f"{self.location} has {told} {operator!r}; name it by its uid or id. There are {names}.")


def _add(
    restored: checkpoint_pb2.RestoredState, subtask: checkpoint_pb2.SubtaskState, saved: checkpoint_pb2.OperatorState
) -> None:
    """All keyed state of one subtask."""
    operator = restored.operators.add(operator_id=saved.operator_id)
    for run in saved.runs:
        operator.runs.add(file=subtask.files[run.file], run=run)
    for table in saved.tables:
        operator.tables.add(file=subtask.files[table.file], table=table)
    database = saved.database
    if database.files:
        added = operator.databases.add(first_group=database.first_group, last_group=database.last_group)
        for file in database.files:
            added.files.add(name=file.name, file=subtask.files[file.file])
