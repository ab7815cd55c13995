"""Where records go: every partitioner loses nothing, keeps the order for each consumer, and obeys its own rule."""

from __future__ import annotations

import random
from collections import Counter
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.elements import ArrowBatch, Batch, ObjectBatch
from millstream.core.errors import InvariantViolation, RecordTypeError, UserCodeError
from millstream.core.graph.specs import OutputPayload
from millstream.core.keys import key_group, subtask_of_key_group
from millstream.proto.v1 import job_graph_pb2, taskmanager_pb2
from millstream.taskmanager.network.exchange import create_partitioner
from millstream.taskmanager.network.partitioners import (
    ByFunction,
    ByKey,
    Partitioner,
    RoundRobin,
    Shuffle,
    ToAll,
    ToOne,
)

batches = st.lists(st.lists(st.integers(-50, 50), min_size=1, max_size=60), min_size=1, max_size=6)
consumers = st.integers(1, 7)


def object_batch(values: list[int]) -> ObjectBatch:
    return ObjectBatch(values, np.array([value * 10 for value in values], np.int64))


def arrow_batch(values: list[int]) -> ArrowBatch:
    return ArrowBatch(pa.record_batch({"v": pa.array(values, pa.int64())}), np.array(values, np.int64) * 10)


def values_of(batch: Batch) -> list[int]:
    return batch.values if isinstance(batch, ObjectBatch) else batch.records.column("v").to_pylist()


def route_all(partitioner: Partitioner, given: list[Batch], count: int) -> list[list[int]]:
    """What each consumer gets; event times are checked to have come along."""
    got: list[list[int]] = [[] for _ in range(count)]
    for batch in given:
        for position, part in partitioner.route(batch):
            assert 0 <= position < count
            assert part.num_rows > 0
            assert part.timestamps is not None
            values = values_of(part)
            assert part.timestamps.tolist() == [value * 10 for value in values]
            got[position] += values
    return got


def as_batches(lists: list[list[int]], columnar: bool) -> list[Batch]:
    return [arrow_batch(values) if columnar else object_batch(values) for values in lists]


def assert_in_order(got: list[int], sent: list[int]) -> None:
    """``got`` is a subsequence of ``sent``."""
    rest = iter(sent)
    assert all(value in rest for value in got)


@given(batches, consumers, st.booleans(), st.integers(0, 10))
def test_everything_arrives_once_and_in_order(lists: list[list[int]], count: int, columnar: bool, subtask: int) -> None:
    sent = [value for values in lists for value in values]
    partitioners: list[Partitioner] = [
        ToOne(),
        RoundRobin(count, subtask),
        Shuffle(count, random.Random(subtask)),
        ByKey(lambda v: v["v"] if columnar else v, 128, count),
        ByFunction(lambda key, n: key % n, lambda v: v["v"] if columnar else v, count),
    ]
    for partitioner in partitioners:
        got = route_all(partitioner, as_batches(lists, columnar), count)
        assert Counter(value for values in got for value in values) == Counter(sent)
        for values in got:
            assert_in_order(values, sent)


@given(batches, consumers)
def test_broadcast_reaches_all(lists: list[list[int]], count: int) -> None:
    sent = [value for values in lists for value in values]
    assert route_all(ToAll(count), as_batches(lists, False), count) == [sent] * count


@given(batches, consumers, st.integers(0, 10))
def test_rebalance_shares_differ_by_one_record(lists: list[list[int]], count: int, start: int) -> None:
    sizes = [len(values) for values in route_all(RoundRobin(count, start), as_batches(lists, False), count)]
    assert max(sizes) - min(sizes) <= 1


@given(batches, consumers, st.integers(1, 300))
def test_keys_go_to_the_owner_of_their_group(lists: list[list[int]], count: int, groups: int) -> None:
    groups = max(groups, count)
    got = route_all(ByKey(lambda value: value % 7, groups, count), as_batches(lists, False), count)
    for position, values in enumerate(got):
        for value in values:
            assert subtask_of_key_group(key_group(value % 7, groups), groups, count) == position


@given(st.lists(st.text(max_size=4), min_size=1, max_size=40), consumers)
def test_columnar_and_object_batches_agree_on_the_owner(keys: list[str], count: int) -> None:
    columnar = ByKey(itemgetter("k"), 128, count)
    objects = ByKey(lambda row: row["k"], 128, count)
    batch = ArrowBatch(pa.record_batch({"k": keys}))
    by_column = {pos: part.records.to_pylist() for pos, part in columnar.route(batch)}  # type: ignore[union-attr]
    by_value = {pos: part.values for pos, part in objects.route(ObjectBatch(batch.records.to_pylist()))}  # type: ignore[union-attr]
    assert by_column == by_value


@given(st.lists(st.integers(), min_size=1, max_size=40), consumers)
def test_object_batches_carry_fresh_keys(values: list[int], count: int) -> None:
    """Keys of an earlier key_by must not survive."""
    stale = ObjectBatch(values, None, ["stale"] * len(values))
    for _, part in ByKey(lambda value: value % 5, 128, count).route(stale):
        assert isinstance(part, ObjectBatch)
        assert part.keys == [value % 5 for value in part.values]
    assert stale.keys == ["stale"] * len(values), "a batch that others may hold was changed"


def test_shuffle_is_even_and_repeatable() -> None:
    batch = object_batch(list(range(10_000)))
    first = route_all(Shuffle(4, random.Random(1)), [batch], 4)
    assert first == route_all(Shuffle(4, random.Random(1)), [batch], 4)
    assert first != route_all(Shuffle(4, random.Random(2)), [batch], 4)
    assert all(2_200 < len(values) < 2_800 for values in first)


def test_key_selector_that_raises_names_line_and_record() -> None:
    def select(row: dict[str, int]) -> int:
        return row["missing"]

    with pytest.raises(UserCodeError, match=r"key selector .*select failed.*'present': 2") as caught:
        ByKey(select, 128, 2).route(ObjectBatch([{"missing": 1}, {"present": 2}]))
    assert caught.value.place.line == select.__code__.co_firstlineno + 1
    assert caught.value.place.file == __file__


def test_custom_partitioner_that_raises_or_strays() -> None:
    def raising(key: int, count: int) -> int:
        return key // 0

    with pytest.raises(UserCodeError, match=r"custom partitioner .*raising failed"):
        ByFunction(raising, None, 3).route(ObjectBatch([1]))
    for stray in (3, -1, "0", 1.0):
        with pytest.raises(RecordTypeError, match="must return an int from 0 to 2"):
            ByFunction(lambda key, count, stray=stray: stray, None, 3).route(ObjectBatch([1]))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("exchange", "kind"),
    [
        (job_graph_pb2.EXCHANGE_FORWARD, ToOne),
        (job_graph_pb2.EXCHANGE_GLOBAL, ToOne),
        (job_graph_pb2.EXCHANGE_HASH, ByKey),
        (job_graph_pb2.EXCHANGE_REBALANCE, RoundRobin),
        (job_graph_pb2.EXCHANGE_RESCALE, RoundRobin),
        (job_graph_pb2.EXCHANGE_SHUFFLE, Shuffle),
        (job_graph_pb2.EXCHANGE_BROADCAST, ToAll),
        (job_graph_pb2.EXCHANGE_CUSTOM, ByFunction),
    ],
)
def test_every_exchange_has_its_partitioner(exchange: int, kind: type) -> None:
    edge = taskmanager_pb2.OutputEdge(edge_id=1, exchange=exchange, consumers=[0, 1])
    payload = OutputPayload(1, "operator", key_selector=lambda v: v, custom_partitioner=lambda key, n: 0)
    assert isinstance(create_partitioner(edge, payload, 0, 128, random.Random(0)), kind)


def test_edges_without_their_functions_are_refused() -> None:
    for exchange in (job_graph_pb2.EXCHANGE_HASH, job_graph_pb2.EXCHANGE_CUSTOM, job_graph_pb2.EXCHANGE_UNSPECIFIED):
        edge = taskmanager_pb2.OutputEdge(edge_id=1, exchange=exchange, consumers=[0, 1])
        with pytest.raises(InvariantViolation, match="edge 1"):
            create_partitioner(edge, OutputPayload(1, "operator"), 0, 128, random.Random(0))
