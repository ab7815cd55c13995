"""The generator as a source: the same events at any parallelism, in order within each subtask."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from millstream.connectors.fixed_splits import FixedSplitEnumerator
from millstream.connectors.nexmark.generator import NexmarkGenerator
from millstream.connectors.nexmark.model import EVENT_SCHEMA, EventKind, Events, NexmarkModel
from millstream.connectors.nexmark.split import RoundsSplit, rounds_splits
from millstream.connectors.rate_limit import RateLimit
from millstream.core.api.source import (
    Boundedness,
    EnumeratorContext,
    PollStatus,
    ReaderContext,
    Source,
    SourceReader,
    SplitBatch,
    SplitEnumerator,
)
from millstream.core.elements.batch import ArrowBatch

_SPLIT_ID: Final = "nexmark"


class NexmarkSource(Source[RoundsSplit]):
    """Emits the columns of ``schema`` (see ``NexmarkGenerator``) of the first ``events`` events, or of all.

    ``kinds``: only events of these; None for all. ``events_per_second`` limits all subtasks together and counts
    events of every kind.
    """

    def __init__(
        self,
        model: NexmarkModel,
        schema: pa.Schema = EVENT_SCHEMA,
        events: int | None = None,
        events_per_second: float | None = None,
        kinds: frozenset[EventKind] | None = None,
    ) -> None:
        self.model = model
        self.schema = schema
        self.events = events
        self.events_per_second = events_per_second
        self.kinds = kinds
        self.boundedness = Boundedness.CONTINUOUS_UNBOUNDED if events is None else Boundedness.BOUNDED

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[RoundsSplit]:
        return FixedSplitEnumerator(context, self._splits)

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[RoundsSplit]:
        return FixedSplitEnumerator.restored(context, state)

    def create_reader(self, context: ReaderContext) -> SourceReader[RoundsSplit]:
        return _NexmarkReader(self, context)

    def _splits(self, parallelism: int) -> list[RoundsSplit]:
        return rounds_splits(parallelism, self.model.epoch_events, self.events)


class _NexmarkReader(SourceReader[RoundsSplit]):
    """Several splits (after a rescaling) are read as one, in the order of their events."""

    def __init__(self, source: NexmarkSource, context: ReaderContext) -> None:
        self._context = context
        self._model = source.model
        self._generator = NexmarkGenerator(source.model, source.schema)
        self._kinds = None if source.kinds is None else sorted(source.kinds)
        self._limit: RateLimit | None = None
        if source.events_per_second is not None:
            self._limit = RateLimit(source.events_per_second / context.parallelism, context.clock)
        self._splits: list[RoundsSplit] = []
        self._no_more = False

    def poll(self) -> SplitBatch | PollStatus:
        if not self._splits:
            return PollStatus.END_OF_INPUT if self._no_more else PollStatus.SPLIT_WANTED
        rows_max = self._context.batch_rows_max
        if self._limit is None:
            events = self._next_events(self._events_for(rows_max), rows_max)
        else:
            rows_max = self._limit.allowed(rows_max)
            if rows_max == 0:
                return PollStatus.NOTHING_NOW
            events = self._next_events(rows_max, rows_max)
        if len(events) == 0 and self._splits:
            return PollStatus.NOTHING_NOW
        return SplitBatch(ArrowBatch(self._generator.batch(events)), _SPLIT_ID, not self._splits)

    def wait_s(self) -> float | None:
        return 0.0 if self._limit is None else self._limit.wait_s()

    def add_splits(self, splits: list[RoundsSplit]) -> None:
        self._splits.extend(split for split in splits if not split.is_finished)

    def notify_no_more_splits(self) -> None:
        self._no_more = True

    def snapshot_state(self) -> list[RoundsSplit]:
        return list(self._splits)

    def _events_for(self, rows: int) -> int:
        """About as many events as have ``rows`` of the wanted kinds."""
        wanted = 0 if self._kinds is None else sum(self._model.proportion(kind) for kind in self._kinds)
        return rows if wanted == 0 else -(-rows // wanted) * self._model.epoch_events

    def _next_events(self, events_max: int, rows_max: int) -> Events:
        """At most ``rows_max`` events of the wanted kinds among the next ``events_max``; moves the splits on."""
        if len(self._splits) == 1:
            events = self._splits[0].events(events_max)
        else:
            events = self._merged(events_max)
        if self._kinds is not None:
            found = np.flatnonzero(np.isin(self._model.kinds(events), self._kinds))
            if len(found) > rows_max:
                events, found = events[: found[rows_max]], found[:rows_max]
            self._move_on(events)
            return events[found]
        self._move_on(events)
        return events

    def _merged(self, events_max: int) -> Events:
        """The next events of all splits, up to where the first of them has been asked for no more."""
        share = max(1, events_max // len(self._splits))
        parts = [split.events(share) for split in self._splits]
        cut_short = [
            part[-1] for part, split in zip(parts, self._splits, strict=True) if not split.after(share).is_finished
        ]
        events = np.sort(np.concatenate(parts))
        if cut_short:
            events = events[: np.searchsorted(events, min(cut_short), side="right")]
        return events[:events_max]

    def _move_on(self, events: Events) -> None:
        if len(self._splits) == 1:
            moved = [self._splits[0].after(len(events))]
        else:
            rounds = events // self._model.epoch_events
            moved = [split.after(int(np.sum(rounds % split.of == split.index))) for split in self._splits]
        self._splits = [split for split in moved if not split.is_finished]
