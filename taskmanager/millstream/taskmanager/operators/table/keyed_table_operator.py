"""What table operators with state share: tables by key, snapshots, time to live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch
from millstream.core.errors import CheckpointError, ErrorPlace
from millstream.core.graph.specs import ChainedOperator
from millstream.core.serde import encode_value
from millstream.core.table.row_type import RowType
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.snapshots import WATERMARK, OperatorSnapshot, restored_watermark
from millstream.taskmanager.operators.table.table_operator import SpecT, TableOperator
from millstream.taskmanager.state.columnar.backend import ColumnarBackend
from millstream.taskmanager.state.columnar.rowlist import RowTable
from millstream.taskmanager.state.columnar.table import ColumnTable

EXPIRY_SWEEP_MS: Final = 1000


class KeyedTableOperator(TableOperator[SpecT]):
    """Base. ``ttl_ms``: rows of state live that long after their last change; 0 for ever."""

    def __init__(self, chained: ChainedOperator, spec: SpecT, output_type: RowType, ttl_ms: int = 0) -> None:
        super().__init__(chained, spec, output_type)
        self.ttl_ms = ttl_ms
        self.logs: dict[str, list[str]] = {}
        """Tables whose rows nobody looks up by key, and by name their columns that always stay in memory."""
        self._restored: OperatorSnapshot | None = None
        self._opened = False
        self._tables: list[ColumnTable | RowTable] = []

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self.backend = ColumnarBackend(context, f"operator {self.chained.name!r}", self.logs)
        self._opened = True
        if self._restored is not None:
            self.watermark_ms = restored_watermark(self._restored)
            self._restore_backend(self._restored)
        self.declare()
        self._restored = None
        context.metrics.gauge("state_entries", lambda: float(self.backend.entries()))
        context.metrics.gauge("state_bytes", lambda: float(self.backend.estimated_bytes()))
        if self.ttl_ms > 0:
            context.schedule(context.clock.wall_ms() + EXPIRY_SWEEP_MS)

    def declare(self) -> None:
        """Make the tables, with what was restored; at ``open``."""

    def on_processing_time(self, now_ms: int) -> None:
        if self.ttl_ms > 0:
            for table in self._tables:
                table.expire()
            self.context.schedule(now_ms + EXPIRY_SWEEP_MS)

    def table(
        self,
        name: str,
        keys: pa.Schema,
        values: pa.Schema,
        partition_keys: int | None = None,
        spillable: bool = False,
    ) -> ColumnTable:
        """A table whose first ``partition_keys`` columns (None: all) are those the exchange before hashes.

        ``spillable``: it may be larger than memory; see ``ColumnarBackend.table``.
        """
        made = self.backend.table(
            name,
            keys,
            values,
            partition_keys=partition_keys,
            ttl_ms=self.ttl_ms if self.ttl_ms > 0 else None,
            spillable=spillable,
        )
        self._tables.append(made)
        return made

    def snapshot(self, checkpoint_id: int, full: bool = True) -> OperatorSnapshot | None:
        return OperatorSnapshot(
            union={WATERMARK: [encode_value(self.watermark_ms)]}, capture=self.backend.capture(checkpoint_id, full)
        )

    def checkpoint_completed(self, checkpoint_id: int) -> None:
        self.backend.confirm(checkpoint_id)

    def spillable_table(self, name: str, keys: pa.Schema, values: pa.Schema) -> ColumnTable:
        """A table that may be larger than memory, by the columns the exchange before hashes."""
        return self.table(name, keys, values, spillable=True)

    def restore(self, snapshot: OperatorSnapshot) -> None:
        self._restored = snapshot

    def close(self) -> None:
        super().close()
        if self._opened:
            self.backend.close()

    def _restore_backend(self, restored: OperatorSnapshot) -> None:
        if restored.backend is None:
            return
        try:
            self.backend.restore(restored.backend)
        except CheckpointError as error:
            if not error.place.operator:
                error.place = ErrorPlace(operator=self.chained.name)
            raise


def key_fields(input_type: RowType, keys: Sequence[int], prefix: str = "k") -> pa.Schema:
    """Fields ``k0``, ``k1``, ... of the types of some columns."""
    return pa.schema([pa.field(f"{prefix}{index}", input_type[key].type.arrow()) for index, key in enumerate(keys)])


def columns_at(batch: ArrowBatch, indexes: Sequence[int]) -> list[pa.Array]:
    """Some columns of a batch."""
    return [batch.records.column(index) for index in indexes]
