"""Aggregates of rows beside the state of an operator: does this batch fail, does this row?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pyarrow as pa

from millstream.core.clock import Clock
from millstream.core.table.aggregate_calls import AggregateCall
from millstream.core.table.row_type import RowType
from millstream.taskmanager.operators.table.aggregates.accumulator import AggregateRows
from millstream.taskmanager.operators.table.aggregates.aggregate_set import AggregateSet
from millstream.taskmanager.operators.table.keyed_table_operator import key_fields
from millstream.taskmanager.state.columnar.table import ColumnTable


def trial(
    input_type: RowType, keys: Sequence[int], calls: Sequence[AggregateCall], clock: Clock
) -> Callable[[pa.RecordBatch], object]:
    """A function that aggregates rows as if they were the first of their groups, and forgets the results."""

    def table(name: str, key_schema: pa.Schema, values: pa.Schema) -> ColumnTable:
        return ColumnTable(name, key_schema, values, clock=clock, tracks_changes=False)

    def attempt(records: pa.RecordBatch) -> object:
        made = AggregateSet("trial", key_fields(input_type, keys), calls, False, table)
        columns = [records.column(key) for key in keys]
        slots, groups = made.place(columns, records.num_rows)
        made.add(AggregateRows(slots, groups, columns, records.columns))
        return made.results(groups.slots)

    return attempt
