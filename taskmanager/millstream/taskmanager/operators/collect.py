"""Sends records to the JobManager, from where the client fetches them.

One encoded batch is on its way at a time; the JobManager may refuse it while its buffer is full. Then the operator is
not ready, its task takes no input, and the job slows down to the pace of its client.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from millstream.core.elements.batch import Batch
from millstream.core.graph.specs import ChainedOperator, CollectSpec
from millstream.core.serde import encode_batch
from millstream.taskmanager.operators.operator import Operator

RETRY_MS: Final = 20
BATCH_BYTES_MAX: Final = 1024 * 1024


class CollectOperator(Operator):
    """Implements ``CollectSpec``."""

    def __init__(self, chained: ChainedOperator, spec: CollectSpec) -> None:
        self.chained = chained
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._sending = False

    def process(self, batch: Batch, input_index: int) -> None:
        rows = batch.num_rows
        pieces = max(1, -(-batch.estimated_bytes() // BATCH_BYTES_MAX))
        step = max(1, -(-rows // pieces))
        for start in range(0, rows, step):
            data = b"".join(encode_batch(batch.slice(start, min(start + step, rows))))
            self._waiting.append(("collect", data))
        self.context.metrics.records_out += rows
        self._send()

    def finish(self) -> None:
        self._waiting.append(("collect_end", b""))
        self._send()

    def is_ready(self) -> bool:
        return not self._waiting

    def has_pending(self) -> bool:
        return bool(self._waiting)

    def on_processing_time(self, now_ms: int) -> None:
        self._send()

    def _send(self) -> None:
        if self._waiting and not self._sending:
            self._sending = True
            kind, data = self._waiting[0]
            self.context.send_to_coordinator(kind, data, self._answered)

    def _answered(self, accepted: bool, payload: bytes) -> None:
        self._sending = False
        if accepted:
            self._waiting.popleft()
            self._send()
        else:
            self.context.schedule(self.context.clock.wall_ms() + RETRY_MS)
