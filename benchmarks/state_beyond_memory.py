"""Joins and top-n whose state grows without end, in memory and with RocksDB: peak memory, and rows a second.

    python benchmarks/state_beyond_memory.py [case ...] [--rows 2000000] [--managed 64] [--checkpoints]

Each case runs in a process of its own, one operator without an exchange. Rows are made batch by batch and forgotten.
With ``--checkpoints`` a checkpoint is taken after every tenth of the rows, the first in full.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from table_joins import Counting, Steps, _joined, _row, _texts

from millstream.core.checkpoint.storage import LocalStorage
from millstream.core.clock import ManualClock
from millstream.core.elements.batch import ArrowBatch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table.specs import JoinInput, JoinKind, JoinSpec, RankSpec, SortKey
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.operators.table.joins.regular import JoinOperator
from millstream.taskmanager.operators.table.rank import RankOperator
from millstream.taskmanager.state.state_writer import StateWriter
from millstream.testing.context import HarnessContext

BATCH_ROWS: Final = 8192
_LEFT = _row("id:b item:s description:s seller:b expires:t")
_RIGHT = _row("id:b bidder:b price:b channel:s url:s extra:s")


def join(first: int, rows: int, recent: bool, extra_bytes: int = 40) -> Steps:
    """Half the rows are of either side. Partners are among the last 100,000 rows, or any of those before."""
    random = np.random.default_rng(first)
    half = rows // 2
    ids = first // 2 + np.arange(half)
    lowest = np.maximum(ids - 100_000, 0) if recent else np.zeros(half, np.int64)
    partners = random.integers(lowest, ids + 1)
    left = [pa.array(ids), _texts(random, half, 20), _texts(random, half, 60), pa.array(ids), pa.array(ids * 17)]
    right = [pa.array(values) for values in (partners, ids, ids * 7)]
    right += [_texts(random, half, width) for width in (8, 40, extra_bytes)]
    return [
        (index, ArrowBatch(pa.RecordBatch.from_arrays(_cast(columns, row), schema=row.arrow_schema())))
        for index, (columns, row) in enumerate(((left, _LEFT), (right, _RIGHT)))
    ]


def wide_join(first: int, rows: int, recent: bool) -> Steps:
    """The same with rows of about 1 KB on the right."""
    return join(first, rows, recent, extra_bytes=900)


def top(first: int, rows: int, recent: bool) -> Steps:
    """Five best bids of each auction; there is a new auction for each five bids."""
    random = np.random.default_rng(first)
    bids = first + np.arange(rows)
    auctions = (
        np.maximum(bids // 5 - random.integers(0, 1000, rows), 0) if recent else random.integers(0, bids // 5 + 1)
    )
    columns = [pa.array(values) for values in (auctions, bids, random.integers(0, 1 << 40, rows))]
    columns += [_texts(random, rows, width) for width in (8, 40, 40)]
    records = pa.RecordBatch.from_arrays(_cast(columns, _RIGHT), schema=_RIGHT.arrow_schema())
    return [(0, ArrowBatch(records))]


def _cast(columns: list[pa.Array], row: Any) -> list[pa.Array]:
    return [column.cast(field.type) for column, field in zip(columns, row.arrow_schema(), strict=True)]


_JOIN = JoinSpec(JoinInput(_LEFT, (0,)), JoinInput(_RIGHT, (0,)), _joined(_LEFT, _RIGHT), JoinKind.INNER)
_TOP = RankSpec(_RIGHT, _RIGHT, "ROW_NUMBER", (0,), (SortKey(2, ascending=False),), 1, 5, False, False, True)
CASES: Final[dict[str, tuple[Any, Any, Callable[[int, int, bool], Steps], bool]]] = {
    "join-recent": (JoinOperator, _JOIN, join, True),
    "join-random": (JoinOperator, _JOIN, join, False),
    "join-wide": (JoinOperator, _JOIN, wide_join, True),
    "top-recent": (RankOperator, _TOP, top, True),
    "top-random": (RankOperator, _TOP, top, False),
}


def run(case: str, backend: str, rows: int, managed: int, checkpoints: bool) -> None:
    """In a process of its own: prints what it measured."""
    make, spec, rows_of, recent = CASES[case]
    chained = ChainedOperator(operator_id="op", name="op", spec=spec, key_selectors=(None, None))
    with tempfile.TemporaryDirectory() as directory:
        configuration: dict[str, Any] = {
            "state.backend.type": backend,
            "state.backend.rocksdb.localdir": f"{directory}/work",
            "taskmanager.memory.managed.size": managed << 20,
        }
        if checkpoints:
            configuration["execution.checkpointing.interval"] = 1000
        operator, output = make(chained, spec), Counting()
        operator.open(HarnessContext(chained, ManualClock(), configuration=configuration), output)
        for index, batch in rows_of(0, BATCH_ROWS, recent):
            operator.process(batch, index)
        start_bytes, _ = memory()
        seconds, saved_seconds, done = 0.0, 0.0, BATCH_ROWS
        part = max(BATCH_ROWS, rows // 10)
        while done < rows:
            steps = rows_of(done, BATCH_ROWS, recent)
            begun = time.process_time()
            for index, batch in steps:
                operator.process(batch, index)
            seconds += time.process_time() - begun
            if checkpoints and done // part != (done + BATCH_ROWS) // part:
                begun = time.process_time()
                save(operator, done, directory)
                saved_seconds += time.process_time() - begun
            done += BATCH_ROWS
        now, peak = memory()
        kept = operator.backend.entries()
        print(
            f"{case:12} {backend:8} {kept / 1e6:6.2f} M rows kept, peak {peak - start_bytes >> 20:6} MiB above the"
            f" start ({now - start_bytes >> 20} at the end), {done / seconds / 1e6:5.2f} M rows/s,"
            f" checkpoints {saved_seconds:5.1f} s",
            flush=True,
        )
        operator.close()


def save(operator: Any, number: int, directory: str) -> None:
    capture = operator.snapshot(number, False).capture
    while capture.advance():
        pass
    writer = StateWriter(LocalStorage(Path(directory, "checkpoints")), "chk", number, "op")
    capture.store(writer, checkpoint_pb2.OperatorState())
    capture.ended()
    operator.checkpoint_completed(number)


def memory() -> tuple[int, int]:
    """Anonymous memory of this process now, and the most that it ever was resident."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    kilobytes = {name: int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM")}
    return kilobytes["VmRSS"] << 10, kilobytes["VmHWM"] << 10


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", nargs="*", default=list(CASES))
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--managed", type=int, default=64, help="MiB")
    parser.add_argument("--checkpoints", action="store_true")
    parser.add_argument("--backend")
    arguments = parser.parse_args()
    if arguments.backend and len(arguments.cases) == 1:
        run(arguments.cases[0], arguments.backend, arguments.rows, arguments.managed, arguments.checkpoints)
        return
    for case in arguments.cases:
        for backend in ("memory", "rocksdb"):
            options = ["--backend", backend, "--rows", str(arguments.rows), "--managed", str(arguments.managed)]
            if arguments.checkpoints:
                options.append("--checkpoints")
            subprocess.run([sys.executable, __file__, case, *options], check=True)


if __name__ == "__main__":
    main()
