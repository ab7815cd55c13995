"""The columnar state of one operator of one subtask: its tables, and their snapshots.

It is to an operator on Arrow batches what a ``KeyedStateBackend`` is to one on Python records, and travels the same
way: in the runs of incremental checkpoints, as Parquet files in savepoints, to other subtasks by key group. Rows are in
memory; with ``state.backend.type = rocksdb``, tables declared spillable move cold rows to RocksDB.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from millstream.core.errors import IncompatibleStateError, JobGraphError
from millstream.taskmanager.state.backend import RestoredKeyed
from millstream.taskmanager.state.backends import (
    SubtaskContext,
    memory_of_databases,
    settings_of,
    takes_checkpoints,
)
from millstream.taskmanager.state.chunks import decoded
from millstream.taskmanager.state.column_chunks import ROWS, ColumnChunk
from millstream.taskmanager.state.columnar.column_set import ColumnSet
from millstream.taskmanager.state.columnar.entry_table import EntryTable
from millstream.taskmanager.state.columnar.rowlist import RowTable, plain_key_names
from millstream.taskmanager.state.columnar.snapshots import ColumnarCapture
from millstream.taskmanager.state.columnar.table import ColumnTable
from millstream.taskmanager.state.runs import Extent, RunChains

if TYPE_CHECKING:
    from millstream.taskmanager.state.columnar.local_database import Spilling

AnyTable = ColumnTable | RowTable


class ColumnarBackend:
    """``operator_name`` is for messages.

    ``logs`` are tables whose rows nobody looks up by key (see ``EntryTable``), and by name the columns of their rows
    that stay in memory in any case.
    """

    def __init__(
        self,
        context: SubtaskContext,
        operator_name: str = "operator",
        logs: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.runs: Final = RunChains(settings_of(context).groups)
        self._settings = settings_of(context)
        self._spilling = _spilling_of(context)
        self._tracks = takes_checkpoints(context)
        self._operator = operator_name
        self._logs = logs or {}
        self._tables: dict[str, AnyTable] = {}
        self._undeclared: dict[str, AnyTable] = {}
        """Restored, and not asked for yet."""
        self._capture: ColumnarCapture | None = None

    # -- tables -------------------------------------------------------------------------------------------------

    def table(
        self,
        name: str,
        key_schema: pa.Schema,
        value_schema: pa.Schema,
        *,
        partition_keys: int | None = None,
        ttl_ms: int | None = None,
        spillable: bool = False,
    ) -> ColumnTable:
        """Declare a table with one row a key (see ``ColumnTable``), with the rows that were restored for it.

        ``spillable``: its rows may be larger than memory; then slots are valid until the next ``lookup``, and nobody
        asks for ``live_slots``.

        Raises ``JobGraphError`` when the name is taken, ``IncompatibleStateError`` when the restored rows have other
        columns.
        """
        created = self._table(name, key_schema, value_schema, spillable, partition_keys, ttl_ms)
        self._declare(created)
        return created

    def row_table(
        self,
        name: str,
        key_schema: pa.Schema,
        row_schema: pa.Schema,
        *,
        matched: Sequence[str] | None = None,
        partition_keys: int | None = None,
        ttl_ms: int | None = None,
        spilled: Sequence[str] = (),
    ) -> RowTable:
        """The same of a table with any number of rows a key (see ``RowTable``).

        ``spilled`` are fields that may be larger than memory; nobody changes them in place.
        """
        created = self._row_table(name, key_schema, row_schema, spilled, partition_keys, ttl_ms, matched)
        self._declare(created)
        return created

    # -- size ---------------------------------------------------------------------------------------------------

    def entries(self) -> int:
        """Rows over all tables."""
        return sum(map(len, self._all_tables()))

    def estimated_bytes(self) -> int:
        return sum(table.estimated_bytes() for table in self._all_tables())

    def contents(self, name: str) -> pa.RecordBatch:
        """All rows of a table, declared or restored: the key columns, then those of values. ``KeyError``."""
        table = self._tables.get(name) or self._undeclared[name]
        return table.contents()

    def tables(self) -> dict[str, tuple[str, int]]:
        """The kind and the number of rows of each table, by name."""
        return {table.name: (table.kind, len(table)) for table in self._all_tables()}

    # -- checkpoints --------------------------------------------------------------------------------------------

    def capture(self, checkpoint_id: int, full: bool) -> ColumnarCapture:
        """Everything as it is now, or what changed since the last checkpoint known to be complete."""
        self._finish_capture()
        tables = self._all_tables()
        outgrown = any(table.changes.outgrown(len(table)) for table in tables)
        full = full or not self._tracks or outgrown or self.runs.next_extent(can_merge=False) is Extent.FULL
        parts = [(table, table.capture(checkpoint_id, full)) for table in tables]
        directory = None if self._spilling is None else self._spilling.directory()
        groups, max_parallelism = self._settings.groups, self._settings.max_parallelism
        self._capture = ColumnarCapture(self.runs, checkpoint_id, full, parts, groups, max_parallelism, directory)
        return self._capture

    def confirm(self, checkpoint_id: int) -> None:
        """That checkpoint is complete: later ones may build upon it."""
        if self.runs.confirm(checkpoint_id):
            for table in self._all_tables():
                table.changes.confirm(checkpoint_id)

    def restore(self, restored: RestoredKeyed) -> None:
        """Take in the state of former subtasks, before or after the tables are declared.

        Raises ``IncompatibleStateError`` for rows that are no columns, or have others than the table declared.
        """
        if restored.databases:
            raise self._other_form("a RocksDB database")
        for chunk in map(decoded, restored.chunks):
            if not isinstance(chunk, ColumnChunk):
                raise self._other_form(f"rows of the {chunk.kind} state {chunk.name!r}")
            table = self._tables.get(chunk.name) or self._undeclared.get(chunk.name)
            if table is None:
                table = self._undeclared[chunk.name] = self._table_of(chunk)
            self._check(table, chunk.kind, _schemas_of(chunk))
            table.load(chunk)
        for table in self._all_tables():
            table.loaded()
        if restored.chain is not None:
            self.runs.start_from(restored.chain)

    def close(self) -> None:
        """Forget everything."""
        self._capture = None
        for table in self._all_tables():
            table.close()
        self._tables.clear()
        self._undeclared.clear()

    # -- inner --------------------------------------------------------------------------------------------------

    def _declare(self, created: AnyTable) -> None:
        if created.name in self._tables:
            raise JobGraphError(f"{self._operator} declares the table {created.name!r} twice; give one another name.")
        saved = self._undeclared.pop(created.name, None)
        if saved is not None:
            self._check(created, saved.kind, (saved.key_schema, saved.value_schema))
            if self._spilling is not None:
                _bring_together(created, saved)
            created.adopt(saved)  # type: ignore[arg-type]  # of the same kind
        self._tables[created.name] = created

    def _table_of(self, chunk: ColumnChunk) -> AnyTable:
        keys, values = _schemas_of(chunk)
        ttl_ms = _UNKNOWN_TTL_MS if chunk.with_ttl else None
        if chunk.kind == ROWS:
            return self._row_table(chunk.name, keys, values, None, chunk.partition_keys, ttl_ms)
        return self._table(chunk.name, keys, values, True, chunk.partition_keys, ttl_ms)

    def _table(
        self,
        name: str,
        keys: pa.Schema,
        values: pa.Schema,
        spillable: bool,
        partition_keys: int | None,
        ttl_ms: int | None,
    ) -> ColumnTable:
        form: Callable[..., ColumnTable] = ColumnTable
        if name in self._logs:
            kept = {keys.names[-1], *self._logs[name]}
            columns = self._columns([field.name for field in (*keys, *values) if field.name not in kept])
            form = partial(EntryTable, columns=columns)
        elif spillable and self._spilling is not None:
            from millstream.taskmanager.state.columnar.spilling_table import SpillingTable

            form = partial(SpillingTable, spilling=self._spilling)
        clock = self._settings.clock
        return form(
            name, keys, values, clock=clock, partition_keys=partition_keys, ttl_ms=ttl_ms, tracks_changes=self._tracks
        )

    def _row_table(
        self,
        name: str,
        keys: pa.Schema,
        rows: pa.Schema,
        spilled: Sequence[str] | None,
        partition_keys: int | None,
        ttl_ms: int | None,
        matched: Sequence[str] | None = None,
    ) -> RowTable:
        return RowTable(
            name,
            keys,
            rows,
            clock=self._settings.clock,
            matched=matched,
            partition_keys=partition_keys,
            ttl_ms=ttl_ms,
            tracks_changes=self._tracks,
            columns=self._columns(spilled),
        )

    def _columns(self, spilled: Sequence[str] | None) -> Callable[[pa.Schema], ColumnSet]:
        """What makes the columns of a table, of which those ``spilled`` (None: all) may be larger than memory."""
        if self._spilling is None:
            return ColumnSet
        from millstream.taskmanager.state.columnar.paged_columns import PagedColumnSet

        return partial(PagedColumnSet, spilling=self._spilling, spilled=spilled)

    def _check(self, table: AnyTable, kind: str, saved: tuple[pa.Schema, pa.Schema]) -> None:
        own = (table.key_schema, table.value_schema)
        if kind == table.kind and all(mine.equals(theirs) for mine, theirs in zip(own, saved, strict=True)):
            return
        raise IncompatibleStateError(
            f"the state {table.name!r} of {self._operator} cannot be restored: it was saved as "
            f"{_described(kind, *saved)} and is now {_described(table.kind, *own)}. Start the changed query without "
            "this state, or restore the query that wrote it."
        )

    def _other_form(self, found: str) -> IncompatibleStateError:
        return IncompatibleStateError(
            f"{self._operator} keeps its state in columns, and what is restored holds {found}. It belongs to another "
            "operator, or to one of an earlier version: start without its state."
        )

    def _all_tables(self) -> list[AnyTable]:
        return [*self._tables.values(), *self._undeclared.values()]

    def _finish_capture(self) -> None:
        """Two snapshots at a time are one too many: the rows of the first are taken now."""
        while self._capture is not None and self._capture.advance():
            pass
        self._capture = None


_UNKNOWN_TTL_MS: Final = 1 << 62
"""Of rows whose operator has not said yet how long they live."""


def _spilling_of(context: SubtaskContext) -> Spilling | None:
    memory = memory_of_databases(context)
    if memory is None:
        return None
    from millstream.taskmanager.state.columnar.local_database import Spilling

    return Spilling(memory, settings_of(context).work_directory, context.max_parallelism)


def _bring_together(created: AnyTable, saved: AnyTable) -> None:
    """Before a table that does not spill takes the rows of one that does."""
    from millstream.taskmanager.state.columnar.spilling_table import SpillingTable

    if isinstance(saved, SpillingTable) and not isinstance(created, SpillingTable):
        saved.load_all()
        saved.close()


def _schemas_of(chunk: ColumnChunk) -> tuple[pa.Schema, pa.Schema]:
    fields = list(chunk.rows.schema)[chunk.first_key :]
    keys, values = pa.schema(fields[: chunk.keys]), pa.schema(fields[chunk.keys :])
    return plain_key_names(keys, values) if chunk.kind == ROWS else keys, values


def _described(kind: str, keys: pa.Schema, values: pa.Schema) -> str:
    return f"{kind} by ({_fields(keys)}) of ({_fields(values)})"


def _fields(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
