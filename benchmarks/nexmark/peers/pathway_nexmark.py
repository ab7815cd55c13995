"""The queries that fit Pathway's tables, over the same files; prints a line of JSON for each.

    PATHWAY_THREADS=2 python pathway_nexmark.py DATA q0 q1 ...   (with an environment that has pathway)

Files are read in Pathway's static mode, the only one that ends; nothing is persisted. Each query is a process of its
own, because a graph of Pathway can be run once; what is measured begins when the graph runs, not when Python starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pathway as pw
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from measuring import Usage


class Bid(pw.Schema):
    auction: int
    bidder: int
    price: int
    channel: str
    url: str
    dateTime: str
    extra: str


class Auction(pw.Schema):
    number: int
    itemName: str
    description: str
    initialBid: int
    reserve: int
    dateTime: str
    expires: str
    seller: int
    category: int
    extra: str


class Person(pw.Schema):
    number: int
    name: str
    city: str
    state: str


def bid() -> Any:
    return _read("bid", Bid)


def q0() -> Any:
    return bid().select(pw.this.auction, pw.this.bidder, pw.this.price, pw.this.dateTime, pw.this.extra)


def q1() -> Any:
    price = 0.908 * pw.this.price
    return bid().select(pw.this.auction, pw.this.bidder, pw.this.dateTime, pw.this.extra, price=price)


def q2() -> Any:
    return bid().filter(pw.this.auction % 123 == 0).select(pw.this.auction, pw.this.price)


def q3() -> Any:
    sold = _read("auction", Auction).filter(pw.this.category == 10)
    state = pw.this.state
    people = _read("person", Person).filter((state == "OR") | (state == "ID") | (state == "CA"))
    return sold.join(people, sold.seller == people.number).select(people.name, people.city, people.state, sold.number)


def q4() -> Any:
    bids, sold = bid(), _read("auction", Auction)
    both = bids.join(sold, bids.auction == sold.number).select(
        sold.number, sold.category, bids.price, at=bids.dateTime, start=sold.dateTime, end=sold.expires
    )
    valid = both.filter((pw.this.at >= pw.this.start) & (pw.this.at <= pw.this.end))
    best = valid.groupby(pw.this.number, pw.this.category).reduce(
        pw.this.category, final=pw.reducers.max(pw.this.price)
    )
    return best.groupby(pw.this.category).reduce(pw.this.category, final=pw.reducers.avg(pw.this.final))


def q17() -> Any:
    days = bid().select(pw.this.auction, pw.this.price, day=pw.this.dateTime.str.slice(0, 10))
    price = pw.this.price
    return days.groupby(pw.this.auction, pw.this.day).reduce(
        pw.this.auction,
        pw.this.day,
        total_bids=pw.reducers.count(),
        rank1_bids=pw.reducers.sum(pw.if_else(price < 10_000, 1, 0)),
        rank2_bids=pw.reducers.sum(pw.if_else((price >= 10_000) & (price < 1_000_000), 1, 0)),
        rank3_bids=pw.reducers.sum(pw.if_else(price >= 1_000_000, 1, 0)),
        min_price=pw.reducers.min(price),
        max_price=pw.reducers.max(price),
        avg_price=pw.reducers.avg(price),
        sum_price=pw.reducers.sum(price),
    )


def q20() -> Any:
    bids, sold = bid(), _read("auction", Auction).filter(pw.this.category == 10)
    of_bid = {"auction", "bidder", "price", "channel", "url"}
    of_auction = {"itemName", "description", "initialBid", "reserve", "expires", "seller", "category"}
    columns = {name: bids[name] for name in of_bid} | {name: sold[name] for name in of_auction}
    more = {"at": bids.dateTime, "bid_extra": bids.extra, "start": sold.dateTime, "auction_extra": sold.extra}
    return bids.join(sold, bids.auction == sold.number).select(**columns, **more)


QUERIES: Final[dict[str, Callable[[], Any]]] = {
    "q0": q0, "q1": q1, "q2": q2, "q3": q3, "q4": q4, "q17": q17, "q20": q20,
}  # fmt: skip


def _read(table: str, schema: type[pw.Schema]) -> Any:
    # "id" names the row itself in Pathway.
    paths = {"number": "/id"} if "number" in schema.column_names() else None
    return pw.io.jsonlines.read(f"{sys.argv[1]}/{table}", schema=schema, mode="static", json_field_paths=paths)


def run(query: str) -> None:
    pw.io.null.write(QUERIES[query]())
    with Usage([psutil.Process()]) as usage:
        start = time.perf_counter()
        pw.run(monitoring_level=pw.MonitoringLevel.NONE)
        seconds = time.perf_counter() - start
    figures = {"seconds": seconds, "cpu_s": usage.cpu_s, "peak_mb": usage.peak_mb}
    print(json.dumps({"engine": "pathway", "query": query, **figures}), flush=True)


def main() -> None:
    queries = [query for query in sys.argv[2:] if query in QUERIES]
    if len(queries) == 1:
        run(queries[0])
        return
    for query in queries:
        subprocess.run([sys.executable, __file__, sys.argv[1], query], check=True, env=os.environ)


if __name__ == "__main__":
    main()
