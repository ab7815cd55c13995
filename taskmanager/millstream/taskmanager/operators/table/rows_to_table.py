"""A stream of the DataStream API that became a table: Python records to columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from millstream.core.api.row import Row
from millstream.core.elements.batch import NO_TIMESTAMP_MS, Batch, RowKind, Timestamps
from millstream.core.errors import ErrorPlace, RecordTypeError
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.logical_types import row
from millstream.core.table.python_types import WrongValue, column_of, row_values
from millstream.core.table.specs import RowsToTableSpec
from millstream.taskmanager.operators.rows import as_rows
from millstream.taskmanager.operators.table.table_operator import TableOperator


class RowsToTableOperator(TableOperator[RowsToTableSpec]):
    """Fields by position of tuples, lists and rows without names, else by name; a value alone is the only column."""

    def __init__(self, chained: ChainedOperator, spec: RowsToTableSpec) -> None:
        super().__init__(chained, spec, spec.output)
        self._columns = [at for at in range(len(spec.output)) if at != spec.rowtime]
        self._kind = row(*[(spec.output[at].name, spec.output[at].type) for at in self._columns])

    def process(self, batch: Batch, input_index: int) -> None:
        rows = as_rows(batch)
        fields = [self._fields(value) for value in rows.values]
        arrays: dict[int, pa.Array] = {}
        for place, at in enumerate(self._columns):
            arrays[at] = self._array(at, [values[place] for values in fields], rows.values)
        if self.spec.rowtime is not None:
            arrays[self.spec.rowtime] = self._times(rows.timestamps, len(fields))
        kinds = None
        if self.spec.changelog:
            kinds = np.array([_row_kind(value) for value in rows.values], np.int8)
        self.emit_columns([arrays[at] for at in range(len(self.spec.output))], kinds)

    def _fields(self, value: Any) -> list[Any]:
        if isinstance(value, Row) and value.get_field_names():
            value = value.as_dict()
        try:
            return row_values(value, self._kind)
        except (TypeError, AttributeError) as error:
            raise self._wrong(
                f"is no row of {', '.join(name for name, _ in self._kind.fields)}: {error}", value
            ) from error

    def _array(self, at: int, values: list[Any], records: list[Any]) -> pa.Array:
        column = self.spec.output[at]
        try:
            return column_of(values, column.type)
        except WrongValue as error:
            told = f"has {values[error.row]!r:.100} for the column {column.name!r}, which is {column.type.text()}"
            raise self._wrong(told, records[error.row]) from error

    def _times(self, timestamps: Timestamps | None, count: int) -> pa.Array:
        kind = self.spec.output[self.spec.rowtime or 0].type.arrow()
        if timestamps is None:
            return pa.nulls(count, kind)
        times = pa.array(timestamps, pa.int64(), mask=timestamps == NO_TIMESTAMP_MS)
        return times.cast(pa.timestamp("ms", kind.tz)).cast(kind)

    def _wrong(self, told: str, record: Any) -> RecordTypeError:
        name = self.chained.name
        preview = f"{record!r:.300}"
        return RecordTypeError(
            f"operator {name!r}: the record {preview} {told}. Give from_data_stream a Schema that fits the records.",
            place=ErrorPlace(operator=name, record=preview),
        )


def _row_kind(value: Any) -> RowKind:
    return value.get_row_kind() if isinstance(value, Row) else RowKind.INSERT
