"""A source of made-up rows: what ``'connector' = 'datagen'`` reads."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from millstream.connectors.counter_hash import stream_key
from millstream.connectors.datagen_rules import FieldRule, generate
from millstream.connectors.fixed_splits import FixedSplitEnumerator
from millstream.connectors.generator_reader import GeneratorReader
from millstream.connectors.rounds import Numbers, RoundsSplit, rounds_splits
from millstream.core.api.source import (
    Boundedness,
    EnumeratorContext,
    ReaderContext,
    Source,
    SourceReader,
    SplitEnumerator,
)
from millstream.core.clock import Clock
from millstream.core.table.projection import project, zero_column_batch

_BATCH_BYTES: Final = 8 * 2**20
FIXED_TIME_MS: Final = 1_704_067_200_000
"""2024-01-01 00:00:00 UTC: the time of the first row where times are to be the same in each run."""


class DataGenTableSource(Source[RoundsSplit]):
    """Emits ``rows`` rows (None: no end), ``rows_per_second`` over all subtasks, of the columns that ``schema`` names
    (dotted paths allowed).

    ``rules``: of every column of the table, by name and in order, so that a column is the same whatever else is
    read. Row n is a function of n and ``seed``. Times are relative to the clock; with ``fixed_time`` to an
    imaginary one that shows 2024-01-01 at the first row and runs at the rate.
    """

    def __init__(
        self,
        rules: tuple[tuple[str, FieldRule], ...],
        schema: pa.Schema,
        rows: int | None = None,
        rows_per_second: int = 10_000,
        seed: int = 0,
        fixed_time: bool = False,
    ) -> None:
        self.rules = rules
        self.schema = schema
        self.rows = rows
        self.rows_per_second = rows_per_second
        self.seed = seed
        self.fixed_time = fixed_time
        self.boundedness = Boundedness.CONTINUOUS_UNBOUNDED if rows is None else Boundedness.BOUNDED

    def create_enumerator(self, context: EnumeratorContext) -> SplitEnumerator[RoundsSplit]:
        return FixedSplitEnumerator(context, self._splits)

    def restore_enumerator(self, context: EnumeratorContext, state: Any) -> SplitEnumerator[RoundsSplit]:
        return FixedSplitEnumerator.restored(context, state)

    def create_reader(self, context: ReaderContext) -> SourceReader[RoundsSplit]:
        clock = context.clock
        row_bytes = sum(rule.row_bytes for name, rule in self.rules if name in self._wanted)
        return GeneratorReader(
            "datagen",
            context,
            lambda numbers: self.batch(numbers, clock),
            self.rows_per_second,
            rows_max=max(1, _BATCH_BYTES // max(1, row_bytes)),
        )

    def batch(self, numbers: Numbers, clock: Clock) -> pa.RecordBatch:
        """The rows ``numbers``."""
        if self.fixed_time:
            now_ms = FIXED_TIME_MS + numbers * 1000 // self.rows_per_second
        else:
            now_ms = np.full(len(numbers), clock.wall_ms(), np.int64)
        wanted = self._wanted
        if not wanted:
            return zero_column_batch(len(numbers))
        columns = {
            name: generate(rule, stream_key(self.seed, i), numbers, now_ms)
            for i, (name, rule) in enumerate(self.rules)
            if name in wanted
        }
        return project(pa.RecordBatch.from_pydict(columns), self.schema)

    @property
    def _wanted(self) -> set[str]:
        """The columns of the table that ``schema`` takes from."""
        names = {name for name, _ in self.rules}
        return {name if name in names else name.partition(".")[0] for name in self.schema.names}

    def _splits(self, parallelism: int) -> list[RoundsSplit]:
        return rounds_splits(parallelism, 1, self.rows)
