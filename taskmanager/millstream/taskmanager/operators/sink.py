"""The sink operator: one writer a subtask, and for committing sinks what waits for a checkpoint to complete."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from typing import Any, Final

import cloudpickle

from millstream.core.api.sink import CommittingSink, CommittingSinkWriter, SinkContext, SinkWriter
from millstream.core.checkpoint.events import AWAIT_COMMIT
from millstream.core.elements.batch import Batch
from millstream.core.elements.control import LatencyMarker, Watermark
from millstream.core.errors import MillstreamError
from millstream.core.failpoints import failpoint
from millstream.core.graph.specs import ChainedOperator, SinkSpec
from millstream.core.protocol_log import is_on, record
from millstream.taskmanager.operators.operator import Operator, OperatorContext, Output, identity_of
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.operators.user_code import wrap_connector_error

log = logging.getLogger("millstream.taskmanager")

_TIME_INTERVAL_MS: Final = 1000
COMMITTABLES: Final = "committables"


class SinkContextOfTask(SinkContext):
    """``SinkContext`` over the operator's context."""

    def __init__(self, context: OperatorContext) -> None:
        self.job_id = context.job_id
        self.operator_id = context.chained.operator_id
        self.subtask_index = context.subtask_index
        self.parallelism = context.parallelism
        self.attempt = context.attempt
        self.clock = context.clock
        self.has_checkpoints = context.configuration.get("execution.checkpointing.interval") is not None


class SinkOperator(Operator):
    """Hands batches to the writer; errors of a writer name the operator."""

    def __init__(self, chained: ChainedOperator, spec: SinkSpec) -> None:
        self.chained = chained
        self._sink = spec.sink
        self._writer: SinkWriter | None = None
        self._latency_ms = -1.0
        self._prepared: list[tuple[int, Any]] = []  # (checkpoint, committable)
        self._restored: list[Any] = []
        self._undecided: set[int] = set()
        """Checkpoints that have a snapshot of this operator, and may be complete one day."""
        self._has_checkpoints = False
        self._finished = False
        self._final_checkpoint = 0  # the first one taken after the end of the input
        self._done = False

    def open(self, context: OperatorContext, output: Output) -> None:
        super().open(context, output)
        try:
            sink_context = SinkContextOfTask(context)
            self._has_checkpoints = sink_context.has_checkpoints
            self._recover(context)
            self._writer = self._sink.create_writer(sink_context)
            self._writer.open()
        except Exception as error:
            raise self._failed(error) from error
        context.schedule(context.clock.wall_ms() + _TIME_INTERVAL_MS)

    @property
    def writer(self) -> SinkWriter:
        assert self._writer is not None
        return self._writer

    def process(self, batch: Batch, input_index: int) -> None:
        try:
            self.writer.write(batch)
        except Exception as error:
            raise self._failed(error) from error
        self.context.metrics.records_out += batch.num_rows

    def process_latency_marker(self, marker: LatencyMarker) -> None:
        """The end of its way: its age is the latency from source to sink."""
        if self._latency_ms < 0:
            self.context.metrics.gauge("latency_ms", lambda: self._latency_ms)
        self._latency_ms = max(0.0, float(self.context.clock.wall_ms() - marker.emitted_wall_ms))

    def process_watermark(self, watermark: Watermark) -> None:
        try:
            self.writer.write_watermark(watermark)
        except Exception as error:
            raise self._failed(error) from error
        super().process_watermark(watermark)

    def on_processing_time(self, now_ms: int) -> None:
        try:
            self.writer.on_time(now_ms)
        except Exception as error:
            raise self._failed(error) from error
        self.context.schedule(now_ms + _TIME_INTERVAL_MS)

    def finish(self) -> None:
        try:
            self.writer.flush()
        except Exception as error:
            raise self._failed(error) from error
        self._finished = True
        if self._must_commit():
            self.context.send_to_coordinator(AWAIT_COMMIT, b"", lambda accepted, payload: None)

    def has_pending(self) -> bool:
        """What was written last is not visible before a checkpoint says so."""
        return self._finished and self._must_commit() and not self._done

    def prepare_snapshot(self, checkpoint_id: int) -> None:
        try:
            if not isinstance(self.writer, CommittingSinkWriter):
                self.writer.flush()
                return
            failpoint("commit.prepare")
            prepared = self.writer.prepare_commit()
            self._prepared += [(checkpoint_id, committable) for committable in prepared]
            self._record("sink.prepared", prepared, checkpoint=checkpoint_id)
            failpoint("commit.prepared")
        except Exception as error:
            raise self._failed(error) from error

    def snapshot(self, checkpoint_id: int, full: bool = True) -> OperatorSnapshot | None:
        if not isinstance(self.writer, CommittingSinkWriter):
            return None
        if self._finished and not self._final_checkpoint:
            self._final_checkpoint = checkpoint_id
        self._undecided.add(checkpoint_id)
        committables = [cloudpickle.dumps(committable) for _, committable in self._prepared]
        return OperatorSnapshot(union={COMMITTABLES: committables})

    def restore(self, snapshot: OperatorSnapshot) -> None:
        self._restored = [cloudpickle.loads(data) for data in snapshot.union.get(COMMITTABLES, [])]

    def checkpoint_completed(self, checkpoint_id: int) -> None:
        ready = [committable for prepared_in, committable in self._prepared if prepared_in <= checkpoint_id]
        try:
            if isinstance(self._sink, CommittingSink):
                self._commit(ready, self._sink.commit)
        except Exception as error:
            raise self._failed(error) from error
        self._prepared = [pair for pair in self._prepared if pair[0] > checkpoint_id]
        self._undecided = {undecided for undecided in self._undecided if undecided > checkpoint_id}
        self._done = 0 < self._final_checkpoint <= checkpoint_id

    def checkpoint_aborted(self, checkpoint_id: int) -> None:
        self._undecided.discard(checkpoint_id)

    def _recover(self, context: OperatorContext) -> None:
        """The checkpoint that the job starts from is complete: commit this subtask's share, and tidy up."""
        if isinstance(self._sink, CommittingSink):
            self._commit(self._restored[context.subtask_index :: context.parallelism], self._sink.recover_and_commit)
            self._sink.clean_up(SinkContextOfTask(context), self._restored)
        self._restored = []

    def _must_commit(self) -> bool:
        return self._has_checkpoints and isinstance(self._sink, CommittingSink)

    def _commit(self, committables: list[Any], commit: Callable[[Any], None]) -> None:
        self._record("sink.commits", committables)
        for committable in committables:
            failpoint("commit.publish")
            commit(committable)
            failpoint("commit.published")
        self._record("sink.committed", committables)

    def close(self) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
            self._abort()
        except Exception as error:
            raise self._failed(error) from error

    def _abort(self) -> None:
        """Give up what is in no checkpoint that may be complete one day; the next attempt decides about the rest.

        Each snapshot has everything that was prepared before it, so only the newest undecided checkpoint matters.
        """
        held_until = max(self._undecided, default=0)
        lost = [committable for prepared_in, committable in self._prepared if prepared_in > held_until]
        self._prepared = []
        self._record("sink.aborted", lost)
        for committable in lost:
            assert isinstance(self._sink, CommittingSink)
            try:
                self._sink.abort(committable)
            except Exception as error:  # the others go on: what stays is hidden, and the next attempt looks for it
                log.warning("sink %r cannot give up %r: %s", self.chained.name, committable, error)

    def _record(self, event: str, committables: list[Any], **fields: Any) -> None:
        if committables and is_on():
            ids = [_id_of(committable) for committable in committables]
            record(event, **identity_of(self.context), ids=ids, **fields)

    def _failed(self, error: Exception) -> MillstreamError:
        return wrap_connector_error(error, chained=self.chained, connector=self._sink)


def _id_of(committable: Any) -> str:
    """The same in every process for one that says by ``repr`` what it is."""
    return hashlib.blake2s(repr(committable).encode(), digest_size=8).hexdigest()
