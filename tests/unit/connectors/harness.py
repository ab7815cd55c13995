"""Drives a source without a cluster: its enumerator and its readers, as a JobManager and slots would."""

from __future__ import annotations

import pickle
from collections import deque
from typing import Any

from millstream.connectors.rows import row_values
from millstream.core.api.source import EnumeratorContext, PollStatus, ReaderContext, Source, SplitBatch
from millstream.core.clock import Clock, ManualClock


class Enumeration(EnumeratorContext):
    """Records what the enumerator hands out."""

    def __init__(self, parallelism: int) -> None:
        self.parallelism = parallelism
        self.assigned: dict[int, deque[Any]] = {i: deque() for i in range(parallelism)}
        self.ended: set[int] = set()
        self.later: dict[int, int] = {}

    def assign(self, splits: list[Any], subtask: int) -> None:
        self.assigned[subtask].extend(pickle.loads(pickle.dumps(splits)))

    def no_more_splits(self, subtask: int) -> None:
        self.ended.add(subtask)

    def ask_later(self, subtask: int, delay_ms: int) -> None:
        self.later[subtask] = delay_ms


class Reading(ReaderContext):
    def __init__(self, subtask: int, parallelism: int, clock: Clock, rows_max: int) -> None:
        self.subtask_index = subtask
        self.parallelism = parallelism
        self.clock = clock
        self._rows_max = rows_max
        self.malformed = 0

    @property
    def batch_rows_max(self) -> int:
        return self._rows_max

    def wake_up(self) -> None:
        pass

    def report_malformed(self, count: int) -> None:
        self.malformed += count


class SourceRun:
    """Reads a bounded source to its end with ``parallelism`` readers in turn; ``restore_every`` snapshots and replaces
    a reader after that many of its polls."""

    def __init__(self, source: Source[Any], parallelism: int = 1, rows_max: int = 1000, restore_every: int = 0) -> None:
        self.side: dict[str, list[Any]] = {}
        self.values: list[list[Any]] = [[] for _ in range(parallelism)]
        self.batch_rows: list[int] = []
        self.clock = ManualClock()
        self.malformed = 0
        source = pickle.loads(pickle.dumps(source))
        enumeration = Enumeration(parallelism)
        enumerator = source.create_enumerator(enumeration)
        enumerator.start()
        contexts = [Reading(i, parallelism, self.clock, rows_max) for i in range(parallelism)]
        readers = [source.create_reader(context) for context in contexts]
        open_readers = set(range(parallelism))
        polls = 0
        try:
            while open_readers:
                for i in sorted(open_readers):
                    answer = readers[i].poll()
                    polls += 1
                    if isinstance(answer, SplitBatch):
                        self._take(i, answer)
                    elif answer is PollStatus.SPLIT_WANTED:
                        enumerator.handle_split_request(i)
                        if enumeration.assigned[i]:
                            readers[i].add_splits(list(enumeration.assigned[i]))
                            enumeration.assigned[i].clear()
                        if i in enumeration.ended:
                            readers[i].notify_no_more_splits()
                    elif answer is PollStatus.END_OF_INPUT:
                        open_readers.discard(i)
                    else:
                        self.clock.advance(max(1, int((readers[i].wait_s() or 0.001) * 1000)))
                    if restore_every and polls % restore_every == 0 and i in open_readers:
                        splits = pickle.loads(pickle.dumps(readers[i].snapshot_state()))
                        readers[i].close()
                        readers[i] = source.create_reader(contexts[i])
                        readers[i].add_splits(splits)
                        if i in enumeration.ended:
                            readers[i].notify_no_more_splits()
        finally:
            for reader in readers:
                reader.close()
        self.malformed = sum(context.malformed for context in contexts)

    def _take(self, reader: int, answer: SplitBatch) -> None:
        rows = row_values(answer.batch)
        self.batch_rows.append(len(rows))
        self.values[reader].extend(rows)
        for tag, batch in answer.side_outputs:
            self.side.setdefault(tag, []).extend(row_values(batch))

    @property
    def all(self) -> list[Any]:
        return [value for values in self.values for value in values]
