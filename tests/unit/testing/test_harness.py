"""The operator harness itself: batches, time, several inputs, snapshots, and the differences it must find."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.elements.batch import Batch, ObjectBatch
from millstream.core.elements.control import MAX_WATERMARK_MS
from millstream.core.errors import InvariantViolation
from millstream.core.graph.specs import MapSpec, OperatorSpec
from millstream.core.serde import decode_value, encode_value
from millstream.taskmanager.operators.operator import Operator
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.testing import ALL_MODES, OperatorHarness, RunMode, TimedValue, run_in_all_modes


class Running(Operator):
    """Emits running sums; keeps the sum over snapshots; asks for a call after 10 ms."""

    def __init__(self, faults: str = "") -> None:
        self.total = 0
        self.faults = faults
        self.closed = 0

    def process(self, batch: Batch, input_index: int) -> None:
        assert isinstance(batch, ObjectBatch)
        if self.faults == "changes its input":
            batch.values[0] = 0
        sums = []
        for value in batch.values:
            self.total += value * (10 if input_index else 1)
            sums.append(self.total)
        if self.faults == "depends on the cut":
            self.output.emit(ObjectBatch(sums[-1:]))
            return
        self.output.emit(ObjectBatch(sums, batch.timestamps))
        self.context.schedule(self.context.clock.wall_ms() + 10)

    def on_processing_time(self, now_ms: int) -> None:
        self.output.emit_side("ticks", ObjectBatch([now_ms]))

    def finish(self) -> None:
        self.output.emit(ObjectBatch([("finished", self.total)]))

    def snapshot(self, checkpoint_id: int, full: bool = True) -> OperatorSnapshot | None:
        if self.faults == "forgets its state":
            return None
        return OperatorSnapshot(union={"total": [encode_value(self.total)]})

    def restore(self, snapshot: OperatorSnapshot) -> None:
        (self.total,) = map(decode_value, snapshot.union["total"])

    def close(self) -> None:
        self.closed += 1


def harness(mode: RunMode | None = None, faults: str = "", inputs: int = 1) -> OperatorHarness:
    return OperatorHarness(
        OperatorSpec(), key_selectors=(None,) * inputs, mode=mode, create=lambda chained: Running(faults)
    )


def push_three(under_test: OperatorHarness) -> None:
    under_test.push([1, 2, 3], [10, None, 30])
    under_test.end()


def test_records_and_times_come_out_in_every_mode() -> None:
    run = run_in_all_modes(harness, push_three)
    assert run.records == [
        TimedValue(1, 10),
        TimedValue(3, None),
        TimedValue(6, 30),
        TimedValue(("finished", 6), None),
    ]
    assert run.watermarks_ms == [MAX_WATERMARK_MS]
    assert run.metrics.records_in == 3


@pytest.mark.parametrize("faults", ["depends on the cut", "forgets its state"])
def test_a_faulty_operator_is_found_by_some_mode(faults: str) -> None:
    with pytest.raises(AssertionError, match="records in RunMode"):
        run_in_all_modes(lambda mode: harness(mode, faults), push_three)


def test_an_operator_that_changes_its_input_is_found() -> None:
    with harness(faults="changes its input") as run, pytest.raises(InvariantViolation, match="in place"):
        run.push([1])


def test_several_inputs_have_one_merged_watermark() -> None:
    with harness(inputs=2) as run:
        run.push([1], input_index=1)
        run.watermark(5, input_index=0)
        assert run.watermarks_ms == []
        run.watermark(3, input_index=1)
        run.idle(input_index=1)
        assert run.watermarks_ms == [3, 5]
        run.idle(input_index=0)
        assert run.output.statuses == [True]
        assert run.values == [10]


def test_the_clock_moves_only_when_told_and_stops_at_each_timer() -> None:
    with harness() as run:
        run.push([1])
        run.advance(4)
        run.push([1])
        run.advance(9)
        assert run.side_outputs == {"ticks": [TimedValue(10, None)]}
        run.advance(1)
        assert [tick.value for tick in run.side_outputs["ticks"]] == [10, 14]
        assert run.clock.wall_ms() == 14


def test_snapshot_and_restore_go_back_in_time() -> None:
    with harness() as run:
        run.push([1])
        earlier = run.snapshot()
        run.push([1])
        old = run.operator
        run.restore(earlier)
        assert isinstance(old, Running)
        assert old.closed == 1
        run.take()
        run.push([5])
        assert run.values == [6]


def test_close_happens_once() -> None:
    run = harness()
    operator = run.operator
    with run:
        pass
    run.close()
    assert isinstance(operator, Running)
    assert operator.closed == 1


def test_lengths_must_agree() -> None:
    with harness() as run, pytest.raises(ValueError, match="2 values but 1 timestamps"):
        run.push([1, 2], [1])


@given(st.integers(0, 200), st.integers(0, 1000), st.sampled_from(ALL_MODES))
def test_cuts_cover_all_rows_once(rows: int, seed: int, mode: RunMode) -> None:
    cuts = list(mode.cuts(rows, random.Random(seed)))
    assert [i for start, stop in cuts for i in range(start, stop)] == list(range(rows))
    assert all(start < stop for start, stop in cuts)


def test_batches_of_numpy_times_are_taken_as_they_are() -> None:
    with harness() as run:
        run.push_batch(ObjectBatch([4], np.array([7], dtype=np.int64)))
        assert run.records == [TimedValue(4, 7)]


def test_the_example_of_the_package_works() -> None:
    with OperatorHarness(MapSpec(lambda x: x + 1)) as run:
        run.push([1, 2, 3])
        assert run.values == [2, 3, 4]
