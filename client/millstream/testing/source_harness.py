"""Drives a source with its enumerator: splits, positions and watermarks, at any and at changing parallelism."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Sequence
from typing import Any, Final

import cloudpickle

from millstream.core.api.source import EnumeratorContext, Source
from millstream.core.api.watermarks import WatermarkStrategy
from millstream.core.clock import ManualClock
from millstream.core.graph.specs import SourceSpec
from millstream.core.source_events import ADD_SPLITS, ASK_LATER, NO_MORE_SPLITS, REQUEST_SPLIT, numbered
from millstream.taskmanager.operators.operator import SourceOperator
from millstream.testing.modes import RunMode
from millstream.testing.parallel import ParallelHarness
from millstream.testing.redistribution import Snapshots

ROWS_WANTED: Final = 1000
"""Of a poll, when the mode says nothing else."""


class SourceHarness(ParallelHarness):
    """The readers of ``source``, polled in turn, and the enumerator that they ask for splits. Both are pickled first.

    Snapshots hold the enumerator too. What a reader raises is a ``MillstreamError`` that names the operator.
    """

    def __init__(
        self,
        source: Source[Any],
        strategy: WatermarkStrategy | None = None,
        *,
        mode: RunMode | None = None,
        clock: ManualClock | None = None,
        name: str = "",
        parallelism: int = 1,
        configuration: dict[str, Any] | None = None,
    ) -> None:
        self._source: Source[Any] = pickle.loads(cloudpickle.dumps(source))
        self._enumeration = _Enumeration(parallelism)
        self._enumerator = self._source.create_enumerator(self._enumeration)
        self._enumerator.start()
        self._enumerator_state: Any = None
        super().__init__(
            SourceSpec(self._source, strategy),
            mode=mode,
            clock=clock,
            name=name,
            parallelism=parallelism,
            configuration=configuration,
        )

    def poll(self) -> bool:
        """One poll of each reader; False when none had anything to do now."""
        if self._output_is_full:
            return False
        worked = False
        before = len(self._recorded.records)
        for subtask in self._subtasks:
            operator = subtask.operator
            assert isinstance(operator, SourceOperator)
            if not operator.is_finished():
                operator.rows_wanted = self._rows_wanted()
                worked = operator.poll() or worked
        worked = self._answer_requests() or worked
        if len(self._recorded.records) > before:  # else a mode that restores would never see the end of the input
            self._stepped()
        return worked

    def read(self, records: int) -> list[Any]:
        """Poll until at least ``records`` more records came out, or the input ended; what came. Time passes as the
        readers want it to."""
        before = len(self._recorded.records)
        while len(self._recorded.records) - before < records and not self.is_finished():
            if not self.poll():
                due_ms = self._next_due_ms()
                if due_ms is None:
                    break
                self.advance_to(max(due_ms, self.clock.wall_ms()))
        return [record.value for record in self._recorded.records[before:]]

    def read_all(self) -> list[Any]:
        """Poll until the input ends, or nothing more comes. For bounded sources."""
        before = len(self._recorded.records)
        while self.read(1):
            pass
        return [record.value for record in self._recorded.records[before:]]

    def is_finished(self) -> bool:
        """Whether all readers came to the end of the input."""
        operators = [subtask.operator for subtask in self._subtasks]
        return all(isinstance(operator, SourceOperator) and operator.is_finished() for operator in operators)

    def snapshot(self) -> bytes:
        state: bytes = cloudpickle.dumps((self._snapshots(), self._enumerator.snapshot_state()))
        return state

    def restore(self, snapshot: bytes) -> None:
        readers, enumerator = pickle.loads(snapshot)
        self._restore_enumerator(enumerator, self.parallelism)
        self._restart(readers, self.parallelism)

    def rescale(self, parallelism: int) -> None:
        snapshots: Snapshots = self._snapshots()
        self._restore_enumerator(self._enumerator.snapshot_state(), parallelism)
        self._restart(snapshots, parallelism)

    def close(self) -> None:
        if not self._closed:
            self._enumerator.close()
        super().close()

    # -- inside -------------------------------------------------------------------------------------------------

    def _rows_wanted(self) -> int:
        """Of the next poll, as the mode cuts batches."""
        start, stop = next(self.mode.cuts(ROWS_WANTED, self._randomness))
        return stop - start

    def _restore_enumerator(self, state: Any, parallelism: int) -> None:
        state = pickle.loads(cloudpickle.dumps(state))
        self._enumerator.close()
        self._enumeration = _Enumeration(parallelism)
        self._enumerator = self._source.restore_enumerator(self._enumeration, state)
        self._enumerator.start()

    def _answer_requests(self) -> bool:
        """Hand the readers' requests to the enumerator, and what it gives out to the readers."""
        answered = False
        for index, subtask in enumerate(self._subtasks):
            events, subtask.context.sent_events = subtask.context.sent_events, []
            for event in events:
                event.reply(True, b"")
                if event.kind == REQUEST_SPLIT:
                    self._enumerator.handle_split_request(index)
        for index, kind, payload in self._enumeration.take():
            self._subtasks[index].operator.handle_event(kind, payload)
            answered = True
        return answered


class _Enumeration(EnumeratorContext):
    def __init__(self, parallelism: int) -> None:
        self.parallelism = parallelism
        self._given: list[tuple[int, str, bytes]] = []
        self._numbers = itertools.count(1)

    def assign(self, splits: list[Any], subtask: int) -> None:
        self._given.append((subtask, ADD_SPLITS, numbered(next(self._numbers), cloudpickle.dumps(splits))))

    def no_more_splits(self, subtask: int) -> None:
        self._given.append((subtask, NO_MORE_SPLITS, b""))

    def ask_later(self, subtask: int, delay_ms: int) -> None:
        self._given.append((subtask, ASK_LATER, cloudpickle.dumps(delay_ms)))

    def take(self) -> Sequence[tuple[int, str, bytes]]:
        given, self._given = self._given, []
        return given
