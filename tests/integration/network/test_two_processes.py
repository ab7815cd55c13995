"""Two real processes: a million rows through a slow consumer with bounded memory, and the death of a producer."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from millstream.core.clock import SystemClock
from millstream.core.elements import ObjectBatch, Watermark
from millstream.core.errors import ExternalError
from millstream.proto.v1 import common_pb2, taskmanager_pb2
from millstream.taskmanager.network.environment import NetworkEnvironment, NetworkSettings
from millstream.taskmanager.network.gate import InputGate
from millstream.taskmanager.network.reactor import Reactor

pytestmark = pytest.mark.integration

PRODUCER = Path(__file__).with_name("producer_process.py")
ROWS = 1_000_000
DEADLINE_S = 90.0


class Consumer:
    """This process as the consuming slot."""

    def __init__(self) -> None:
        self.reactor, self.clock = Reactor(), SystemClock()
        self.network = NetworkEnvironment(
            self.reactor,
            self.clock,
            NetworkSettings(loss_grace_s=0.1),
            host_id="host",
            unix_path=None,
            tcp_host="127.0.0.1",
        )
        self.network.listen()
        self.network.set_job("a" * 32, b"token of the job")

    def gate(self, address: common_pb2.DataAddress, consumer: int) -> InputGate:
        channel = taskmanager_pb2.ProducerChannel(producer=0, attempt=0, address=address)
        return self.network.create_gate(
            [taskmanager_pb2.InputEdge(edge_id=0, input_index=0, channels=[channel])], consumer
        )

    def until(self, condition: Callable[[], object]) -> None:
        deadline_s = self.clock.monotonic_s() + DEADLINE_S
        while not condition():
            assert self.clock.monotonic_s() < deadline_s, "not so within the deadline"
            self.reactor.poll(0.004)
            self.network.on_time(self.clock.monotonic_s())


@pytest.fixture
def consumer() -> Iterator[Consumer]:
    made = Consumer()
    yield made
    made.network.close()
    made.reactor.close()


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start_producer(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(PRODUCER), *map(str, arguments)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start_producer
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def address_of(process: subprocess.Popen[str]) -> common_pb2.DataAddress:
    assert process.stdout is not None
    word, address = process.stdout.readline().split()
    assert word == "ready"
    return common_pb2.DataAddress.FromString(bytes.fromhex(address))


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_million_rows_through_a_slow_consumer(
    consumer: Consumer, start: Callable[..., subprocess.Popen[str]], tmp_path: Path, kind: str
) -> None:
    producer = start(tmp_path / "data.sock" if kind == "unix" else "-", ROWS, 5_000)
    address = address_of(producer)
    gates = [consumer.gate(address, index) for index in range(2)]
    start_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sums, counts, last, watermarks = [0, 0], [0, 0], [-1, -1], [0, 0]
    queued_max = 0

    def read() -> bool:
        nonlocal queued_max
        for index, gate in enumerate(gates):
            # Slow: one batch a turn, and the second consumer reads only when the first has nothing.
            polled = gate.poll()
            queued_max = max(queued_max, gate.statistics().queued_buffers)
            if polled is None:
                continue
            element = polled[1]
            if isinstance(element, ObjectBatch):
                numbers = [number for _, number in element.values]
                assert last[index] < numbers[0] and numbers == sorted(numbers)
                assert numbers[0] >= watermarks[index], "a row was overtaken by its watermark"
                last[index] = numbers[-1]
                sums[index] += sum(numbers)
                counts[index] += len(numbers)
            elif isinstance(element, Watermark):
                assert element.timestamp_ms >= watermarks[index]
                watermarks[index] = element.timestamp_ms
            break
        return all(gate.all_ended() for gate in gates)

    consumer.until(read)
    assert sum(counts) == ROWS and sum(sums) == ROWS * (ROWS - 1) // 2
    assert min(counts) > ROWS // 4
    assert watermarks == [ROWS, ROWS]
    assert producer.wait(DEADLINE_S) == 0, "the producer ends once everything was taken"
    assert producer.stdout is not None
    _, queued_bytes, held_back, grown_kib = producer.stdout.read().split()
    assert int(held_back) > 0, "the producer was never slowed down"
    assert int(queued_bytes) < 2 * 1024 * 1024
    assert int(grown_kib) < 64 * 1024
    defaults = NetworkSettings()
    assert queued_max <= defaults.exclusive_buffers + defaults.floating_buffers
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start_kib < 64 * 1024
    for gate in gates:
        gate.release()
    statistics = consumer.network.statistics()
    assert statistics.buffers_free == statistics.buffers_total


def test_killed_producer_fails_its_consumers_by_name(
    consumer: Consumer, start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    killed, alive = (start(tmp_path / f"{name}.sock", ROWS, 5_000) for name in ("killed", "alive"))
    addresses = [address_of(process) for process in (killed, alive)]
    gates = [consumer.gate(address, 0) for address in addresses]
    consumer.until(lambda: all(gate.has_data() for gate in gates))
    killed.kill()
    killed.wait()
    taken = 0

    def failed() -> bool:
        nonlocal taken
        taken += 1 if gates[0].poll() is not None else 0
        return False

    with pytest.raises(ExternalError, match=f"the slot at 127.0.0.1:{addresses[0].tcp_port} was lost"):
        consumer.until(failed)
    assert taken > 0, "what had arrived is still delivered"
    assert gates[1].poll() is not None
    consumer.until(gates[1].has_data)
