"""The job of a simulation: numbered records of some keys -> running count and sum of each key -> a sink that commits.

What it must write follows by arithmetic. The sink keeps its files on the simulated disk: ``pending`` ones are
closed and wait for their checkpoint, ``committed`` ones are what a reader sees.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final
from unittest import mock

from millstream.client.translate import TranslatedJob, translate
from millstream.client.translation.modules import ModuleArchive
from millstream.core.api.functions import KeyedProcessFunction
from millstream.core.api.sink import CommittingSink, CommittingSinkWriter, SinkContext
from millstream.core.api.source import EnumeratorContext, ReaderContext, Source, SourceReader, SplitEnumerator
from millstream.core.elements.batch import Batch
from millstream.core.ids import BlobKey
from millstream.datastream import StreamExecutionEnvironment
from millstream.datastream.state import ValueStateDescriptor
from millstream.proto.v1.job_graph_pb2 import JobGraph
from millstream.testing import SequenceSource
from millstream.testing.sequence import SequenceSplit
from tests.sim.disk import SimStorage

SINK_DIRECTORY: Final = "/sink"
Row = tuple[int, int, int, int]
"""Key, number of the record, count so far, sum so far."""


@dataclass(frozen=True)
class Shape:
    """Of the job: how much it reads, and in what pieces."""

    keys: int
    records_per_key: int
    splits: int
    rows_per_second: int
    batch_rows_max: int
    source_parallelism: int
    parallelism: int
    sink_parallelism: int
    unchained: bool
    buffer_timeout_ms: int

    def expected(self) -> Counter[Row]:
        """The rows that must be committed, each once."""
        rows: Counter[Row] = Counter()
        for key in range(self.keys):
            total = 0
            for number in range(self.records_per_key):
                total += number
                rows[key, number, number + 1, total] += 1
        return rows


SHAPE: list[Shape] = []
"""Of the run: the code that a job ships is the same for all shapes."""


class Numbers(Source[SequenceSplit]):
    """The sequence source of the run's shape, with batches of at most so many rows."""

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[SequenceSplit]:
        return self._sequence().create_enumerator(context)

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[SequenceSplit]:
        return self._sequence().restore_enumerator(context, state)

    def create_reader(self, context: ReaderContext) -> SourceReader[SequenceSplit]:
        return self._sequence().create_reader(_Bounded(context, SHAPE[0].batch_rows_max))

    def _sequence(self) -> SequenceSource:
        shape = SHAPE[0]
        rate = shape.rows_per_second or None
        return SequenceSource(shape.keys, shape.records_per_key, splits=shape.splits, rows_per_second=rate)


class _Bounded(ReaderContext):
    def __init__(self, context: ReaderContext, rows_max: int) -> None:
        self._context = context
        self._rows_max = rows_max
        self.subtask_index = context.subtask_index
        self.parallelism = context.parallelism
        self.clock = context.clock

    @property
    def batch_rows_max(self) -> int:
        return min(self._rows_max, self._context.batch_rows_max)

    def wake_up(self) -> None:
        self._context.wake_up()

    def report_malformed(self, count: int) -> None:
        self._context.report_malformed(count)


class RunningSum(KeyedProcessFunction):
    def open(self, runtime_context: Any) -> None:
        self._state = runtime_context.get_state(ValueStateDescriptor("sum"))

    def process_element(self, value: Any, ctx: Any) -> Iterable[Row]:
        count, total = self._state.value() or (0, 0)
        count, total = count + 1, total + value.sequence
        self._state.update((count, total))
        yield value.key, value.sequence, count, total


# -- the sink -------------------------------------------------------------------------------------------------------


@dataclass
class SinkFiles:
    """What the sink has on the disk, and how to look at it from outside."""

    storage: SimStorage = field(default_factory=lambda: SimStorage(Path(SINK_DIRECTORY)))

    def committed(self) -> dict[str, list[Row]]:
        """Rows by committed file, read past the disk's faults."""
        folder = self.storage.disk.find(f"{SINK_DIRECTORY}/committed") or {}
        return {name: rows_of(data) for name, data in sorted(folder.items())}


def rows_of(data: bytes) -> list[Row]:
    return [(a, b, c, d) for a, b, c, d in json.loads(data)]


class TransactionalSink(CommittingSink):
    """A committable is the name of a file."""

    def create_writer(self, context: SinkContext) -> CommittingSinkWriter:
        return _Writer(context)

    def commit(self, committable: Any) -> None:
        storage = SinkFiles().storage
        if storage.size(f"committed/{committable}") is None:
            data = storage.read(f"pending/{committable}")
            storage.create(f"committed/{committable}", data)
        storage.delete(f"pending/{committable}")

    def abort(self, committable: Any) -> None:
        SinkFiles().storage.delete(f"pending/{committable}")

    def clean_up(self, context: SinkContext, kept: list[Any]) -> None:
        storage = SinkFiles().storage
        for name in storage.list("pending"):
            job, subtask, attempt, _ = name.split("-")
            is_older = job == context.job_id and int(attempt) < context.attempt
            if is_older and int(subtask) % context.parallelism == context.subtask_index and name not in kept:
                storage.delete(f"pending/{name}")


class _Writer(CommittingSinkWriter):
    def __init__(self, context: SinkContext) -> None:
        self._prefix = f"{context.job_id}-{context.subtask_index}-{context.attempt}"
        self._rows: list[Row] = []
        self._files = 0

    def write(self, batch: Batch) -> None:
        self._rows.extend(batch.values)  # type: ignore[union-attr]

    def flush(self) -> None:
        """Rows wait for the next checkpoint."""

    def prepare_commit(self) -> list[Any]:
        if not self._rows:
            return []
        self._files += 1
        name = f"{self._prefix}-{self._files}"
        SinkFiles().storage.write(f"pending/{name}", [json.dumps(self._rows).encode()])
        self._rows = []
        return [name]

    def close(self) -> None:
        self._rows = []


# -- the graph ------------------------------------------------------------------------------------------------------


def graph_of(shape: Shape) -> tuple[JobGraph, Mapping[BlobKey, bytes]]:
    """The job for a shape, and its code; its id and settings are set by whoever submits it."""
    template = _template(shape.parallelism == shape.sink_parallelism, shape.unchained, shape.buffer_timeout_ms)
    graph = JobGraph()
    graph.CopyFrom(template.graph)
    wanted = {"numbers": shape.source_parallelism, "sums": shape.parallelism, "sink": shape.sink_parallelism}
    for vertex in graph.vertices:
        vertex.parallelism = wanted[vertex.operators[0].uid]
    return graph, template.blobs


@cache
def _template(forward: bool, unchained: bool, buffer_timeout_ms: int) -> TranslatedJob:
    """Translated once a process, since that takes longer than many a simulation. ``forward``: from sums to sinks."""
    env = StreamExecutionEnvironment().set_max_parallelism(16).set_buffer_timeout(buffer_timeout_ms)
    if unchained:
        env.disable_operator_chaining()
    numbers = env.from_source(Numbers(), None, "numbers").uid("numbers").set_parallelism(1)
    sums = numbers.key_by(lambda record: record.key).process(RunningSum()).uid("sums").set_parallelism(1)
    sums.sink_to(TransactionalSink()).uid("sink").set_parallelism(1 if forward else 2)
    everywhere = ModuleArchive({}, [], [], None)  # nothing is shipped: every simulated process has these modules
    with mock.patch.object(ModuleArchive, "of_this_process", lambda: everywhere):
        return translate(env.get_stream_graph("simulated"), "0" * 32, {})
