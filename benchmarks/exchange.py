"""Exchange of Arrow batches between two slot processes, beside a bare socket of the same kind and frame size.

Run: ``python benchmarks/exchange.py [--megabytes 1000] [--rounds 5]``. Rounds of all alternate in one run and the
medians are compared, since a busy machine slows all. The producer emits record batches of the size that fills a frame
(``--batch-kib`` changes it), the consumer polls and counts rows. The bare pair sends the same number of bytes with
``sendall`` and ``recv_into``, in two forms: *hot* sends and receives one frame's memory over and over, which never
leaves the processor's cache; *fresh* uses 16 MiB of memory on each side in turn, as the frames of a stream do.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

from millstream.core.clock import SystemClock
from millstream.core.elements.batch import ArrowBatch
from millstream.core.elements.control import EndOfData
from millstream.core.graph.specs import OutputPayload
from millstream.core.ids import PartitionId
from millstream.proto.v1 import common_pb2, job_graph_pb2, taskmanager_pb2
from millstream.taskmanager.network.environment import NetworkEnvironment, NetworkSettings
from millstream.taskmanager.network.reactor import Reactor

JOB_ID = "0" * 32
TOKEN = b"token of the benchmark"
ROW_BYTES = 106
FRESH_BYTES = 16 * 1024 * 1024


def bids(rows: int) -> ArrowBatch:
    """Bids of about ``ROW_BYTES`` bytes."""
    generator = np.random.default_rng(7)
    records = pa.record_batch(
        {
            "auction": generator.integers(0, 1_000_000, rows),
            "bidder": generator.integers(0, 1_000_000, rows),
            "price": generator.random(rows),
            "channel": [f"channel-{number:012d}" for number in range(rows)],
            "url": [f"https://www.example.org/item/{number:020d}" for number in range(rows)],
        }
    )
    return ArrowBatch(records, np.arange(rows, dtype=np.int64))


def forked(child: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            child()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def bare(kind: str, frame_bytes: int, total_bytes: int, memory_bytes: int) -> float:
    """Megabytes a second through a connected pair of sockets, frame by frame, in ``memory_bytes`` of memory a side."""
    if kind == "unix":
        near, far = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as server:
            near = socket.create_connection(server.getsockname())
            far, _ = server.accept()
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    slots = max(1, memory_bytes // frame_bytes)
    frames = total_bytes // frame_bytes

    def send() -> None:
        near.close()
        memory = [bytes([slot % 256]) * frame_bytes for slot in range(slots)]
        for number in range(frames):
            far.sendall(memory[number % slots])
        far.close()

    pid = forked(send)
    far.close()
    memory = [memoryview(bytearray(frame_bytes)) for _ in range(slots)]
    start = time.perf_counter()
    for number in range(frames):
        rest = memory[number % slots]
        while rest:
            rest = rest[near.recv_into(rest) :]
    elapsed = time.perf_counter() - start
    near.close()
    os.waitpid(pid, 0)
    return frames * frame_bytes / elapsed / 1e6


def environment(directory: Path | None, name: str, settings: NetworkSettings) -> tuple[Reactor, NetworkEnvironment]:
    reactor = Reactor()
    unix_path = None if directory is None else directory / name
    network = NetworkEnvironment(
        reactor, SystemClock(), settings, host_id="host", unix_path=unix_path, tcp_host="127.0.0.1"
    )
    network.listen()
    network.set_job(JOB_ID, TOKEN)
    return reactor, network


def produce(
    reactor: Reactor, network: NetworkEnvironment, batch: ArrowBatch, total_bytes: int, frame_bytes: int
) -> None:
    edge = taskmanager_pb2.OutputEdge(
        edge_id=0, exchange=job_graph_pb2.EXCHANGE_FORWARD, consumers=[0], consumer_parallelism=1
    )
    partition = network.create_partition(PartitionId(0, 0, 0), edge, OutputPayload(0, ""), 0, 128, True, 100)
    batches = max(1, total_bytes // batch.estimated_bytes())
    sent = 0
    while not partition.is_drained():
        if partition.is_available() and sent < batches:
            partition.emit(batch)
            sent += 1
            if sent == batches:
                partition.finish()
        reactor.poll(0.0 if partition.is_available() and sent < batches else 1.0)
        network.on_time(0.0)


def exchange(kind: str, settings: NetworkSettings, batch: ArrowBatch, total_bytes: int) -> tuple[float, float]:
    """``(megabytes, million rows)`` a second from ``emit`` in one process to ``poll`` in another."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) if kind == "unix" else None
        reading, writing = os.pipe()

        def run_producer() -> None:
            reactor, network = environment(place, "producer", settings)
            os.write(writing, network.address.SerializeToString())
            produce(reactor, network, batch, total_bytes, settings.segment_bytes)

        pid = forked(run_producer)
        os.close(writing)
        address = common_pb2.DataAddress.FromString(os.read(reading, 4096))
        reactor, network = environment(place, "consumer", settings)
        channel = taskmanager_pb2.ProducerChannel(producer=0, attempt=0, address=address)
        gate = network.create_gate([taskmanager_pb2.InputEdge(edge_id=0, input_index=0, channels=[channel])], 0)
        rows = 0
        start = time.perf_counter()
        ended = False
        while not ended:
            while (polled := gate.poll()) is not None:
                if isinstance(polled[1], EndOfData):
                    ended = True
                else:
                    rows += polled[1].num_rows
            reactor.poll(0.0 if ended else 5.0)
        elapsed = time.perf_counter() - start
        os.waitpid(pid, 0)
        os.close(reading)
        megabytes = gate.statistics().bytes_in / 1e6
        network.release_gate(gate)
        network.close()
        reactor.close()
        return megabytes / elapsed, rows / elapsed / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--segment-kib", type=int, default=NetworkSettings.segment_bytes // 1024)
    parser.add_argument("--batch-kib", type=int, default=0, help="size of the emitted batches; 0: one frame")
    arguments = parser.parse_args()
    settings = NetworkSettings(segment_bytes=arguments.segment_kib * 1024)
    frame_bytes = settings.segment_bytes
    batch_bytes = arguments.batch_kib * 1024 or frame_bytes * 9 // 10
    batch = bids(batch_bytes // ROW_BYTES)
    total_bytes = arguments.megabytes * 1_000_000
    print(
        f"frames of {frame_bytes // 1024} KiB, batches of {batch.num_rows} rows, medians of {arguments.rounds} rounds"
    )
    for kind in ("unix", "tcp"):
        hot: list[float] = []
        fresh: list[float] = []
        exchanged: list[float] = []
        rows: list[float] = []
        for _ in range(arguments.rounds):
            hot.append(bare(kind, frame_bytes, total_bytes, 0))
            fresh.append(bare(kind, frame_bytes, total_bytes, FRESH_BYTES))
            megabytes, million_rows = exchange(kind, settings, batch, total_bytes)
            exchanged.append(megabytes)
            rows.append(million_rows)
        rate, hot_rate, fresh_rate = map(statistics.median, (exchanged, hot, fresh))
        print(
            f"{kind}: exchange {rate:.0f} MB/s ({statistics.median(rows):.1f} M rows/s); "
            f"bare, fresh memory {fresh_rate:.0f} MB/s, ratio {rate / fresh_rate:.2f}; "
            f"bare, hot memory {hot_rate:.0f} MB/s, ratio {rate / hot_rate:.2f}"
        )


if __name__ == "__main__":
    main()
