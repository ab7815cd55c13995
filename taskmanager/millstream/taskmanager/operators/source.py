"""The source operator: a reader, its splits, and the watermarks of each split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import cloudpickle

from millstream.core.api.source import PollStatus, ReaderContext, SourceReader, SplitBatch
from millstream.core.elements.control import MAX_WATERMARK_MS, Watermark
from millstream.core.errors import MillstreamError
from millstream.core.event_time.splits import SplitWatermarks
from millstream.core.graph.specs import ChainedOperator, SourceSpec
from millstream.core.protocol_log import record
from millstream.core.source_events import (
    ADD_SPLITS,
    ASK_AGAIN,
    ASK_LATER,
    NO_MORE_SPLITS,
    REQUEST_SPLIT,
    split_number,
)
from millstream.taskmanager.operators.operator import OperatorContext, Output, SourceOperator, identity_of
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.operators.user_code import wrap_connector_error, wrap_user_error

BATCH_ROWS_MAX: Final = 2048
COLUMN_ROWS_MAX: Final = 32 * 1024
_SPLIT_RETRY_MS: Final = 50
_SPLITS_AHEAD: Final = 2
_SPLITS: Final = "splits"


class ReaderContextOfTask(ReaderContext):
    """``ReaderContext`` over the operator's context."""

    def __init__(self, context: OperatorContext, operator: ReadOperator) -> None:
        self.subtask_index = context.subtask_index
        self.parallelism = context.parallelism
        self.clock = context.clock
        self._context = context
        self._operator = operator

    @property
    def batch_rows_max(self) -> int:
        return min(BATCH_ROWS_MAX, self._operator.rows_wanted)

    @property
    def column_rows_max(self) -> int:
        return min(COLUMN_ROWS_MAX, self._operator.rows_wanted)

    def slowest(self, split_ids: Sequence[str]) -> str:
        return self._operator.slowest(split_ids)

    def wake_up(self) -> None:
        self._context.wake_up()

    def report_malformed(self, count: int) -> None:
        self._context.metrics.malformed_records += count


class ReadOperator(SourceOperator):
    """Polls the reader, asks the coordinator in the JobManager for splits, emits stamped batches."""

    def __init__(self, chained: ChainedOperator, spec: SourceSpec) -> None:
        self.chained = chained
        self._spec = spec
        self._reader: SourceReader[Any] | None = None
        self._finished = False
        self._waiting_for_split = False
        self._ask_again_ms: int | None = None
        """When to stop waiting for a split and ask again; None while the answer is still to come."""
        self._no_more_splits = False
        self._last_number = 0
        """Of the splits that this reader was given."""
        self._event_time_over = False
        self._splits_held = 0
        self._restored: list[Any] = []

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        strategy = self._spec.strategy
        self._watermarks = None if strategy is None else SplitWatermarks(strategy, context.clock)
        try:
            self._reader = self._spec.source.create_reader(ReaderContextOfTask(context, self))
            self._reader.start()
            if self._restored:
                self._add_splits(self._restored)
        except Exception as error:
            raise self._failed(error) from error

    @property
    def reader(self) -> SourceReader[Any]:
        assert self._reader is not None
        return self._reader

    def slowest(self, split_ids: Sequence[str]) -> str:
        """Of some splits, that whose event time is furthest behind."""
        return split_ids[0] if self._watermarks is None else self._watermarks.slowest(split_ids)

    def _add_splits(self, splits: list[Any]) -> None:
        self.reader.add_splits(splits)
        self._splits_held += len(splits)
        if self._watermarks is not None and self.reader.side_by_side:
            self._watermarks.add_splits(split.split_id for split in splits)

    def poll(self) -> bool:
        try:
            answer = self.reader.poll()
        except Exception as error:
            raise self._failed(error) from error
        if isinstance(answer, SplitBatch):
            self._emit(answer)
            return True
        if answer is PollStatus.END_OF_INPUT:
            self._finished = True
            return True
        if answer is PollStatus.SPLIT_WANTED:
            self._request_split()
        else:
            wait_s = self.reader.wait_s()
            if wait_s is not None:
                self.context.schedule(self.context.clock.wall_ms() + max(1, round(wait_s * 1000)))
        self._emit_watermarks()
        self._schedule_idleness()
        return False

    def is_finished(self) -> bool:
        return self._finished

    def drain(self) -> None:
        self._end_event_time()
        self._finished = True

    def handle_event(self, kind: str, payload: bytes) -> None:
        if kind == ADD_SPLITS:
            number, pickled = split_number(payload)
            if number <= self._last_number:
                return  # sent once more, by a JobManager that could not know
            self._last_number = number
            self._waiting_for_split = False
            self._add_splits(cloudpickle.loads(pickled))
            self._request_split_ahead()
        elif kind == ASK_AGAIN:
            if self._waiting_for_split:
                self._waiting_for_split = False
                self._request_split()
        elif kind == NO_MORE_SPLITS:
            self._waiting_for_split = False
            self._no_more_splits = True
            self.reader.notify_no_more_splits()
        elif kind == ASK_LATER:
            self._ask_again_ms = self.context.clock.wall_ms() + int(cloudpickle.loads(payload))
            self.context.schedule(self._ask_again_ms)
        else:
            super().handle_event(kind, payload)

    def on_processing_time(self, now_ms: int) -> None:
        self._emit_watermarks()

    def finish(self) -> None:
        self._end_event_time()

    def _end_event_time(self) -> None:
        """Once: a source that was drained finishes too."""
        if not self._event_time_over:
            self._event_time_over = True
            self.output.emit_watermark(Watermark(MAX_WATERMARK_MS))
            record("event-time.ended", **identity_of(self.context))

    def snapshot(self, checkpoint_id: int, full: bool = True) -> OperatorSnapshot:
        return OperatorSnapshot(items={_SPLITS: [cloudpickle.dumps(split) for split in self.reader.snapshot_state()]})

    def restore(self, snapshot: OperatorSnapshot) -> None:
        splits = [cloudpickle.loads(split) for split in snapshot.items.get(_SPLITS, [])]
        try:
            self._restored = sorted(splits)  # those of several subtasks: event time should not go back in between
        except TypeError:
            self._restored = splits

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def _emit(self, answer: SplitBatch) -> None:
        for tag_id, rows in answer.side_outputs:
            self.output.emit_side(tag_id, rows)
        batch = answer.batch
        if self._watermarks is not None:
            try:
                batch = self._watermarks.stamp(answer.split_id, batch)
            except Exception as error:
                raise wrap_user_error(
                    error,
                    chained=self.chained,
                    function=self._spec.strategy.assigner if self._spec.strategy else None,
                    record=self._watermarks.failed_record,
                ) from error
        self.rows_read += batch.num_rows
        self.output.emit(batch)
        if self._watermarks is not None:
            if answer.split_finished:
                self._watermarks.finish_split(answer.split_id)
            self._emit_watermarks()
        if answer.split_finished:
            self._splits_held -= 1
            self._request_split_ahead()

    def _emit_watermarks(self) -> None:
        if self._watermarks is None:
            return
        for change in self._watermarks.poll():
            if isinstance(change, Watermark):
                self.output.emit_watermark(change)
            else:
                self.output.emit_status(change)

    def _schedule_idleness(self) -> None:
        wait_ms = None if self._watermarks is None else self._watermarks.ms_until_idle()
        if wait_ms is not None:
            self.context.schedule(self.context.clock.wall_ms() + max(1, wait_ms))

    def _request_split_ahead(self) -> None:
        """Ask for the next split while one is being read: the answer takes longer than some splits do."""
        if self._splits_held < _SPLITS_AHEAD and not self._no_more_splits:
            self._request_split()

    def _request_split(self) -> None:
        due = self._ask_again_ms is not None and self.context.clock.wall_ms() >= self._ask_again_ms
        if self._waiting_for_split and not due:
            return
        self._waiting_for_split = True
        self._ask_again_ms = None

        def answered(accepted: bool, payload: bytes) -> None:
            if not accepted:  # the coordinator is not up yet
                self._waiting_for_split = False
                self.context.schedule(self.context.clock.wall_ms() + _SPLIT_RETRY_MS)

        self.context.send_to_coordinator(REQUEST_SPLIT, b"", answered)

    def _failed(self, error: Exception) -> MillstreamError:
        return wrap_connector_error(error, chained=self.chained, connector=self._spec.source)
