"""The job under test: numbered records -> running count and sum, and event-time windows, per key -> two file sinks.

What it must write follows from the number of keys and records by plain arithmetic, one record after the other.
"""

from __future__ import annotations

import math
import os
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

import cloudpickle

from millstream.common import Types, WatermarkStrategy
from millstream.connectors.rate_limit import RateLimit
from millstream.connectors.split_queue import SplitQueueEnumerator
from millstream.core.api.functions import KeyedProcessFunction
from millstream.core.api.source import (
    EnumeratorContext,
    PollStatus,
    ReaderContext,
    SourceReader,
    SplitBatch,
    SplitEnumerator,
)
from millstream.core.elements.batch import ObjectBatch
from millstream.datastream import StreamExecutionEnvironment
from millstream.datastream.state import ValueStateDescriptor
from millstream.datastream.window import TumblingEventTimeWindows
from millstream.testing import SequenceRecord, SequenceSource, committed_records
from millstream.testing.outputs import committed_files
from millstream.testing.sequence import SequenceSplit
from tests.chaos.queries import add_queries

MILLISECONDS_APART: Final = 10
WINDOW_RECORDS: Final = 100
HELD_BACK: Final = 0.2
"""The share of the records that comes slowly as long as there are faults."""
FAST_ROWS: Final = 40_000
TRICKLE_ROWS: Final = 40
WAIT_S: Final = 0.05
BATCH_ROWS: Final = 64
"""At most of a split at a time: its keys are as far ahead of those of other splits, and so are event times."""
PACED_RECORDS: Final = 50
PACE_S: Final = 0.04
DAWDLE_S: Final = 0.02
DAWDLES_APART_S: Final = 0.1
"""The first reader makes pauses at such distances, so that its barriers come later than those of the others."""

Row = tuple[int, ...]


@dataclass(frozen=True)
class Load:
    """What a run works on. ``pressure``: the source is faster than the running count, so that records queue.

    ``regions``: the windows have a source and slots of their own, so that they need not fail with the running count.
    ``sql``: both are queries.
    """

    directory: Path
    keys: int = 16
    records_per_key: int = 3000
    rows_per_second: int = 3600
    pressure: bool = False
    regions: bool = False
    sql: bool = False

    @property
    def finish(self) -> Path:
        """When the file exists, everything runs to its end as fast as it can."""
        return self.directory / "finish"

    def expected(self) -> tuple[list[Row], list[Row]]:
        """The rows of the two sinks, computed without any of the product."""
        counts: list[Row] = []
        windows: dict[tuple[int, int], list[int]] = defaultdict(list)
        for key in range(self.keys):
            total = 0
            for number in range(self.records_per_key):
                total += number
                counts.append((key, number, number + 1, total))
                windows[key, number // WINDOW_RECORDS].append(number)
        return counts, [(key, min(held), len(held), sum(held)) for (key, _), held in windows.items()]

    def committed(self) -> tuple[list[Row], list[Row]]:
        """The rows that the two sinks have made visible."""

        def rows(name: str) -> list[Row]:
            return [tuple(map(int, row)) for row in committed_records(self.directory / name, "csv")]

        return rows("counts"), rows("windows")

    def process_ids(self) -> list[int]:
        """Of the slots that count now."""
        found = sorted((self.directory / "slots").glob("subtask-*"))
        return [int(text) for file in found if (text := file.read_text())]

    def note_process(self, subtask: int) -> None:
        """This one has the subtask now."""
        file = self.directory / "slots" / f"subtask-{subtask}"
        draft = file.with_name(f".{file.name}-{os.getpid()}")
        draft.write_text(str(os.getpid()))
        draft.replace(file)

    def environment(self, parallelism: int, settings: dict[str, Any]) -> StreamExecutionEnvironment:
        """The job, not started."""
        (self.directory / "slots").mkdir(exist_ok=True)
        env = StreamExecutionEnvironment.get_execution_environment().set_parallelism(parallelism)
        env.configure(settings)
        times: Any = WatermarkStrategy.for_bounded_out_of_orderness(f"{BATCH_ROWS * MILLISECONDS_APART} ms")
        times = times.with_timestamp_assigner(lambda record, _: record[1] * MILLISECONDS_APART)
        records = env.from_source(NumbersInTurn(self), times, "numbers").uid("numbers")
        if self.sql:
            add_queries(env, records, self)
            return env
        counts = records.key_by(lambda record: record[0]).process(RunningCount(self)).uid("counts")
        counts.write_csv(str(self.directory / "counts"), header=False).uid("counts sink")
        if self.regions:
            records = env.from_source(NumbersInTurn(self), times, "numbers again").uid("numbers again")
            records = records.slot_sharing_group("windows")
        ones = records.map(lambda record: (record[0], record[1], 1, record[1])).uid("ones")
        size = TumblingEventTimeWindows.of(f"{WINDOW_RECORDS * MILLISECONDS_APART} ms")
        windows = ones.key_by(lambda row: row[0]).window(size).reduce(add).uid("windows")
        windows.write_csv(str(self.directory / "windows"), header=False).uid("windows sink")
        return env


def add(left: Any, right: Any) -> Any:
    """Key, smallest number, count, sum."""
    return left[0], min(left[1], right[1]), left[2] + right[2], left[3] + right[3]


class NumbersInTurn(SequenceSource):
    """A reader starts when all splits are dealt out, and goes on with the one that is behind: no record is late."""

    def __init__(self, load: Load) -> None:
        super().__init__(load.keys, load.records_per_key)
        self.load = load

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[SequenceSplit]:
        return _Dealer(context, self._splits)

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[SequenceSplit]:
        return _Dealer.restored(context, state)

    def create_reader(self, context: ReaderContext) -> SourceReader[SequenceSplit]:
        return _ReaderInTurn(self.load, context)


class _Dealer(SplitQueueEnumerator[SequenceSplit]):
    """Each reader gets as many splits as any other, however late it comes."""

    def handle_split_request(self, subtask: int) -> None:
        own = [split for split in self._queue if split.number % self._context.parallelism == subtask]
        if own:
            self._queue.remove(own[0])
            self._context.assign(own[:1], subtask)
        else:
            self._context.no_more_splits(subtask)


class _ReaderInTurn(SourceReader[SequenceSplit]):
    side_by_side: ClassVar[bool] = True

    def __init__(self, load: Load, context: ReaderContext) -> None:
        self._load = load
        self._splits: list[SequenceSplit] = []
        self._no_more = False
        rate = (FAST_ROWS if load.pressure else load.rows_per_second) / context.parallelism
        self._fast = RateLimit(rate, context.clock)
        self._slow = RateLimit(TRICKLE_ROWS / context.parallelism, context.clock)
        self._limit = self._fast
        self._clock = context.clock
        self._dawdle_s = self._clock.monotonic_s() if context.subtask_index == 0 else math.inf

    def poll(self) -> SplitBatch | PollStatus:
        if not self._no_more:
            return PollStatus.SPLIT_WANTED
        if not self._splits:
            return PollStatus.END_OF_INPUT
        split = min(self._splits, key=lambda split: split.position)
        total = self._load.records_per_key * len(split.keys)
        rows = min(BATCH_ROWS, total - split.position)
        if not self._load.finish.exists():
            if self._clock.monotonic_s() > self._dawdle_s:
                threading.Event().wait(DAWDLE_S)
                self._dawdle_s = self._clock.monotonic_s() + DAWDLES_APART_S
            self._limit = self._fast if split.position < total * (1 - HELD_BACK) else self._slow
            rows = self._limit.allowed(rows)
            if rows == 0:
                return PollStatus.NOTHING_NOW
        keys, first = split.keys, split.position
        records = [SequenceRecord(keys[n % len(keys)], n // len(keys)) for n in range(first, first + rows)]
        self._splits.remove(split)
        if first + rows < total:
            self._splits.append(replace(split, position=first + rows))
        return SplitBatch(ObjectBatch(list[Any](records)), split.split_id, first + rows == total)

    def wait_s(self) -> float | None:
        return min(self._limit.wait_s() or 0.0, WAIT_S)

    def add_splits(self, splits: list[SequenceSplit]) -> None:
        self._splits.extend(splits)

    def notify_no_more_splits(self) -> None:
        self._no_more = True

    def snapshot_state(self) -> list[SequenceSplit]:
        return list(self._splits)


class RunningCount(KeyedProcessFunction):
    """``(key, number, count, sum)`` for each record."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._seen = 0

    def open(self, runtime_context: Any) -> None:
        self._total = runtime_context.get_state(ValueStateDescriptor("total", Types.PICKLED_BYTE_ARRAY()))
        self._load.note_process(runtime_context.get_index_of_this_subtask())

    def process_element(self, value: SequenceRecord, ctx: Any) -> Iterator[Row]:
        key, number = value
        count, total = self._total.value() or (0, 0)
        total += number
        self._total.update((count + 1, total))
        self._seen += 1
        if self._load.pressure and self._seen % PACED_RECORDS == 0 and not self._load.finish.exists():
            threading.Event().wait(PACE_S)
        yield key, number, count + 1, total


def steps_missed(counts: list[Row]) -> list[Row]:
    """The first row of each key at which number, count and sum do not step as they must."""
    missed: list[Row] = []
    by_key: dict[int, list[Row]] = defaultdict(list)
    for row in counts:
        by_key[row[0]].append(row)
    for key, rows in sorted(by_key.items()):
        total = 0
        for number, row in enumerate(sorted(rows)):
            total += number
            if row != (key, number, number + 1, total):
                missed.append(row)
                break
    return missed


def rows_out_of_order(output: Path) -> list[Row]:
    """Rows that come in a file behind one of the same key with the same number or a higher one."""
    found: list[Row] = []
    for file in committed_files(output):
        last: dict[int, int] = {}
        for line in file.read_text().splitlines():
            key, number, *rest = map(int, line.split(","))
            if number <= last.get(key, -1):
                found.append((key, number, *rest))
            last[key] = number
    return found


for module in (sys.modules[__name__], sys.modules[add_queries.__module__]):
    cloudpickle.register_pickle_by_value(module)
