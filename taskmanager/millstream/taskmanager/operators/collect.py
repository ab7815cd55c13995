"""Sends records to the JobManager, from where the client fetches them.

One encoded batch is on its way at a time, and what comes meanwhile makes the next one. The JobManager may refuse a
batch while its buffer is full: then about a megabyte gathers here, the operator is not ready, its task takes no input,
and the job slows down to the pace of its client.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from millstream.core.elements.batch import Batch
from millstream.core.graph.specs import ChainedOperator, CollectSpec
from millstream.core.serde import encode_batch
from millstream.taskmanager.network.coalescing import can_merge, merge_batches
from millstream.taskmanager.operators.operator import Operator

RETRY_MS: Final = 20
BATCH_BYTES_MAX: Final = 1024 * 1024


class CollectOperator(Operator):
    """Implements ``CollectSpec``."""

    def __init__(self, chained: ChainedOperator, spec: CollectSpec) -> None:
        self.chained = chained
        self._waiting: deque[tuple[Batch, int]] = deque()
        self._waiting_bytes = 0
        self._ended = False
        self._sent: tuple[str, bytes] | None = None  # on its way, or refused and to be sent again
        self._answer_due = False

    def process(self, batch: Batch, input_index: int) -> None:
        rows, size = batch.num_rows, batch.estimated_bytes()
        step = max(1, -(-rows // max(1, -(-size // BATCH_BYTES_MAX))))
        for start in range(0, rows, step):
            part = batch.slice(start, min(start + step, rows))
            part_bytes = size * part.num_rows // rows
            self._waiting.append((part, part_bytes))
            self._waiting_bytes += part_bytes
        self.context.metrics.records_out += rows
        self._send()

    def finish(self) -> None:
        self._ended = True
        self._send()

    def is_ready(self) -> bool:
        return self._waiting_bytes < BATCH_BYTES_MAX

    def has_pending(self) -> bool:
        return self._sent is not None or bool(self._waiting)

    def on_processing_time(self, now_ms: int) -> None:
        self._send()

    def _send(self) -> None:
        if self._answer_due:
            return
        if self._sent is None:
            self._sent = self._next()
        if self._sent is not None:
            self._answer_due = True
            self.context.send_to_coordinator(*self._sent, self._answered)

    def _next(self) -> tuple[str, bytes] | None:
        if self._waiting:
            return "collect", b"".join(encode_batch(self._take()))
        if self._ended:
            self._ended = False
            return "collect_end", b""
        return None

    def _take(self) -> Batch:
        """What waits, as one batch of about ``BATCH_BYTES_MAX`` at most."""
        parts: list[Batch] = []
        taken_bytes = 0
        while self._waiting:
            part, size = self._waiting[0]
            if parts and (taken_bytes + size > BATCH_BYTES_MAX or not can_merge(parts[-1], part)):
                break
            self._waiting.popleft()
            taken_bytes += size
            parts.append(part)
        self._waiting_bytes -= taken_bytes
        return merge_batches(parts)

    def _answered(self, accepted: bool, payload: bytes) -> None:
        self._answer_due = False
        if accepted:
            self._sent = None
            self._send()
        else:
            self.context.schedule(self.context.clock.wall_ms() + RETRY_MS)
