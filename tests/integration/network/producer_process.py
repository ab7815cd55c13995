"""A slot process that produces: prints its data address, then emits rows until its consumer has them all.

Arguments: Unix socket path or ``-``, number of rows, rows a batch. Prints ``ready HEX`` and at the end
``done MAX_QUEUED_BYTES TIMES_HELD_BACK PEAK_RSS_GROWTH_KIB``.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from millstream.core.clock import SystemClock
from millstream.core.elements import ObjectBatch, Watermark
from millstream.core.graph.specs import OutputPayload
from millstream.core.ids import PartitionId
from millstream.proto.v1 import job_graph_pb2, taskmanager_pb2
from millstream.taskmanager.network.environment import NetworkEnvironment, NetworkSettings
from millstream.taskmanager.network.reactor import Reactor


def main() -> None:
    path, rows, batch_rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    reactor, clock = Reactor(), SystemClock()
    network = NetworkEnvironment(
        reactor,
        clock,
        NetworkSettings(),
        host_id="host",
        unix_path=None if path == "-" else Path(path),
        tcp_host="127.0.0.1",
    )
    network.listen()
    network.set_job("a" * 32, b"token of the job")
    edge = taskmanager_pb2.OutputEdge(
        edge_id=0, exchange=job_graph_pb2.EXCHANGE_HASH, consumers=[0, 1], consumer_parallelism=2
    )
    payload = OutputPayload(0, "source", key_selector=lambda row: row[0])
    partition = network.create_partition(PartitionId(0, 0, 0), edge, payload, 0, 128, True, 100)
    print("ready", network.address.SerializeToString().hex(), flush=True)
    start_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sent, queued_max, held_back = 0, 0, 0
    while not partition.is_drained():
        if sent < rows and partition.is_available():
            stop = min(rows, sent + batch_rows)
            partition.emit(ObjectBatch([(number % 1000, number) for number in range(sent, stop)]))
            partition.broadcast(Watermark(stop))
            sent = stop
            queued_max = max(queued_max, partition.statistics().queued_bytes)
            if sent == rows:
                partition.finish()
            reactor.poll(0)
        else:
            held_back += sent < rows
            reactor.poll(0.1)
        network.on_time(clock.monotonic_s())
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start_kib
    print("done", queued_max, held_back, grown, flush=True)


if __name__ == "__main__":
    main()
