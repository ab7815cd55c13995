"""The generator as a source: the same events at any parallelism, in order within each subtask."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from millstream.connectors.fixed_splits import FixedSplitEnumerator
from millstream.connectors.generator_reader import GeneratorReader
from millstream.connectors.nexmark.generator import NexmarkGenerator
from millstream.connectors.nexmark.model import EVENT_SCHEMA, EventKind, Events, NexmarkModel
from millstream.connectors.rounds import RoundsSplit, rounds_splits
from millstream.core.api.source import (
    Boundedness,
    EnumeratorContext,
    ReaderContext,
    Source,
    SourceReader,
    SplitEnumerator,
)


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
        generator = NexmarkGenerator(self.model, self.schema)
        reader = GeneratorReader("nexmark", context, generator.batch, self.events_per_second)
        if self.kinds is not None:
            proportion = sum(self.model.proportion(kind) for kind in self.kinds)
            reader.choose(self._wanted, self.model.epoch_events, proportion)
        return reader

    def _wanted(self, events: Events) -> npt.NDArray[np.bool_]:
        return np.isin(self.model.kinds(events), sorted(self.kinds or ()))

    def _splits(self, parallelism: int) -> list[RoundsSplit]:
        return rounds_splits(parallelism, self.model.epoch_events, self.events)
