"""Millstream alone, on rows that it generates itself: throughput, cost as work grows, latency.

    .venv/bin/python benchmarks/nexmark/in_engine.py throughput|growth|latency

throughput: a count and a sum by 100,000 keys, in tumbling windows and without, beside what Flink did on the machine of
the README. growth: the same with ten times the rows and with ten times the keys, and the peak of memory of Nexmark's
query 1. latency: queries 1 and 5 at 50,000 events/s, from the time at which an event is due (query 5: at which the
watermark completes a window) to the time at which its row leaves the last operator, over 20 seconds.
"""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np
from millstream_peer import Runner
from tables import WATERMARK, query_text

FLINK_ROWS_S: Final = {"tumbling": 0.24e6, "group by": 0.79e6}
KEYS: Final = 100_000

WINDOWS: Final = """INSERT INTO sums SELECT k, COUNT(*), SUM(v) FROM
TABLE(TUMBLE(TABLE {table}, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY k, window_start, window_end"""
GROUPS: Final = "INSERT INTO sums SELECT k, COUNT(*), SUM(v) FROM {table} GROUP BY k"
BIDS: Final = """CREATE VIEW bid AS SELECT bid.auction, bid.bidder, bid.price, `dateTime`, bid.extra
FROM events WHERE event_type = 2"""


def numbers(name: str, rows: int, keys: int) -> str:
    """A table of random keys and values; 100,000 rows a second of event time."""
    return f"""CREATE TABLE {name} (id BIGINT, k BIGINT, v BIGINT, ts AS TO_TIMESTAMP_LTZ(id / 100, 3),
    WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH ('connector' = 'datagen', 'number-of-rows' = '{rows}',
    'rows-per-second' = '1000000000',
    'fields.id.kind' = 'sequence', 'fields.id.start' = '0', 'fields.id.end' = '{rows - 1}',
    'fields.k.min' = '0', 'fields.k.max' = '{keys - 1}', 'fields.v.min' = '0', 'fields.v.max' = '1000')"""


def events(count: int, more: str = "") -> str:
    """Nexmark's events."""
    bid = "auction BIGINT, bidder BIGINT, price BIGINT, `dateTime` TIMESTAMP(3), extra STRING"
    time = "ROW<`dateTime` TIMESTAMP(3)>"
    return f"""CREATE TABLE events (event_type INT, person {time}, auction {time}, bid ROW<{bid}>,
    `dateTime` AS CASE event_type WHEN 0 THEN person.`dateTime` WHEN 1 THEN auction.`dateTime` ELSE bid.`dateTime` END,
    {WATERMARK}) WITH ('connector' = 'nexmark', 'events.num' = '{count}', 'bid.avg-size' = '64' {more})"""


SINK: Final = "CREATE TABLE sums (k BIGINT, n BIGINT, s BIGINT) WITH ('connector' = 'blackhole')"


def throughput() -> None:
    rows = 5_000_000
    runner = Runner([SINK, numbers("numbers", rows, KEYS)])
    try:
        print(f"{rows:,} rows, {KEYS:,} keys")
        for name, text in (("tumbling", WINDOWS), ("group by", GROUPS)):
            best = min(runner.measure([text.format(table="numbers")])["seconds"] for _ in range(3))
            print(f"{name}: {rows / best / 1e6:.2f} M rows/s, {rows / best / FLINK_ROWS_S[name]:.1f} times Flink")
    finally:
        runner.close()


def growth() -> None:
    small, large = 4_000_000, 40_000_000
    tables = [
        numbers("small", small, KEYS),
        numbers("more_rows", large, KEYS),
        numbers("more_keys", large, 10 * KEYS),
    ]
    runner = Runner([SINK, *tables])
    try:
        for name, text in (("tumbling", WINDOWS), ("group by", GROUPS)):
            runner.measure([text.format(table="small")])
            for table, rows in (("small", small), ("more_rows", large), ("more_keys", large)):
                figures = runner.measure([text.format(table=table)])
                _show(f"{name}, {table}", rows, figures)
    finally:
        runner.close()
    for count in (4_000_000, 40_000_000):
        runner = Runner([events(count), BIDS])
        try:
            _show("query 1", count, runner.run("q1"))
        finally:
            runner.close()


def _show(what: str, rows: int, figures: dict[str, Any]) -> None:
    rate, per_core = rows / figures["seconds"] / 1e6, rows / figures["cpu_s"] / 1e6
    print(f"{what}: {rate:.2f} M rows/s, {per_core:.2f} M rows a CPU second, {figures['peak_mb']:.0f} MB", flush=True)


def latency() -> None:
    rate, seconds = 50_000, 20
    limits = f", 'first-event.rate' = '{rate}', 'rate.limited' = 'true'"
    runner = Runner([events(rate * (seconds + 5), limits), BIDS])
    hot = query_text("q5").replace("SELECT bids.auction, bids.num", "SELECT bids.endtime", 1)
    due = "SELECT 0 AS kind, `dateTime` AS due, LOCALTIMESTAMP AS seen FROM bid"
    try:
        for name, query in (
            ("query 1", due.replace("FROM", ", 0.908 * price AS price FROM")),
            (
                "query 5",
                f"{due} WHERE MOD(auction, 10) = 0 UNION ALL "
                f"SELECT 1, endtime + INTERVAL '4' SECOND, LOCALTIMESTAMP FROM ({hot})",
            ),
        ):
            found = runner.rows(query)
            lags = (_ms(found, "seen") - _ms(found, "due")).astype(float)
            kinds = found.column("kind").to_numpy()
            lags -= lags[kinds == 0].min()  # event time starts when the source does: the quickest row tells when
            dues = _ms(found, "due")
            # Not the start of the job, nor windows that only the end of the input completes.
            counts = (dues >= dues.min() + 2000) & (dues <= dues[kinds == 0].max())
            lags = lags[counts & (kinds == kinds.max())]
            p50, p99 = np.percentile(lags, [50, 99])
            print(f"{name}: p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {lags.max():.0f} ms of {len(lags):,} rows")
    finally:
        runner.close()


def _ms(table: Any, name: str) -> Any:
    return table.column(name).to_numpy().astype("datetime64[ms]").astype(np.int64)


if __name__ == "__main__":
    {"throughput": throughput, "growth": growth, "latency": latency}[sys.argv[1]]()
