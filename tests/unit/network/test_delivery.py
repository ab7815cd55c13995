"""What is emitted arrives once and in order, over references, Unix sockets and TCP, whatever the consumer's pace."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.core.elements import (
    ArrowBatch,
    Barrier,
    Element,
    EndOfData,
    LatencyMarker,
    ObjectBatch,
    Watermark,
    WatermarkStatus,
)
from millstream.proto.v1 import job_graph_pb2

PLACES = ("local", "unix", "tcp")


def pair(slots: Any, place: str, **options: Any) -> tuple[Any, Any]:
    """The producer's and the consumer's slot."""
    producer = slots.new(unix=place == "unix", **options)
    return producer, producer if place == "local" else slots.new(unix=place == "unix", **options)


@pytest.mark.parametrize("place", PLACES)
def test_every_kind_of_element_arrives(slots: Any, rows: Any, controls: Any, place: str) -> None:
    producer, consumer = pair(slots, place)
    gate = consumer.gate(producer)
    partition = producer.partition()
    partition.emit(ObjectBatch([("a", 1), ("b", 2)], np.array([5, 6], np.int64)))
    sent = [Watermark(6), WatermarkStatus(True), Barrier(3, 4, True), LatencyMarker(1, "source", 2)]
    for control in sent:
        partition.broadcast(control)
    partition.emit(ArrowBatch(pa.record_batch({"x": [1, 2]}), np.array([7, 8], np.int64), np.array([0, 3], np.int8)))
    partition.finish()
    got = slots.read(gate)
    assert rows(got) == [("a", 1), ("b", 2), {"x": 1}, {"x": 2}]
    assert controls(got) == sent
    first, last = got[0][1], got[-2][1]
    assert first.timestamps.tolist() == [5, 6]
    assert last.timestamps.tolist() == [7, 8] and last.row_kinds.tolist() == [0, 3]
    slots.until(partition.is_drained)


@pytest.mark.parametrize("place", ["unix", "tcp"])
def test_not_drained_before_the_consumer_took_the_end(slots: Any, place: str) -> None:
    """The producer's process may be killed once its task has finished."""
    producer, consumer = pair(slots, place)
    gate = consumer.gate(producer)
    partition = producer.partition()
    partition.emit(ObjectBatch([1]))
    partition.finish()
    slots.until(gate.has_data)
    slots.settle()
    assert not partition.is_drained()
    assert isinstance(gate.poll()[1], ObjectBatch)
    slots.settle()
    assert not partition.is_drained()
    assert gate.poll() == (0, EndOfData())
    slots.until(partition.is_drained)
    assert gate.all_ended() and not gate.has_data()


def test_wide_rows_that_were_cut_to_frames_come_merged_up_to_a_watermark(slots: Any, rows: Any, controls: Any) -> None:
    producer, consumer = pair(slots, "unix", segment_bytes=4096)
    gate = consumer.gate(producer)
    partition = producer.partition()
    wide = pa.record_batch({"x": list(range(40)), "text": ["t" * 200] * 40})
    partition.emit(ArrowBatch(wide))
    partition.broadcast(Watermark(6))
    partition.emit(ArrowBatch(wide.slice(0, 1)))
    partition.finish()
    slots.until(gate.has_data)
    slots.settle()
    got = slots.read(gate)
    batches = [element.num_rows for _, element in got if isinstance(element, ArrowBatch)]
    assert [row["x"] for row in rows(got)] == [*range(40), 0]
    assert batches[-1] == 1 and max(batches) > 4096 // 200
    assert controls(got) == [Watermark(6)]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(), place=st.sampled_from(PLACES), consumers=st.integers(1, 3), producers=st.integers(1, 3))
def test_exactly_once_in_order_under_random_delays(
    new_slots: Callable[[], Any], rows: Any, seed: int, place: str, consumers: int, producers: int
) -> None:
    generator = random.Random(seed)
    slots = new_slots()
    try:
        sizes = {"segment_bytes": 1024, "queue_bytes_max": 4096, "memory_bytes": 64 * 1024}
        producing, consuming = pair(slots, place, **sizes)
        partitions = [
            producing.partition(consumers, job_graph_pb2.EXCHANGE_HASH, number, key_selector=lambda v: v[1])
            for number in range(producers)
        ]
        gates = [consuming.gate(*[producing] * producers, consumer=index) for index in range(consumers)]
        got: list[list[tuple[int, Element]]] = [[] for _ in gates]
        count = [0] * producers
        target = 1500
        while not all(gate.all_ended() for gate in gates):
            for number, partition in enumerate(partitions):
                if count[number] < target and partition.is_available() and generator.random() < 0.5:
                    size = min(target - count[number], generator.choice([1, 2, 50, 200]))
                    batch = [(number, count[number] + row) for row in range(size)]
                    partition.emit(ObjectBatch(batch))
                    count[number] += size
                    if count[number] == target:
                        partition.finish()
                if generator.random() < 0.1:
                    partition.flush()
            for gate, elements in zip(gates, got, strict=True):
                if generator.random() < 0.4 and (polled := gate.poll()) is not None:
                    elements.append(polled)
            generator.choice(slots.all).turn()
        slots.until(lambda: all(partition.is_drained() for partition in partitions))
        everything = [row for elements in got for row in rows(elements)]
        assert sorted(everything) == [(number, row) for number in range(producers) for row in range(target)]
        for elements in got:
            for number in range(producers):
                channel = rows([polled for polled in elements if polled[0] == number])
                assert channel == sorted(channel) and all(row[0] == number for row in channel)
        for gate in gates:
            gate.release()
        assert consuming.network.statistics().buffers_free == consuming.network.statistics().buffers_total
    finally:
        slots.close()


@pytest.mark.parametrize("place", PLACES)
def test_slow_consumer_holds_the_producer_back(slots: Any, rows: Any, place: str) -> None:
    producer, consumer = pair(slots, place, segment_bytes=4096, queue_bytes_max=16_384, floating_buffers=8)
    gate = consumer.gate(producer)
    partition = producer.partition()
    emitted = 0
    idle = 0
    while idle < 50:
        if partition.is_available():
            partition.emit(ObjectBatch(["x" * 1000 + str(emitted)]))
            emitted += 1
            idle = 0
        else:
            idle += 1
            slots.turn()
    buffers = 2 + 8 if place != "local" else 0
    assert emitted * 1000 <= 16_384 + (buffers + 1) * 4096 + 2000
    statistics = partition.statistics()
    assert statistics.credits == 0 and statistics.queued_bytes >= 16_384
    assert gate.statistics().queued_buffers <= (buffers or 20)
    partition.finish()
    assert len(rows(slots.read(gate))) == emitted


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_row_larger_than_all_buffers_of_its_channel(slots: Any, rows: Any, compression: str) -> None:
    producer, consumer = pair(slots, "unix", segment_bytes=1024, memory_bytes=16_384, compression=compression)
    gate = consumer.gate(producer)
    partition = producer.partition()
    large = [random.Random(number).randbytes(200_000) for number in range(3)]
    for value in large:
        partition.emit(ObjectBatch([value]))
        partition.emit(ObjectBatch([b"small"]))
    partition.finish()
    slots.until(lambda: gate.statistics().queued_buffers > 0)
    slots.settle()
    assert 0 < consumer.network.statistics().assembly_bytes < 2 * 210_000, "one large batch a channel at a time"
    assert rows(slots.read(gate)) == [value for row in large for value in (row, b"small")]
    assert consumer.network.statistics().assembly_bytes == 0


def test_compression_follows_the_sender(slots: Any, rows: Any) -> None:
    producer, consumer = slots.new(compression="zstd"), slots.new(compression="lz4")
    gate = consumer.gate(producer)
    partition = producer.partition()
    partition.emit(ObjectBatch(["repeated " * 10] * 500))
    partition.finish()
    assert rows(slots.read(gate)) == ["repeated " * 10] * 500
    assert partition.statistics().bytes_out < 5_000


def test_small_batches_wait_for_more_until_the_task_is_idle(slots: Any, rows: Any) -> None:
    producer, consumer = pair(slots, "unix")
    gate = consumer.gate(producer)
    partition = producer.partition()
    slots.until(lambda: partition.statistics().credits)
    for number in range(100):
        partition.emit(ObjectBatch([number]))
    slots.settle()
    assert not gate.has_data() and partition.statistics().buffers_out == 0
    partition.flush()
    slots.until(gate.has_data)
    assert partition.statistics().buffers_out == 1
    assert gate.poll()[1].values == list(range(100))


def test_buffer_timeout_sends_without_the_task(slots: Any) -> None:
    """A task that never runs again must not keep its last rows."""
    producer, consumer = pair(slots, "unix")
    gate = consumer.gate(producer)
    partition = producer.partition(buffer_timeout_ms=100)
    slots.until(lambda: partition.statistics().credits)
    partition.emit(ObjectBatch([1]))
    assert producer.network.next_deadline() == pytest.approx(slots.clock.monotonic_s() + 0.1)
    slots.settle()
    assert not gate.has_data()
    slots.clock.advance(101)
    slots.until(gate.has_data)
    assert partition.flush_deadline() is None


def test_buffer_timeout_of_zero_sends_at_once(slots: Any) -> None:
    producer, consumer = pair(slots, "unix")
    gate = consumer.gate(producer)
    partition = producer.partition(buffer_timeout_ms=0)
    slots.until(lambda: partition.statistics().credits)
    partition.emit(ObjectBatch([1]))
    slots.until(gate.has_data)


def test_channels_of_a_gate_are_read_in_turn(slots: Any) -> None:
    producer = slots.new()
    partitions = [producer.partition(producer=number) for number in range(3)]
    gate = producer.gate(producer, producer, producer)
    for partition in partitions:
        for _ in range(3):
            partition.emit(ObjectBatch(["x" * 200_000]))  # too large to be merged
    order = [gate.poll()[0] for _ in range(9)]
    assert order == [0, 1, 2] * 3


def test_union_shares_one_gate(slots: Any, rows: Any) -> None:
    from millstream.proto.v1 import taskmanager_pb2

    producer, consumer = pair(slots, "unix")
    first, second = producer.partition(edge=0), producer.partition(edge=1)
    edges = [
        taskmanager_pb2.InputEdge(
            edge_id=edge,
            input_index=1,
            channels=[taskmanager_pb2.ProducerChannel(producer=0, attempt=0, address=producer.network.address)],
        )
        for edge in (0, 1)
    ]
    gate = consumer.network.create_gate(edges, 0)
    assert (gate.input_index, gate.num_channels) == (1, 2)
    first.emit(ObjectBatch([1]))
    second.emit(ObjectBatch([2]))
    first.finish()
    second.finish()
    got = slots.read(gate)
    assert sorted((channel, row) for channel, element in got for row in rows([(0, element)])) == [(0, 1), (1, 2)]


@pytest.mark.parametrize("dictionary", [False, True])
def test_arrow_batches_of_many_sizes(slots: Any, dictionary: bool) -> None:
    producer, consumer = pair(slots, "unix", segment_bytes=4096)
    gate = consumer.gate(producer)
    partition = producer.partition()
    sent = []
    for size in (1, 10, 5000, 1, 3):
        words = pa.array([f"word {number % 7}" for number in range(size)])
        records = pa.record_batch({"n": list(range(size)), "w": words.dictionary_encode() if dictionary else words})
        partition.emit(ArrowBatch(records.slice(0, size)))
        sent += records.to_pylist()
    partition.finish()
    got = [element for _, element in slots.read(gate) if isinstance(element, ArrowBatch)]
    assert [row for batch in got for row in batch.records.to_pylist()] == sent
    assert len(got) > 1


def test_one_connection_carries_all_channels(slots: Any) -> None:
    producer, consumer = pair(slots, "unix")
    partition = producer.partition(5, job_graph_pb2.EXCHANGE_BROADCAST)
    gates = [consumer.gate(producer, consumer=index) for index in range(5)]
    partition.broadcast(Watermark(1))
    partition.flush()
    slots.until(lambda: all(gate.has_data() for gate in gates))
    assert consumer.network.statistics().connections == producer.network.statistics().connections == 1
