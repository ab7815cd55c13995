"""Late producers, early consumers, cancellation, lost peers: who is told what, and when. Time is driven by hand."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from millstream.core.elements import EndOfData, ObjectBatch
from millstream.core.errors import (
    AuthenticationError,
    ConfigError,
    ExternalError,
    InvariantViolation,
    MillstreamError,
    ProtocolVersionError,
    RecordTypeError,
    UnavailableError,
)
from millstream.core.serde import NoTypedEncoding
from millstream.proto.v1 import job_graph_pb2
from millstream.taskmanager.network import handshake
from millstream.taskmanager.network.environment import NetworkSettings


@pytest.mark.parametrize("place", ["local", "remote"])
def test_consumer_waits_for_a_late_partition(slots: Any, rows: Any, place: str) -> None:
    producer = slots.new()
    consumer = producer if place == "local" else slots.new()
    gate = consumer.gate(producer)
    slots.settle()
    assert producer.network.statistics().waiting_consumers == 1
    slots.clock.advance(59_900)
    slots.settle()
    partition = producer.partition()
    partition.emit(ObjectBatch([1]))
    partition.finish()
    assert rows(slots.read(gate)) == [1]
    slots.clock.advance(60_000)
    slots.settle()
    assert producer.network.statistics().waiting_consumers == 0


@pytest.mark.parametrize("place", ["local", "remote"])
def test_partition_that_never_comes_is_named(slots: Any, place: str) -> None:
    producer = slots.new()
    consumer = producer if place == "local" else slots.new()
    gate = consumer.gate(producer)
    slots.settle()
    slots.clock.advance(60_001)
    slots.until(gate.has_data)
    with pytest.raises(ExternalError, match=r"edge-0/0#0.*was not there within 60 s"):
        gate.poll()
    with pytest.raises(ExternalError):
        gate.poll()  # a failure stays


def test_second_reader_and_unknown_consumer_are_refused(slots: Any) -> None:
    producer, consumer = slots.new(), slots.new()
    producer.partition()
    first = consumer.gate(producer)
    slots.settle()
    second, stranger = consumer.gate(producer), consumer.gate(producer, consumer=7)
    slots.until(lambda: second.has_data() and stranger.has_data())
    with pytest.raises(UnavailableError, match="being read already"):
        second.poll()
    with pytest.raises(UnavailableError, match="no such consumer"):
        stranger.poll()
    assert not first.has_data()


@pytest.mark.parametrize("place", ["local", "remote"])
@pytest.mark.parametrize("when", ["before the partition", "after"])
def test_consumer_that_leaves_frees_the_producer(slots: Any, place: str, when: str) -> None:
    """Cancellation never hangs: nobody waits for one who is gone."""
    producer = slots.new(segment_bytes=1024, queue_bytes_max=2048)
    consumer = producer if place == "local" else slots.new(segment_bytes=1024)
    gate = consumer.gate(producer)
    slots.settle()
    if when == "before the partition":
        gate.release()
        slots.settle()
    partition = producer.partition()
    slots.settle()
    while partition.is_available() and when == "after":
        partition.emit(ObjectBatch(["x" * 500]))
        slots.turn()
    gate.release()
    gate.release()
    slots.settle()
    assert partition.is_available() and partition.is_drained()
    partition.emit(ObjectBatch([1]))
    assert partition.statistics().queued_buffers == 0
    statistics = consumer.network.statistics()
    assert statistics.buffers_free == statistics.buffers_total


@pytest.mark.parametrize("place", ["local", "remote"])
def test_producer_that_ends_early_fails_its_consumers_after_the_grace(slots: Any, place: str) -> None:
    producer = slots.new()
    consumer = producer if place == "local" else slots.new()
    partition, ended, other = (producer.partition(edge=edge) for edge in (0, 1, 2))
    unfinished, finished, unaffected = (consumer.gate(producer, edge=edge) for edge in (0, 1, 2))
    ended.finish()
    slots.until(finished.has_data)
    assert finished.poll() == (0, EndOfData())
    slots.settle()
    for released in (partition, partition, ended):
        producer.network.release_partition(released)
    slots.settle()
    assert not unfinished.has_data(), "the cause should reach the JobManager first"
    slots.clock.advance(1_001)
    slots.settle()
    with pytest.raises(ExternalError, match=r"edge-0/0#0 ended before its data was taken"):
        unfinished.poll()
    assert not finished.has_data() and finished.all_ended()
    assert not unaffected.has_data() and other.failure is None


def test_lost_producer_fails_exactly_its_channels_and_is_named(slots: Any) -> None:
    lost, alive, consumer = slots.new(), slots.new(), slots.new()
    partitions = [lost.partition(producer=0), alive.partition(producer=1)]
    gate = consumer.gate(lost, alive)
    untouched = consumer.gate(alive, alive, edge=1)
    slots.settle()
    partitions[0].emit(ObjectBatch(["before the loss"]))
    partitions[0].flush()
    slots.until(gate.has_data)
    lost.close()
    slots.all.remove(lost)
    slots.settle()
    assert gate.poll()[1].values == ["before the loss"]
    assert gate.poll() is None, "the cause should reach the JobManager first"
    slots.clock.advance(1_001)
    slots.settle()
    with pytest.raises(ExternalError, match=f"the slot at 127.0.0.1:{lost.network.address.tcp_port} was lost"):
        gate.poll()
    assert not untouched.has_data() and partitions[1].failure is None


def test_lost_consumer_fails_exactly_its_partitions(slots: Any) -> None:
    producer, lost, alive = slots.new(), slots.new(), slots.new()
    failing, well = producer.partition(edge=0), producer.partition(edge=1)
    lost.gate(producer, edge=0)
    gate = alive.gate(producer, edge=1)
    slots.settle()
    lost.close()
    slots.all.remove(lost)
    slots.settle()
    assert failing.failure is None
    slots.clock.advance(1_001)
    slots.settle()
    assert isinstance(failing.failure, ExternalError) and "edge-0/0#0" in str(failing.failure)
    assert well.failure is None
    well.finish()
    slots.until(gate.has_data)


def test_consumer_that_took_everything_may_vanish(slots: Any) -> None:
    producer, consumer = slots.new(), slots.new()
    partition = producer.partition()
    gate = consumer.gate(producer)
    partition.finish()
    slots.until(gate.has_data)
    gate.poll()
    consumer.close()
    slots.all.remove(consumer)
    slots.until(partition.is_drained)
    slots.clock.advance(2_000)
    slots.settle()
    assert partition.failure is None


def test_dialling_goes_on_until_the_slot_listens(slots: Any, rows: Any) -> None:
    producer, consumer = slots.new(unix=False), slots.new()
    producer.network._listener.close()
    gate = consumer.gate(producer)
    for _ in range(5):
        slots.clock.advance(500)
        slots.settle()
    assert not gate.has_data()
    producer.network.listen()  # on the port it had before
    partition = producer.partition()
    partition.emit(ObjectBatch([1]))
    partition.finish()
    slots.clock.advance(1_000)
    assert rows(slots.read(gate)) == [1]


def test_slot_that_never_listens_is_named(slots: Any) -> None:
    producer, consumer = slots.new(unix=False), slots.new()
    producer.network._listener.close()
    gate = consumer.gate(producer)
    for _ in range(130):
        slots.clock.advance(500)
        slots.settle()
    with pytest.raises(UnavailableError, match=f"127.0.0.1:{producer.network.address.tcp_port}"):
        gate.poll()
    assert consumer.network.statistics().connections == 0
    assert consumer.network.next_deadline() is None


def test_consumer_deployed_before_the_producers_slot_has_its_job(slots: Any, rows: Any) -> None:
    producer, consumer = slots.new(job=False), slots.new()
    gate = consumer.gate(producer)
    slots.settle()
    slots.clock.advance(5_000)
    slots.settle()
    producer.network.set_job("a" * 32, b"token of the job")
    partition = producer.partition()
    partition.emit(ObjectBatch([1]))
    partition.finish()
    assert rows(slots.read(gate)) == [1]


def test_wrong_token_fails_the_consumer_and_is_logged(slots: Any, caplog: pytest.LogCaptureFixture) -> None:
    producer, consumer = slots.new(), slots.new(token=b"another token")
    producer.partition()
    gate = consumer.gate(producer)
    slots.until(gate.has_data)
    with pytest.raises(AuthenticationError, match="does not know the job's token"):
        gate.poll()
    slots.settle()
    logged = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(logged) == 1 and "before it authenticated" in logged[0].getMessage()


def test_other_version_names_both(slots: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    producer, consumer = slots.new(), slots.new()
    gate = consumer.gate(producer)  # says hello as version 1
    monkeypatch.setattr(handshake, "VERSION", 2)
    for _ in range(5):
        producer.turn()
    monkeypatch.undo()
    slots.until(gate.has_data)
    with pytest.raises(ProtocolVersionError, match="version 2, this process version 1"):
        gate.poll()


def test_record_that_cannot_travel_fails_its_producer(slots: Any) -> None:
    producer, consumer = slots.new(), slots.new()
    typed, generic = producer.partition(edge=0, generic_types=False), producer.partition(edge=1)
    gates = [consumer.gate(producer, edge=edge) for edge in (0, 1)]
    slots.settle()
    typed.emit(ObjectBatch([object()]))
    generic.emit(ObjectBatch([(number for number in range(3))]))
    typed.flush()
    generic.flush()
    assert isinstance(typed.failure, NoTypedEncoding)
    assert isinstance(generic.failure, RecordTypeError)
    slots.settle()
    slots.clock.advance(1_001)
    slots.settle()
    for gate in gates:
        with pytest.raises(MillstreamError):
            gate.poll()


def test_nothing_follows_the_end(slots: Any) -> None:
    partition = slots.new().partition()
    partition.finish()
    partition.finish()
    with pytest.raises(InvariantViolation, match="after its end"):
        partition.emit(ObjectBatch([1]))


def test_too_many_channels_for_the_memory(slots: Any) -> None:
    producer, consumer = slots.new(), slots.new(segment_bytes=1024, memory_bytes=4096)
    with pytest.raises(ConfigError, match=r"taskmanager\.memory\.network\.size"):
        consumer.gate(producer, producer, producer)


@pytest.mark.parametrize(
    "settings",
    [{"segment_bytes": 10}, {"exclusive_buffers": 0}, {"floating_buffers": -1}, {"memory_bytes": 1000}],
)
def test_settings_that_cannot_work(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=r"taskmanager\.(memory|network)"):
        NetworkSettings(**settings)  # type: ignore[arg-type]


def test_unknown_codec() -> None:
    from millstream.taskmanager.network.compression import Compression

    with pytest.raises(ConfigError, match="choose none, lz4 or zstd"):
        Compression("gzip", 1)


def test_port_in_use_is_named(slots: Any) -> None:
    from millstream.taskmanager.network.listener import Listener

    taken = slots.new()
    port = taken.network.address.tcp_port
    listener = Listener(
        taken.reactor, lambda sock, peer: None, None, "127.0.0.1", port, logging.getLogger("millstream.network")
    )
    with pytest.raises(ExternalError, match=str(port)):
        listener.listen()


@pytest.mark.parametrize(
    ("exchange", "in_turn"),
    [
        (job_graph_pb2.EXCHANGE_FORWARD, True),
        (job_graph_pb2.EXCHANGE_RESCALE, True),
        (job_graph_pb2.EXCHANGE_REBALANCE, False),
        (job_graph_pb2.EXCHANGE_BROADCAST, False),
    ],
)
def test_nothing_is_overtaken_where_a_subtask_sends_to_some_consumers_only(
    slots: Any, exchange: job_graph_pb2.Exchange, in_turn: bool
) -> None:
    slot = slots.new()
    assert slot.partition(2, exchange).in_turn is in_turn
    assert slot.gate(slot, slot, edge=1, exchange=exchange).in_turn == (frozenset({0, 1}) if in_turn else frozenset())
