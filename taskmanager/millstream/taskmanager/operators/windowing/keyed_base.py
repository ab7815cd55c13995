"""What the two window operators share: rows and keys of a batch, the user's functions, emission, snapshots."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Final, NamedTuple

from millstream.core.api.windowing.window import Window
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import MIN_WATERMARK_MS, Watermark
from millstream.core.errors import CheckpointError, ErrorPlace, MillstreamError
from millstream.core.graph.specs import ChainedOperator, WindowSpec
from millstream.core.serde import decode_value, encode_value
from millstream.taskmanager.operators.declared_types import STATE_TYPES, DeclaredTypes
from millstream.taskmanager.operators.keyed import restore_backend
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output
from millstream.taskmanager.operators.rows import as_rows, keys_of
from millstream.taskmanager.operators.runtime_context import FunctionLife, OperatorRuntimeContext, OperatorUserMetrics
from millstream.taskmanager.operators.snapshots import WATERMARK, OperatorSnapshot, restored_watermark
from millstream.taskmanager.operators.user_code import current, preview_of, wrap_user_error
from millstream.taskmanager.operators.windowing.contents import Contents, RowFailure, Table, contents_of
from millstream.taskmanager.operators.windowing.emission import Emission
from millstream.taskmanager.operators.windowing.function import WindowFunctionCaller
from millstream.taskmanager.operators.windowing.grouped_rows import GroupedRows
from millstream.taskmanager.operators.windowing.late import LateRecords
from millstream.taskmanager.operators.windowing.states import WindowStates
from millstream.taskmanager.state.backends import open_backend

SNAPSHOT_FORMAT: Final = 1
CONTENTS: Final = "contents"
FORM: Final = "form"


class WindowOfKey(NamedTuple):
    """What a window function worked on when it raised; takes the record's place in the error message."""

    key: Any
    window: Window


class KeyedWindowOperator(Operator):
    """Base of the window operators. Subclasses keep the contents; times are milliseconds."""

    def __init__(self, chained: ChainedOperator, spec: WindowSpec) -> None:
        self.chained = chained
        self.spec = spec
        self.watermark_ms = MIN_WATERMARK_MS
        self.contents: Contents = contents_of(spec)
        self.function: WindowFunctionCaller | None = None
        self._selector = None if spec.all_windows else chained.key_selectors[0]
        self._life = FunctionLife(chained, [spec.reduce, spec.aggregate, spec.function])
        self._restored: OperatorSnapshot | None = None
        self._opened = False
        self._declared_types = DeclaredTypes()

    # -- life ---------------------------------------------------------------------------------------------------

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        self.emission = Emission(output)
        self.late = LateRecords(self.spec.late_tag, self.emission, context.metrics)
        self.backend = open_backend(context)
        self._opened = True
        self.states = WindowStates(self.backend)
        self.runtime_context = OperatorRuntimeContext(context, self.backend, self._declared_types)
        self.metric_group = OperatorUserMetrics(context)
        if self.spec.function is not None:
            self.function = WindowFunctionCaller(self)
        if self._restored is not None:
            self._restore_now(self._restored)
            self._restored = None
        self._life.open(self.runtime_context)
        context.metrics.gauge("state_entries", lambda: float(self.entry_count() + self.backend.entries()))

    def close(self) -> None:
        self._life.close()
        if self._opened:
            self.backend.close()

    def process_watermark(self, watermark: Watermark) -> None:
        """Sets the watermark and passes it on; subclasses fire between the two."""
        self.watermark_ms = max(self.watermark_ms, watermark.timestamp_ms)
        super().process_watermark(watermark)

    # -- for subclasses -----------------------------------------------------------------------------------------

    def rows_and_keys(self, batch: Batch) -> tuple[list[Any], list[Any]]:
        """The batch as Python values and their keys. Raises ``UserCodeError`` where the key selector does."""
        rows = as_rows(batch)
        keys = keys_of(rows, self._selector, self.chained)
        self.backend.touch(keys)
        return rows.values, keys

    def add_rows(self, table: Table, keys: list[Any], values: list[Any]) -> None:
        """Add rows to contents; the user's exception becomes a ``UserCodeError`` naming the record."""
        try:
            self.contents.add_rows(table, keys, values)
        except RowFailure as failure:
            raise self.failed(failure.cause, failure.record) from failure.cause

    def results(self, table: Table) -> list[Any]:
        """What each key's content emits, in order of the keys' arrival."""
        result = self.contents.result
        contents = list(table.values())
        pending = iter(contents)
        try:
            return [result(content) for content in pending]
        except Exception as error:
            raise self.failed(error, current(contents, pending)) from error

    def fire(self, key: Any, window: Window, content: Any) -> None:
        """Emit the result of one window of one key, through the window function if there is one."""
        try:
            if self.function is None:
                self.emission.add(self.contents.result(content), window.max_timestamp())
            else:
                self.function.fire(key, window, self.contents.elements(content))
        except Exception as error:
            raise self.failed(error, WindowOfKey(key, window), self.spec.function) from error

    def failed(self, error: Exception, record: Any, function: Any = None) -> Exception:
        """``error`` as the task shall see it: with the operator, the user's function and the record at hand."""
        if isinstance(error, MillstreamError):
            if not error.place.operator:
                error.place = ErrorPlace(operator=self.chained.name, record=preview_of(record))
                error.message = f"operator {self.chained.name!r}: {error.message}"
            return error
        spec = self.spec
        blamed = function or spec.reduce or spec.aggregate or spec.function or spec.trigger or spec.assigner
        return wrap_user_error(error, chained=self.chained, function=blamed, record=record)

    # -- state --------------------------------------------------------------------------------------------------

    @abstractmethod
    def entry_count(self) -> int:
        """About how much is held: windows or keys with open windows, and timers. Read once a second, so cheap."""

    @abstractmethod
    def snapshot_contents(self, groups: GroupedRows) -> None:
        """Write the contents as rows by key group."""

    @abstractmethod
    def restore_contents(self, rows: list[Any]) -> None:
        """Take rows back; ``watermark_ms`` is set already, the operator is not open yet."""

    def schedule_restored(self) -> None:
        """Ask for the processing times that restored contents wait for."""

    def snapshot(self, checkpoint_id: int, full: bool = True) -> OperatorSnapshot:
        groups = GroupedRows(self.context.max_parallelism)
        self.snapshot_contents(groups)
        contents = {group: encode_value(rows) for group, rows in groups.groups.items()}
        return OperatorSnapshot(
            keyed={CONTENTS: contents},
            union={
                WATERMARK: [encode_value(self.watermark_ms)],
                FORM: [encode_value(self._form())],
                **self._declared_types.pieces(),
            },
            capture=self.backend.capture(checkpoint_id, full),
        )

    def checkpoint_completed(self, checkpoint_id: int) -> None:
        self.backend.confirm(checkpoint_id)

    def restore(self, snapshot: OperatorSnapshot) -> None:
        self._restored = snapshot

    def _form(self) -> str:
        return f"{type(self).__name__} {SNAPSHOT_FORMAT}"

    def _restore_now(self, snapshot: OperatorSnapshot) -> None:
        forms = set(map(decode_value, snapshot.union.get(FORM, [])))
        if forms - {self._form()}:
            raise CheckpointError(
                f"operator {self.chained.name!r} finds state of a {min(forms - {self._form()})} but is a "
                f"{self._form()}. The window's assigner, trigger or evictor changed in kind: start without state, or "
                f"give the operator a new uid."
            )
        self.watermark_ms = restored_watermark(snapshot)
        self._declared_types.restore(snapshot.union.get(STATE_TYPES, []))
        restore_backend(self.backend, snapshot, self.chained)
        contents = snapshot.keyed.get(CONTENTS, {})
        self.restore_contents([row for group in sorted(contents) for row in decode_value(contents[group])])
        self.schedule_restored()
