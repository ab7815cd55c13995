"""A bounded source read to its end in one place, without a job: for small tables that are kept whole."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from millstream.core.api.source import (
    Boundedness,
    EnumeratorContext,
    PollStatus,
    ReaderContext,
    Source,
    SourceReader,
    SplitBatch,
)
from millstream.core.clock import Clock
from millstream.core.elements.batch import Batch
from millstream.core.errors import invariant

_ROWS_MAX: Final = 1 << 16
_WAIT_S_MAX: Final = 0.1


def read_bounded(source: Source[Any], clock: Clock) -> Iterator[Batch]:
    """All batches of ``source``; errors of the source come through. Blocks while the reader has nothing."""
    invariant(source.boundedness is Boundedness.BOUNDED, f"{type(source).__name__} never ends")
    answers = _Answers()
    enumerator = source.create_enumerator(answers)
    enumerator.start()
    try:
        reading = _Reading(clock)
        reader = source.create_reader(reading)
        try:
            reader.start()
            yield from _polled(reader, answers, lambda: enumerator.handle_split_request(0), reading.woken)
        finally:
            reader.close()
    finally:
        enumerator.close()


def _polled(
    reader: SourceReader[Any],
    answers: _Answers,
    ask: Callable[[], None],
    woken: threading.Event,
) -> Iterator[Batch]:
    while True:
        polled = reader.poll()
        if isinstance(polled, SplitBatch):
            if polled.batch.num_rows:
                yield polled.batch
        elif polled is PollStatus.END_OF_INPUT:
            return
        elif polled is PollStatus.NOTHING_NOW:
            woken.wait(reader.wait_s() or _WAIT_S_MAX)
            woken.clear()
        else:
            ask()
            while answers.splits:
                reader.add_splits(answers.splits.popleft())
            if answers.ended:
                reader.notify_no_more_splits()


class _Answers(EnumeratorContext):
    """What the enumerator gave to the only reader."""

    parallelism = 1

    def __init__(self) -> None:
        self.splits: deque[list[Any]] = deque()
        self.ended = False

    def assign(self, splits: list[Any], subtask: int) -> None:
        self.splits.append(splits)

    def no_more_splits(self, subtask: int) -> None:
        self.ended = True

    def ask_later(self, subtask: int, delay_ms: int) -> None:
        """It is asked again at the next poll."""


class _Reading(ReaderContext):
    """Malformed rows are counted where the table is read as a stream, not here."""

    subtask_index = 0
    parallelism = 1

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.woken = threading.Event()

    @property
    def batch_rows_max(self) -> int:
        return _ROWS_MAX

    def wake_up(self) -> None:
        self.woken.set()

    def report_malformed(self, count: int) -> None:
        """Skipped rows are not of the table."""
