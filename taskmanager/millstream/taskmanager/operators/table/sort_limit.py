"""ORDER BY and LIMIT over a whole input, emitted at its end; LIMIT alone lets rows through until there are enough."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import SortLimitSpec
from millstream.taskmanager.operators.table.keyed_table_operator import KeyedTableOperator
from millstream.taskmanager.operators.table.ordering import sort_positions
from millstream.taskmanager.operators.table.partitioned_rows import PartitionedRows, partition_logs
from millstream.taskmanager.operators.table.row_kinds import signs_of
from millstream.taskmanager.operators.table.table_operator import arrow_batch
from millstream.taskmanager.operators.table.timestamps import Int64Array

_SEEN = "seen"


class SortLimitOperator(KeyedTableOperator[SortLimitSpec]):
    """One subtask has all rows. With a limit, and without retractions, no more are kept than may be asked for."""

    def __init__(self, chained: ChainedOperator, spec: SortLimitSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self.logs = partition_logs(spec.input, (key.column for key in spec.order))

    def declare(self) -> None:
        if not self.spec.order:
            self._count = self.table("count", pa.schema([]), pa.schema([pa.field(_SEEN, pa.int64())]), 0)
            return
        self._rows = PartitionedRows(
            self.spec.input,
            pa.schema([]),
            lambda name, keys, values: self.table(name, keys, values, 0),
            self.context.clock,
        )

    def process(self, batch: Batch, input_index: int) -> None:
        batch = arrow_batch(batch)
        if not batch.num_rows:
            return
        if not self.spec.order:
            self._pass(batch)
            return
        groups = self._rows.place([], batch.num_rows)
        owners, log = groups.slots[groups.of_rows], self._rows.log
        signs = signs_of(batch)
        if signs is None:
            log.append(owners, [], batch.records.columns)
        else:
            log.append(owners[signs > 0], [], batch.take(np.flatnonzero(signs > 0)).records.columns)
            log.take_back(owners[signs < 0], batch.take(np.flatnonzero(signs < 0)).records.columns)
        if self.spec.fetch is not None and not self.spec.retracts:
            log.forget(self._sorted()[self.spec.offset + self.spec.fetch :])

    def finish(self) -> None:
        if self.spec.order:
            first = self.spec.offset
            stop = None if self.spec.fetch is None else first + self.spec.fetch
            self.emit_columns(self._rows.log.values(self._sorted()[first:stop]))
        super().finish()

    def _sorted(self) -> Int64Array:
        log = self._rows.log
        entries, _, _ = log.unordered(self._rows.all_partitions())
        columns = [log.column(key.column, entries) for key in self.spec.order]
        return entries[sort_positions(columns, self.spec.order, log.numbers(entries))]

    def _pass(self, batch: ArrowBatch) -> None:
        slots, new = self._count.lookup([], 1)
        seen = self._count.fixed(_SEEN)
        self._count.touch(slots)
        if len(new):
            seen.values[slots], seen.valid[slots] = 0, True
        before = int(seen.values[0])
        start = max(0, self.spec.offset - before)
        stop = batch.num_rows
        if self.spec.fetch is not None:
            stop = min(stop, self.spec.offset + self.spec.fetch - before)
        seen.values[slots] = before + batch.num_rows
        if stop > start:
            self.emit_records(batch.slice(start, stop).records, None)
