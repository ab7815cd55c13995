"""Input rows a second of processor time of one join: narrow rows with 1 and 10 matches a key, joins of Nexmark.

Run: ``python benchmarks/table_joins.py [case ...]``. One process, no exchange, no checkpoint; inputs alternate batch by
batch. The best of a few rounds; processor time, since machines are shared.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from millstream.core.clock import ManualClock
from millstream.core.elements.batch import ArrowBatch, Batch
from millstream.core.graph.specs import ChainedOperator
from millstream.core.table import logical_types as lt
from millstream.core.table.expressions import Expression, InputRef
from millstream.core.table.functions.registry import bind_call
from millstream.core.table.row_type import Column, RowType
from millstream.core.table.specs import JoinInput, JoinKind, JoinSpec
from millstream.taskmanager.operators.table.joins.regular import JoinOperator
from millstream.testing.context import HarnessContext
from millstream.testing.recording import RecordedOutput

BATCH_ROWS: Final = 32_768
ROUNDS: Final = 3
NARROW_ROWS: Final = 1_000_000
EVENTS: Final = 1_000_000
"""Of Nexmark: in 50 events there are 1 person, 3 auctions, 46 bids."""

Steps = list[tuple[int, ArrowBatch]]
_LETTERS: Final = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)


class Counting(RecordedOutput):
    """Counts rows and drops them."""

    rows = 0

    def emit(self, batch: Batch) -> None:
        self.rows += batch.num_rows


def narrow(matches: int) -> tuple[JoinSpec, Steps]:
    """(id, value) on both sides; ``matches`` rows of the right side for each of the left."""
    row = RowType((Column("id", lt.BIGINT), Column("v", lt.BIGINT)))
    random = np.random.default_rng(1)
    keys = NARROW_ROWS // matches
    left = random.permutation(keys)
    right = random.integers(0, keys, NARROW_ROWS) if matches > 1 else random.permutation(keys)
    spec = JoinSpec(JoinInput(row, (0,)), JoinInput(row, (0,)), _joined(row, row), JoinKind.INNER)
    batches = [[pa.array(ids), pa.array(ids * 3)] for ids in (left, right)]
    return spec, alternating(row, batches[0], row, batches[1])


def nexmark(case: str) -> tuple[JoinSpec, Steps]:
    """The regular joins of q3, q4, q9 and q20, with the columns that these read."""
    random = np.random.default_rng(2)
    bids, auctions, persons = EVENTS * 46 // 50, EVENTS * 3 // 50, EVENTS // 50
    if case == "q3":
        auction = _row("id:b seller:b category:b")
        person = _row("id:b name:s city:s state:s")
        sellers = np.minimum(np.arange(auctions) // 3, persons - 1)
        columns = [np.arange(auctions), sellers, random.integers(10, 15, auctions)]
        people = [np.arange(persons), *[_texts(random, persons, 12) for _ in range(3)]]
        spec = JoinSpec(JoinInput(auction, (1,)), JoinInput(person, (0,)), _joined(auction, person), JoinKind.INNER)
        return spec, alternating(auction, columns, person, people)
    ids, times = np.arange(auctions), np.arange(auctions) * 17
    of_bid = np.maximum(np.arange(bids) // 15 - random.integers(0, 100, bids) ** 2 // 100, 0).clip(0, auctions - 1)
    bid_times = np.arange(bids) * 17 // 15
    if case == "q4":
        auction, bid = _row("id:b category:b dateTime:t expires:t"), _row("auction:b price:b dateTime:t")
        columns = [ids, ids % 5, times, times + 10_000]
        offers: list[Any] = [of_bid, bid_times * 7, bid_times]
    elif case == "q9":
        auction = _row("id:b itemName:s description:s initialBid:b reserve:b dateTime:t expires:t seller:b extra:s")
        bid = _row("auction:b bidder:b price:b dateTime:t extra:s")
        texts = [_texts(random, auctions, width) for width in (20, 50, 80)]
        columns = [ids, *texts[:2], ids, ids, times, times + 10_000, ids, texts[2]]
        offers = [of_bid, of_bid, bid_times * 7, bid_times, _texts(random, bids, 40)]
    else:
        auction = _row("id:b itemName:s description:s initialBid:b reserve:b dateTime:t expires:t seller:b extra:s")
        bid = _row("auction:b bidder:b price:b channel:s url:s dateTime:t extra:s")
        chosen = np.flatnonzero(ids % 5 == 0)  # category = 10
        texts = [_texts(random, len(chosen), width) for width in (20, 50, 80)]
        mine = ids[chosen]
        columns = [mine, *texts[:2], mine, mine, times[chosen], times[chosen] + 10_000, mine, texts[2]]
        texts = [_texts(random, bids, width) for width in (8, 40, 40)]
        offers = [of_bid, of_bid, bid_times * 7, *texts[:2], bid_times, texts[2]]
    condition = None if case == "q20" else _between(auction, bid)
    spec = JoinSpec(JoinInput(auction, (0,)), JoinInput(bid, (0,)), _joined(auction, bid), JoinKind.INNER, condition)
    return spec, alternating(auction, columns, bid, offers)


def _between(auction: RowType, bid: RowType) -> Expression:
    """``B.dateTime BETWEEN A.dateTime AND A.expires``"""

    def ref(row: RowType, name: str, shift: int) -> InputRef:
        index = row.index_of(name)
        assert index is not None
        return InputRef(row[index].type, index + shift)

    time_of_bid = ref(bid, "dateTime", len(auction))
    after = bind_call(">=", [time_of_bid, ref(auction, "dateTime", 0)])
    return bind_call("AND", [after, bind_call("<=", [time_of_bid, ref(auction, "expires", 0)])])


def alternating(left: RowType, left_columns: Any, right: RowType, right_columns: Any) -> Steps:
    """Both inputs in batches, in proportion to their length."""
    inputs = []
    for row, columns in ((left, left_columns), (right, right_columns)):
        schema = row.arrow_schema()
        arrays = [
            pa.array(values).cast(field.type) if isinstance(values, np.ndarray) else values
            for values, field in zip(columns, schema, strict=True)
        ]
        inputs.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    total = sum(records.num_rows for records in inputs)
    rounds = -(-total // BATCH_ROWS)
    steps = []
    for i in range(rounds):
        for index, records in enumerate(inputs):
            part = records.slice(*_share(records.num_rows, i, rounds))
            if part.num_rows:
                steps.append((index, ArrowBatch(part)))
    return steps


def _share(rows: int, index: int, of: int) -> tuple[int, int]:
    start = rows * index // of
    return start, rows * (index + 1) // of - start


def _row(text: str) -> RowType:
    kinds = {"b": lt.BIGINT, "s": lt.STRING, "t": lt.timestamp(3)}
    return RowType(tuple(Column(name, kinds[kind]) for name, kind in (part.split(":") for part in text.split())))


def _joined(left: RowType, right: RowType) -> RowType:
    return RowType((*left.columns, *(Column(column.name + "_r", column.type) for column in right.columns)))


def _texts(random: np.random.Generator, rows: int, width: int) -> pa.Array:
    data = _LETTERS[random.integers(0, 26, rows * width)]
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    return pa.Array.from_buffers(pa.string(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def measure(spec: JoinSpec, steps: Steps) -> tuple[float, int, int]:
    """(seconds of processor time, rows in, rows out) of the best round."""
    best = float("inf")
    rows_out = 0
    for _ in range(ROUNDS):
        chained = ChainedOperator(operator_id="join", name="join", spec=spec, key_selectors=(None, None))
        operator = JoinOperator(chained, spec)
        output = Counting()
        operator.open(HarnessContext(chained, ManualClock()), output)
        gc.collect()
        start = time.process_time()
        for index, batch in steps:
            operator.process(batch, index)
        best = min(best, time.process_time() - start)
        rows_out = output.rows
        operator.close()
    return best, sum(batch.num_rows for _, batch in steps), rows_out


def cases(names: list[str]) -> Iterator[tuple[str, JoinSpec, Steps]]:
    for name in names or ["narrow-1", "narrow-10", "q3", "q4", "q9", "q20"]:
        kind, _, matches = name.partition("-")
        spec, steps = narrow(int(matches)) if kind == "narrow" else nexmark(name)
        yield name, spec, steps


def main() -> None:
    for name, spec, steps in cases(sys.argv[1:]):
        seconds, rows_in, rows_out = measure(spec, steps)
        print(f"{name:10} {rows_in / seconds / 1e6:7.2f} M rows/s in, {rows_out / seconds / 1e6:7.2f} M rows/s out")


if __name__ == "__main__":
    main()
