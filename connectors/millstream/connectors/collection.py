"""A source over values that the program holds in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from millstream.connectors.split_queue import SplitQueueEnumerator
from millstream.core.api.source import (
    EnumeratorContext,
    PollStatus,
    ReaderContext,
    Source,
    SourceReader,
    SplitBatch,
    SplitEnumerator,
)
from millstream.core.elements.batch import ObjectBatch


@dataclass(frozen=True)
class CollectionSplit:
    """The values from position ``next`` on."""

    next: int


class CollectionSource(Source[CollectionSplit]):
    """Emits ``values`` in order, from one subtask. The values travel with the job's code: keep them small."""

    def __init__(self, values: Iterable[Any], type_info: Any = None) -> None:
        self.values = list(values)
        self._type_info = type_info

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[CollectionSplit]:
        return SplitQueueEnumerator(context, lambda _: [CollectionSplit(0)])

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[CollectionSplit]:
        return SplitQueueEnumerator.restored(context, state)

    def create_reader(self, context: ReaderContext) -> SourceReader[CollectionSplit]:
        return _CollectionReader(self.values, context)

    @property
    def parallelism_max(self) -> int | None:
        return 1

    @property
    def produced_type(self) -> Any:
        return self._type_info


class _CollectionReader(SourceReader[CollectionSplit]):
    def __init__(self, values: list[Any], context: ReaderContext) -> None:
        self._values = values
        self._context = context
        self._next: int | None = None
        self._no_more = False

    def poll(self) -> SplitBatch | PollStatus:
        if self._next is None:
            return PollStatus.END_OF_INPUT if self._no_more else PollStatus.SPLIT_WANTED
        stop = min(self._next + self._context.batch_rows_max, len(self._values))
        batch = ObjectBatch(self._values[self._next : stop])
        finished = stop == len(self._values)
        self._next = None if finished else stop
        return SplitBatch(batch, "collection", finished)

    def add_splits(self, splits: list[CollectionSplit]) -> None:
        for split in splits:
            self._next = split.next

    def notify_no_more_splits(self) -> None:
        self._no_more = True

    def snapshot_state(self) -> list[CollectionSplit]:
        return [] if self._next is None else [CollectionSplit(self._next)]
