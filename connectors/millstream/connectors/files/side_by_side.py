"""Reads several splits of files side by side, always that whose event time is furthest behind.

One file after the other would let event time run to the end of the first file and then call the rows of the second one
late. Here every file that a subtask holds is open, and a chunk is read where the watermark is lowest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from millstream.connectors.files.split import FileSplit
from millstream.core.api.source import PollStatus, ReaderContext, SourceReader, SplitBatch


class SideBySideReader(SourceReader[FileSplit]):
    """``create``: makes a reader of one split."""

    side_by_side: ClassVar[bool] = True

    def __init__(self, create: Callable[[], SourceReader[FileSplit]], context: ReaderContext) -> None:
        self._create = create
        self._context = context
        self._readers: dict[str, SourceReader[FileSplit]] = {}
        self._no_more = False

    def add_splits(self, splits: list[FileSplit]) -> None:
        for split in splits:
            reader = self._create()
            reader.start()
            reader.add_splits([split])
            reader.notify_no_more_splits()
            self._readers[split.split_id] = reader

    def notify_no_more_splits(self) -> None:
        self._no_more = True

    def poll(self) -> SplitBatch | PollStatus:
        if not self._readers:
            return PollStatus.END_OF_INPUT if self._no_more else PollStatus.SPLIT_WANTED
        split_id = self._context.slowest(list(self._readers))
        answer = self._readers[split_id].poll()
        if isinstance(answer, SplitBatch):
            if answer.split_finished:
                self._readers.pop(split_id).close()
            return answer
        if answer is PollStatus.END_OF_INPUT:  # the split was empty
            self._readers.pop(split_id).close()
            return PollStatus.SPLIT_WANTED if not self._readers and not self._no_more else self.poll()
        return answer

    def snapshot_state(self) -> list[FileSplit]:
        return [split for reader in self._readers.values() for split in reader.snapshot_state()]

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()
