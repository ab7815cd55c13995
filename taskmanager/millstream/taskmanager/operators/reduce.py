"""Rolling reduce and the built-in rolling aggregations of a keyed stream: a new value for every record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch
from millstream.core.errors import ErrorPlace, RecordTypeError
from millstream.core.graph.specs import AggregationSpec, ChainedOperator, ReduceSpec
from millstream.taskmanager.operators.field_update import Combine, combine_like
from millstream.taskmanager.operators.keyed import KeyedOperator
from millstream.taskmanager.operators.operator import OperatorContext, Output
from millstream.taskmanager.operators.user_code import NO_RECORD, current, preview_of, wrap_user_error
from millstream.taskmanager.state.capture import CapturedPart

if TYPE_CHECKING:
    from millstream.taskmanager.operators.running_aggregate import RunningAggregate

_MISSING: Final = object()
_STATE: Final = "reduced"


class ReduceOperator(KeyedOperator):
    """Keeps one value a key, combined by the user's function."""

    def __init__(self, chained: ChainedOperator, spec: ReduceSpec) -> None:
        super().__init__(chained, [spec.function])
        self._function: Callable[[Any, Any], Any] = (
            spec.function.reduce if hasattr(spec.function, "reduce") else spec.function
        )

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self._table = self.backend.table(_STATE)

    def process(self, batch: Batch, input_index: int) -> None:
        rows, keys = self.rows_and_keys(batch)
        table, function = self._table, self._function
        get = table.get
        results: list[Any] = []
        append = results.append
        pending = iter(rows.values)
        try:
            for key, value in zip(keys, pending, strict=True):
                before = get(key, _MISSING)
                if before is not _MISSING:
                    value = function(before, value)
                table[key] = value
                append(value)
        except Exception as error:
            record = current(rows.values, pending)
            raise wrap_user_error(error, chained=self.chained, function=function, record=record) from error
        # Without keys: the next key_by has its own.
        self.output.emit(ObjectBatch(results, rows.timestamps))


class AggregationOperator(KeyedOperator):
    """sum, min, max of one field (the others stay those of the first record); min_by and max_by of whole records."""

    def __init__(self, chained: ChainedOperator, spec: AggregationSpec) -> None:
        super().__init__(chained, [])
        self._spec = spec
        self._types: set[type] = set()
        self._combine: Combine = self._combine_any
        self._combines: dict[type, Combine] = {}
        self._columns: RunningAggregate | None = None  # holds the state instead of the table while batches are columnar

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self._table = self.backend.table(_STATE, whole=True)
        if self._spec.key_column is not None and self.backend.in_memory:
            from millstream.taskmanager.operators.running_aggregate import RunningAggregate

            RunningAggregate.warm_up()
            self._columns = RunningAggregate(self._spec.aggregation, self._spec.key_column, str(self._spec.field))
            self.backend.outside = self._rows_in_columns

    def process(self, batch: Batch, input_index: int) -> None:
        if self._columns is not None:
            if isinstance(batch, ArrowBatch) and self._add_columns(self._columns, batch):
                return
            self._table.update(self._columns.rows())
            self.backend.touch(list(self._table))
            self._columns = self.backend.outside = None
        self._process_rows(batch)

    def checkpoint_completed(self, checkpoint_id: int) -> None:
        super().checkpoint_completed(checkpoint_id)
        if self._columns is not None:
            self._columns.confirm(checkpoint_id)

    def _rows_in_columns(self, checkpoint_id: int, full: bool) -> list[CapturedPart]:
        taken = None if self._columns is None else self._columns.take(checkpoint_id, full)
        if taken is None:
            return []
        taken.table_name = _STATE
        return [taken]

    def _add_columns(self, columns: RunningAggregate, batch: ArrowBatch) -> bool:
        if self._table:  # restored
            if not columns.load(self._table, batch.records.schema):
                return False
            self._table.clear()
        records = columns.add(batch.records)
        if records is None:
            return False
        self.output.emit(ArrowBatch(records, batch.timestamps))
        return True

    def _process_rows(self, batch: Batch) -> None:
        rows, keys = self.rows_and_keys(batch)
        table = self._table
        get = table.get
        results: list[Any] = []
        append = results.append
        pending = iter(rows.values)
        try:
            self._prepare(rows.values)
            combine = self._combine
            for key, value in zip(keys, pending, strict=True):
                before = get(key)
                if before is not None:
                    value = combine(before, value)
                table[key] = value
                append(value)
        except Exception as error:
            record = current(rows.values, pending)
            raise self._unfit(rows.values[0] if record is NO_RECORD else record, error) from error
        self.output.emit(ObjectBatch(results, rows.timestamps))

    def _prepare(self, values: list[Any]) -> None:
        """Choose the update for the type of the records; the general one as soon as there are several types."""
        types = set(map(type, values))
        if types <= self._types:
            return
        if not self._types:
            types.update(map(type, self._table.values()))  # restored
        self._types |= types
        self._combine = combine_like(self._spec, values[0]) if len(self._types) == 1 else self._combine_any

    def _combine_any(self, before: Any, value: Any) -> Any:
        combine = self._combines.get(type(before))
        if combine is None:
            combine = self._combines[type(before)] = combine_like(self._spec, before)
        return combine(before, value)

    def _unfit(self, record: Any, error: Exception) -> RecordTypeError:
        spec, preview = self._spec, preview_of(record)
        defined = f" (defined at {self.chained.defined_at})" if self.chained.defined_at else ""
        field = "the value" if spec.field is None else f"field {spec.field!r}"
        return RecordTypeError(
            f"operator {self.chained.name!r}{defined} cannot take the {spec.aggregation} of {field} of the record "
            f"{preview}: {type(error).__name__}: {error}",
            place=ErrorPlace(operator=self.chained.name, record=preview),
        )
