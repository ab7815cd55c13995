"""The queries that fit Bytewax's operators, over the same files; prints a line of JSON for each.

    python bytewax_nexmark.py DATA q0 q1 ...   (with an environment that has bytewax, orjson and psutil)

Two processes of one worker each, a file of the table each; a snapshot every 10 s; a sink that keeps nothing. Records
are dicts, as Bytewax's own examples have them. What is measured is the whole command, as Bytewax has no cluster to
submit to.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import bytewax.operators as op
import bytewax.operators.windowing as win
import orjson
from bytewax.connectors.files import DirSource
from bytewax.dataflow import Dataflow, Stream
from bytewax.outputs import DynamicSink, StatelessSinkPartition

Record = dict[str, Any]


class Discard(StatelessSinkPartition[Any]):
    def write_batch(self, items: list[Any]) -> None:
        pass


class DiscardSink(DynamicSink[Any]):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> Discard:
        return Discard()


def event_time(bid: Record) -> datetime:
    return datetime.fromisoformat(bid["dateTime"]).replace(tzinfo=UTC)


def q0(bids: Stream[Record]) -> Stream[Any]:
    return op.map("select", bids, lambda b: (b["auction"], b["bidder"], b["price"], b["dateTime"], b["extra"]))


def q1(bids: Stream[Record]) -> Stream[Any]:
    return op.map("euros", bids, lambda b: (b["auction"], b["bidder"], 0.908 * b["price"], b["dateTime"], b["extra"]))


def q2(bids: Stream[Record]) -> Stream[Any]:
    some = op.filter("some", bids, lambda b: b["auction"] % 123 == 0)
    return op.map("select", some, lambda b: (b["auction"], b["price"]))


def q11(bids: Stream[Record]) -> Stream[Any]:
    clock: win.EventClock[tuple[str, Record]] = win.EventClock(
        event_time, wait_for_system_duration=timedelta(seconds=4)
    )
    keyed = op.key_on("bidder", bids, lambda b: str(b["bidder"]))
    windower = win.SessionWindower(gap=timedelta(seconds=10))
    return win.fold_window(
        "count", keyed, clock, windower, int, lambda count, _: count + 1, lambda one, other: one + other
    ).down


Statistics = tuple[int, int, int, int, int, int, int]
_EMPTY: Final[Statistics] = (0, 0, 0, 0, 1 << 62, 0, 0)


def q17(bids: Stream[Record]) -> Stream[Any]:
    def add(kept: Statistics | None, price: int) -> tuple[Statistics, Statistics]:
        total, low, middle, high, least, most, summed = kept or _EMPTY
        rank = (price >= 10_000) + (price >= 1_000_000)
        new = (total + 1, low + (rank == 0), middle + (rank == 1), high + (rank == 2))
        statistics = (*new, min(least, price), max(most, price), summed + price)
        return statistics, statistics

    keyed = op.map("day", bids, lambda b: (f"{b['auction']} {b['dateTime'][:10]}", b["price"]))
    return op.stateful_map("statistics", keyed, add)


QUERIES: Final = {"q0": q0, "q1": q1, "q2": q2, "q11": q11, "q17": q17}


def flow(directory: str, query: str) -> Dataflow:
    dataflow = Dataflow(query)
    lines = op.input("lines", dataflow, DirSource(Path(directory) / "bid", "*.json", batch_size=1000))
    op.output("discard", QUERIES[query](op.map("parse", lines, orjson.loads)), DiscardSink())
    return dataflow


def main() -> None:
    # Not needed where a worker imports ``flow``.
    import psutil

    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from measuring import Usage

    directory = str(Path(sys.argv[1]).resolve())
    for query in (query for query in sys.argv[2:] if query in QUERIES):
        with tempfile.TemporaryDirectory() as snapshots, Usage([psutil.Process()]) as usage:
            subprocess.run([sys.executable, "-m", "bytewax.recovery", snapshots, "2"], check=True)
            start = time.perf_counter()
            command = [sys.executable, "-m", "bytewax.testing", "-p2", "-r", snapshots, "-s10", "-b0"]
            text = f"{Path(__file__).stem}:flow({directory!r}, {query!r})"
            subprocess.run([*command, text], check=True, cwd=Path(__file__).parent)
            seconds = time.perf_counter() - start
        figures = {"seconds": seconds, "cpu_s": usage.cpu_s, "peak_mb": usage.peak_mb}
        print(json.dumps({"engine": "bytewax", "query": query, **figures}), flush=True)


if __name__ == "__main__":
    main()
