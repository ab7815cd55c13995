"""Writing a savepoint from data: a job that starts from it has its state from the first record on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from millstream.client.translation.operator_ids import id_of_uid
from millstream.core.api.state import StateDescriptor
from millstream.core.checkpoint.manifest import MANIFEST_NAME, write_manifest
from millstream.core.checkpoint.storage import absolute_location, location_of, open_storage
from millstream.core.clock import SystemClock
from millstream.core.config import load
from millstream.core.errors import CheckpointError, UserError
from millstream.core.keys import DEFAULT_MAX_PARALLELISM
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.checkpointing.state_files import file_name
from millstream.taskmanager.state.state_writer import StateWriter
from millstream.taskmanager.state.table_files import TableRows, write_table
from millstream.taskmanager.state.tables import kind_of

if TYPE_CHECKING:
    import pyarrow as pa


class SavepointWriter:
    """Collects state, then writes it.

    Example::

        SavepointWriter().with_keyed_state("count", ValueStateDescriptor("total"), [("a", 3), ("b", 5)]).write("/sp")
    """

    def __init__(self, max_parallelism: int = DEFAULT_MAX_PARALLELISM) -> None:
        """``max_parallelism`` is that of the operators of the job."""
        self._max_parallelism = max_parallelism
        self._states: dict[str, dict[str, TableRows]] = {}

    def with_keyed_state(
        self, uid: str, descriptor: StateDescriptor, rows: Iterable[tuple[Any, Any]] | pa.Table
    ) -> Self:
        """The state of ``descriptor`` of the operator with this uid: ``(key, what is stored)``, each key once.

        What is stored: the value of value, reducing and aggregating state (an accumulator), a list of list state, a
        dict of map state. A ``pyarrow.Table`` has the columns ``key`` and ``value``.
        """
        kind = kind_of(descriptor)
        if not isinstance(rows, Iterable):
            rows = zip(rows.column("key").to_pylist(), rows.column("value").to_pylist(), strict=True)
        table = TableRows(descriptor.name, kind, False, False)
        stored: dict[Any, Any] = {}
        for key, value in rows:
            if key in stored:
                raise UserError(f"the state {descriptor.name!r} of {uid!r} has the key {key!r} twice.")
            _check(descriptor, kind, key, value)
            stored[key] = value
        table.keys, table.stored = list(stored), list(stored.values())
        states = self._states.setdefault(uid, {})
        if descriptor.name in states:
            raise UserError(f"operator {uid!r} has the state {descriptor.name!r} already.")
        states[descriptor.name] = table
        return self

    def write(self, path: str | Path, settings: Mapping[str, Any] | None = None) -> str:
        """Write the savepoint to a new directory, or a URL; its location. Raises ``CheckpointError``."""
        location = absolute_location(path)
        storage = open_storage(location, {**load().flatten(), **(settings or {})})
        manifest = checkpoint_pb2.CheckpointManifest(
            job_name="written", checkpoint_id=1, savepoint=True, completed_ms=SystemClock().wall_ms()
        )
        try:
            if storage.size(MANIFEST_NAME) is not None:
                raise CheckpointError(f"there is a savepoint in {location} already; it is not overwritten.")
            for uid, tables in self._states.items():
                self._add_vertex(manifest, uid, tables, StateWriter(storage, "", 1, "written"))
            write_manifest(storage, manifest)
        except OSError as error:
            place = location_of(location, MANIFEST_NAME)
            raise CheckpointError(f"the savepoint {place} cannot be written: {error.strerror or error}") from error
        return location

    def _add_vertex(
        self,
        manifest: checkpoint_pb2.CheckpointManifest,
        uid: str,
        tables: Mapping[str, TableRows],
        writer: StateWriter,
    ) -> None:
        operator_id = id_of_uid(uid)
        vertex = manifest.vertices.add(
            vertex_id=operator_id,
            name=uid,
            parallelism=1,
            max_parallelism=self._max_parallelism,
            operator_ids=[operator_id],
            operator_names=[uid],
        )
        state = checkpoint_pb2.SubtaskState(index=0)
        operator = state.operators.add(operator_id=operator_id)
        for table in tables.values():
            name = f"{operator_id[:16]}/{file_name(table.name)}.0.parquet"
            operator.tables.add(
                name=table.name,
                kind=table.kind,
                file=writer.write_named(name, write_table(table, self._max_parallelism)),
                rows=len(table.keys),
                first_group=0,
                last_group=self._max_parallelism - 1,
            )
        state.files.extend(writer.files)
        state.written_bytes = writer.written_bytes
        vertex.subtasks.append(state)


def _check(descriptor: StateDescriptor, kind: str, key: Any, value: Any) -> None:
    wanted = {"list": list, "map": dict}.get(kind)
    if wanted is not None and type(value) is not wanted:
        raise UserError(
            f"the {kind} state {descriptor.name!r} stores a {wanted.__name__} a key, but that of {key!r} is {value!r}."
        )
    if value is None or value in ([], {}):
        raise UserError(f"the state {descriptor.name!r} stores nothing for {key!r}: leave the key out.")
