"""The queue before a consumer: merges neighbours, keeps order, knows when it is full."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.elements import ArrowBatch, Barrier, Element, EndOfData, ObjectBatch, Watermark
from millstream.taskmanager.network.coalescing import MERGED_ROWS_MAX, merge_batches
from millstream.taskmanager.network.subpartition import ELEMENTS_MAX, Subpartition

elements = st.one_of(
    st.lists(st.integers(), min_size=1, max_size=50).map(lambda v: ObjectBatch(v, np.arange(len(v), dtype=np.int64))),
    st.lists(st.integers(), min_size=1, max_size=50).map(ObjectBatch),
    st.lists(st.integers(0, 9), min_size=1, max_size=50).map(lambda v: ArrowBatch(pa.record_batch({"v": v}))),
    st.lists(st.integers(0, 9), min_size=1, max_size=50).map(lambda v: ArrowBatch(pa.record_batch({"w": v}))),
    st.integers(0, 5).map(Watermark),
    st.builds(Barrier, st.integers(0, 5), st.just(0)),
)


def flat(taken: list[Element]) -> list[object]:
    """Rows with their kind, event time and column, and controls; a run of watermarks counts as its last."""
    result: list[object] = []
    for element in taken:
        if isinstance(element, ObjectBatch):
            times = [None] * element.num_rows if element.timestamps is None else element.timestamps.tolist()
            result += zip(element.values, times, strict=True)
        elif isinstance(element, ArrowBatch):
            result += [tuple(row.items()) for row in element.records.to_pylist()]
        else:
            if isinstance(element, Watermark) and result and isinstance(result[-1], Watermark):
                result.pop()
            result.append(element)
    return result


@given(st.lists(elements, max_size=30), st.integers(64, 4000))
def test_merging_changes_no_row_and_no_order(sent: list[Element], segment: int) -> None:
    queue = Subpartition(10**9, segment)
    for element in sent:
        queue.add(element)
    taken: list[Element] = []
    while (element := queue.take()) is not None:
        taken.append(element)
    assert flat(taken) == flat(sent)
    assert queue.queued_bytes == 0 and queue.backlog() == 0 and not queue.is_worth_sending()


def test_small_batches_come_merged_up_to_a_segment() -> None:
    queue = Subpartition(10**9, 1000)
    for value in range(500):
        queue.add(ObjectBatch([value]))
    sizes = []
    while (batch := queue.take()) is not None:
        sizes.append(batch.num_rows)  # type: ignore[union-attr]
    assert sum(sizes) == 500 and len(sizes) < 30
    assert max(sizes) < 120, "a merged batch should fit a segment"


def test_merged_batches_keep_keys_and_event_times() -> None:
    times = np.array([1], np.int64)
    merged = merge_batches([ObjectBatch([1], times, ["a"]), ObjectBatch([2], times, ["b"])])
    assert isinstance(merged, ObjectBatch) and merged.keys == ["a", "b"] and merged.timestamps is not None
    assert merged.timestamps.tolist() == [1, 1]
    partly = merge_batches([ObjectBatch([1], None, ["a"]), ObjectBatch([2])])
    assert isinstance(partly, ObjectBatch) and partly.keys is None


def test_merged_arrow_batches_keep_row_kinds() -> None:
    parts = [ArrowBatch(pa.record_batch({"v": [kind]}), None, np.array([kind], np.int8)) for kind in (0, 3)]
    merged = merge_batches(list(parts))
    assert isinstance(merged, ArrowBatch) and merged.row_kinds is not None
    assert merged.row_kinds.tolist() == [0, 3] and merged.records.column("v").to_pylist() == [0, 3]


def test_rows_are_bounded_when_merged() -> None:
    queue = Subpartition(10**9, 10**8)
    for _ in range(3):
        queue.add(ObjectBatch([0] * (MERGED_ROWS_MAX // 2)))
    first = queue.take()
    assert isinstance(first, ObjectBatch) and first.num_rows == MERGED_ROWS_MAX


def test_full_by_bytes_or_by_elements() -> None:
    by_bytes = Subpartition(1000, 100)
    by_bytes.add(ObjectBatch(["x" * 2000]))
    assert by_bytes.is_full()
    by_elements = Subpartition(10**9, 10**8)
    for number in range(ELEMENTS_MAX):
        assert not by_elements.is_full()
        by_elements.add(Barrier(number, 0))
    assert by_elements.is_full() and by_elements.is_worth_sending()


def test_barriers_and_the_end_do_not_wait_for_more_rows() -> None:
    for urgent in (Barrier(1, 0), EndOfData()):
        queue = Subpartition(10**9, 10**6)
        queue.add(ObjectBatch([1]))
        queue.add(Watermark(1))
        assert not queue.is_worth_sending()
        queue.add(urgent)
        assert queue.is_worth_sending()


def test_drained_queue_drops_what_follows() -> None:
    queue = Subpartition(100, 100)
    queue.add(ObjectBatch(["x" * 1000]))
    queue.drain()
    assert queue.drained and queue.take() is None and not queue.is_full()
    queue.add(ObjectBatch([1]))
    assert queue.queued_elements == 0
