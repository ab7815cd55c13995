"""Columnar state in savepoints: Parquet files with the real columns, which DuckDB reads and other subtasks restore."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from millstream.core.checkpoint.manifest import write_manifest
from millstream.core.checkpoint.storage import LocalStorage
from millstream.core.elements.control import Barrier
from millstream.core.errors import IncompatibleStateError, UserError
from millstream.core.keys import table_key_groups
from millstream.proto.v1 import checkpoint_pb2
from millstream.state import Savepoint
from millstream.taskmanager.checkpointing.state_files import StateReader, store_snapshot
from millstream.taskmanager.checkpointing.task_snapshot import TaskSnapshot
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.state.backend import BackendSettings
from millstream.taskmanager.state.columnar.backend import ColumnarBackend
from millstream.taskmanager.state.heap import HeapStateBackend
from millstream.taskmanager.state.state_writer import StateWriter
from millstream.taskmanager.task.context import SubtaskInfo
from tests.unit.state.columnar.columnar_checkpoints import MAX_PARALLELISM, Context, listed

KEY = pa.schema([("bidder", pa.int64()), ("start", pa.timestamp("s"))])
VALUES = pa.schema(
    [
        ("total", pa.decimal128(10, 2)),
        ("name", pa.string()),
        ("took", pa.duration("ms")),
        ("at", pa.time32("s")),
        ("tags", pa.list_(pa.string())),
        ("seen", pa.bool_()),
    ]
)
BIDS = pa.schema([("bidder", pa.int64()), ("price", pa.float64())])


def filled(context: Context, rows: int) -> ColumnarBackend:
    """A table and a row table with the keys of the subtask's key groups, a row table with two rows a key."""
    backend = ColumnarBackend(context)
    table = backend.table("sums", KEY, VALUES, partition_keys=1, ttl_ms=10_000)
    bids = backend.row_table("bids", KEY.remove(1), BIDS)
    bidders = [n for n in range(rows) if table_key_groups([pa.array([n])], MAX_PARALLELISM)[0] in context.groups]
    start = datetime.datetime(2024, 2, 29)
    slots, _ = table.lookup([pa.array(bidders), pa.array([start] * len(bidders), pa.timestamp("s"))])
    table.touch(slots)
    values: dict[str, list[Any]] = {
        "total": [Decimal(n) for n in bidders],
        "name": [None if n % 3 else f"name {n}" for n in bidders],
        "took": [datetime.timedelta(milliseconds=n) for n in bidders],
        "at": [datetime.time(12)] * len(bidders),
        "tags": [["a"] * (n % 3) for n in bidders],
        "seen": [n % 2 == 0 for n in bidders],
    }
    for field in VALUES:
        table.column(field.name).set(slots, pa.array(values[field.name], field.type))
    for price in (1.5, 2.5):
        added = pa.RecordBatch.from_pydict({"bidder": bidders, "price": [price] * len(bidders)}, BIDS)
        bids.append([added.column("bidder")], added)
    return backend


def savepoint(backend: ColumnarBackend, context: Context, directory: Path) -> checkpoint_pb2.SubtaskState:
    snapshot = OperatorSnapshot(capture=backend.capture(9, full=True))
    task = TaskSnapshot(Barrier(9, 0, savepoint="somewhere"), [("operator", snapshot)], 0, 0)
    while task.advance():
        pass
    written = store_snapshot(info(context), task, StateWriter(LocalStorage(directory), "", 9, "owner"))
    task.ended()
    return written


def info(context: Context) -> SubtaskInfo:
    return SubtaskInfo("", "", "v", "v", context.subtask_index, 0, context.parallelism, context.max_parallelism)


def restored(states: list[checkpoint_pb2.SubtaskState], context: Context, directory: Path) -> OperatorSnapshot:
    """What a subtask of another parallelism starts with."""
    asked = checkpoint_pb2.RestoredState(directory=str(directory))
    operator = asked.operators.add(operator_id="operator")
    for state in states:
        for table in state.operators[0].tables:
            operator.tables.add(file=state.files[table.file], table=table)
    reader = StateReader(LocalStorage(directory), asked, info(context))
    return reader.operators(context.groups)["operator"]


def test_a_savepoint_is_restored_at_another_parallelism(tmp_path: Path) -> None:
    states, rows, expected = [], list[Any](), list[Any]()
    for index in range(2):
        context = Context(index, 2)
        backend = filled(context, 300)
        sums = backend._tables["sums"]
        expected += listed(sums.rows(sums.live_slots()))  # type: ignore[union-attr]
        states.append(savepoint(backend, context, tmp_path))
    for index in range(3):
        context = Context(index, 3)
        backend = ColumnarBackend(context)
        found = restored(states, context, tmp_path)
        assert found.backend is not None
        backend.restore(found.backend)
        table = backend.table("sums", KEY, VALUES, partition_keys=1, ttl_ms=10_000)
        bids = backend.row_table("bids", KEY.remove(1), BIDS)
        own = table.rows(table.live_slots())
        assert set(table_key_groups([own.column("bidder")], MAX_PARALLELISM).tolist()) <= set(context.groups)
        _, slots = bids.rows_of(bids.find([own.column("bidder")]))
        assert bids.gather(slots).column("price").to_pylist() == [1.5, 2.5] * own.num_rows
        rows += listed(own)
    assert sorted(rows) == sorted(expected) and len(rows) == 300


def test_duckdb_reads_the_columns_by_their_names(tmp_path: Path) -> None:
    state = savepoint(filled(Context(), 100), Context(), tmp_path)
    files = {table.name: tmp_path / state.files[table.file].path for table in state.operators[0].tables}
    assert {table.kind for table in state.operators[0].tables} == {"columns", "rows"}
    found = duckdb.sql(
        f"select s.bidder, name, sum(price), any_value(total) from '{files['sums']}' s join '{files['bids']}' b "
        "on s.bidder = b.bidder where s.bidder < 2 group by all order by 1"
    ).fetchall()
    assert found == [(0, "name 0", 4.0, Decimal("0.00")), (1, None, 4.0, Decimal("1.00"))]
    groups = duckdb.sql(f"select key_group from '{files['sums']}'").fetchall()
    assert groups == sorted(groups)


def test_state_by_row_does_not_take_columns(tmp_path: Path) -> None:
    context = Context()
    state = savepoint(filled(context, 10), context, tmp_path)
    backend = HeapStateBackend(BackendSettings(MAX_PARALLELISM, context.groups, context.clock, tmp_path))
    found = restored([state], context, tmp_path).backend
    assert found is not None
    with pytest.raises(IncompatibleStateError, match="'sums' cannot be restored: it was saved in columns"):
        backend.restore(found)


def test_millstream_state_reads_columns(tmp_path: Path) -> None:
    manifest = checkpoint_pb2.CheckpointManifest(checkpoint_id=9)
    vertex = manifest.vertices.add(name="v", parallelism=2, max_parallelism=MAX_PARALLELISM)
    vertex.operator_ids.append("operator")
    vertex.operator_names.append("GroupAggregate")
    for index in range(2):
        context = Context(index, 2)
        vertex.subtasks.append(savepoint(filled(context, 20), context, tmp_path))
    write_manifest(LocalStorage(tmp_path), manifest)
    found = Savepoint.load(tmp_path)
    states = found.keyed_states("GroupAggregate")
    assert {(state.name, state.kind, state.rows) for state in states} == {("sums", "columns", 20), ("bids", "rows", 40)}
    sums = found.read_keyed_state("GroupAggregate", "sums")
    assert sums.schema.equals(pa.schema([*KEY, *VALUES])) and sorted(sums["bidder"].to_pylist()) == list(range(20))
    bids = found.read_keyed_state("GroupAggregate", "bids")
    assert bids.column_names == ["_key_bidder", "bidder", "price"] and bids.num_rows == 40
    with pytest.raises(UserError, match="'sums' of 'GroupAggregate' is kept in columns; read it with read_keyed_state"):
        list(found.rows("GroupAggregate", "sums"))
