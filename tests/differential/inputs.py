"""The tables that the cases share: small, with NULLs, duplicates, skew, disorder and late rows; one is empty."""

from __future__ import annotations

import random
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from millstream.connectors.nexmark.files import write_events
from millstream.connectors.nexmark.model import NexmarkModel
from tests.differential.tables import Column, Row, Table

START: Final = datetime(2024, 3, 9, 23, 59, 0)
"""Minutes before midnight, so that days differ."""

WATERMARK: Final = "WATERMARK FOR ts AS ts - INTERVAL '5' SECOND"
TIME: Final = Column("ts", "TIMESTAMP(3)")


def _times(source: random.Random, count: int, step_ms: int) -> list[datetime]:
    """Growing but for a disorder of less than four seconds; whole and half seconds are frequent."""
    times = []
    for number in range(count):
        at_ms = number * step_ms + source.randrange(0, 3_500)
        times.append(START + timedelta(milliseconds=at_ms - at_ms % source.choice((1, 500, 1000))))
    return times


def _maybe(source: random.Random, value: Any, nulls: float = 0.06) -> Any:
    return None if source.random() < nulls else value


def _bids() -> list[Row]:
    source = random.Random(1)
    rows: list[Row] = []
    for number, ts in enumerate(_times(source, 800, 250)):
        auction = min(int(source.expovariate(0.12)) + 1, 60)
        price = source.choice((10, 25, 25, 100, 999, source.randrange(1, 5000)))
        channel = source.choice(("web", "web", "app", "Shop", ""))
        bidder = source.randrange(1, 80)
        rows.append((number, _maybe(source, auction), bidder, _maybe(source, price), _maybe(source, channel), ts))
    return rows


def _late_bids() -> list[Row]:
    """From the sixth batch on, every seventh row is two minutes late: more than a portion of a paced run takes."""
    source = random.Random(2)
    rows: list[Row] = []
    for number, ts in enumerate(_times(source, 600, 300)):
        late = number > 200 and number % 7 == 0
        rows.append((number, source.randrange(1, 6), source.randrange(1, 100), ts - timedelta(minutes=2 * late)))
    return rows


def _people() -> list[Row]:
    source = random.Random(3)
    rows: list[Row] = []
    cities = ("Oslo", "Rome", "Lima", "Paris", "a city with spaces")
    for number, ts in enumerate(_times(source, 150, 1400)):
        identity = number % 100 + 1 if number % 9 else None
        born = date(1950, 1, 1) + timedelta(days=source.randrange(0, 25_000))
        score = _maybe(source, source.randrange(-400, 4000) / 8)
        name = f"{source.choice(('Ann', 'Bo', 'cy', 'DEE'))} {source.choice('KLMN')}"
        rows.append((identity, name, _maybe(source, source.choice(cities), 0.15), score, _maybe(source, born), ts))
    return rows


def _auctions() -> list[Row]:
    source = random.Random(4)
    rows: list[Row] = []
    for number, ts in enumerate(_times(source, 200, 1000)):
        reserve = _maybe(source, Decimal(source.randrange(0, 1_000_000)) / 100, 0.1)
        expires = ts + timedelta(seconds=source.randrange(1, 40))
        seller = _maybe(source, source.randrange(1, 110))
        rows.append((number % 70, seller, source.randrange(0, 6), reserve, ts, expires))
    return rows


def _mixed() -> list[Row]:
    source = random.Random(5)
    rows: list[Row] = []
    for number in range(240):
        rows.append(
            (
                number,
                source.randrange(0, 8),
                _maybe(source, source.random() < 0.5, 0.2),
                _maybe(source, source.choice((-128, -1, 0, 1, 127, source.randrange(-100, 100)))),
                _maybe(source, source.randrange(-30_000, 30_000)),
                _maybe(source, source.choice((-(10**6), 0, 7, source.randrange(-1000, 1000)))),
                _maybe(source, source.randrange(-(2**40), 2**40)),
                _maybe(source, source.randrange(-800, 800) / 16),
                _maybe(source, source.randrange(-80_000, 80_000) / 32),
                _maybe(source, Decimal(source.randrange(-(10**8), 10**8)) / 1000),
                _maybe(source, source.choice(("", " pad ", "Ünïcode", "abc", "ABC", "a_b%c", "12", "-3.5", "true"))),
                _maybe(source, date(1999, 12, 30) + timedelta(days=source.randrange(0, 800))),
                _maybe(source, time(source.randrange(24), source.randrange(60), source.randrange(60))),
                _maybe(source, datetime(2020, 2, 28) + timedelta(milliseconds=source.randrange(0, 10**9))),
            )
        )
    return rows


def _nested() -> list[Row]:
    source = random.Random(6)
    rows: list[Row] = []
    for number in range(120):
        numbers = [_maybe(source, source.randrange(0, 9), 0.1) for _ in range(source.randrange(0, 5))]
        tags = {key: source.randrange(0, 50) for key in source.sample(("a", "b", "c", "d"), source.randrange(0, 4))}
        place = {"city": _maybe(source, source.choice(("Oslo", "Rome"))), "zip": source.randrange(1000, 1005)}
        rows.append((number, _maybe(source, numbers), _maybe(source, tags), _maybe(source, place)))
    return rows


def _skewed() -> list[Row]:
    """Nine in ten rows have one key."""
    source = random.Random(7)
    times = _times(source, 1500, 120)
    return [(1 if source.random() < 0.9 else source.randrange(2, 300), source.randrange(0, 1000), ts) for ts in times]


def _rates() -> list[Row]:
    source = random.Random(8)
    rows: list[Row] = []
    for number in range(90):
        currency = ("EUR", "USD", "GBP", "NOK")[number % 4 if number > 3 else 0]
        at = START + timedelta(milliseconds=number * 2000 + source.randrange(0, 1500))
        rows.append((currency, Decimal(source.randrange(5_000, 20_000)) / 10_000, at))
    return rows


def _orders() -> list[Row]:
    source = random.Random(9)
    rows: list[Row] = []
    for number, ts in enumerate(_times(source, 300, 600)):
        currency = _maybe(source, source.choice(("EUR", "USD", "GBP", "SEK")))
        rows.append((number, currency, _maybe(source, Decimal(source.randrange(1, 100_000)) / 100), ts))
    return rows


def _shipments() -> list[Row]:
    """Of two orders in three, some twice, some long after."""
    source = random.Random(10)
    shipped = []
    for number, _, _, ts in _orders():
        for _ in range(source.choice((0, 1, 1, 1, 2))):
            shipped.append((_maybe(source, number), ts + timedelta(milliseconds=source.choice((0, 900, 2500, 9000)))))
    shipped.sort(key=lambda row: row[1])
    return [(number, identity, at) for number, (identity, at) in enumerate(shipped)]


def _nexmark(kind: str, columns: tuple[Column, ...]) -> list[Row]:
    import json

    with TemporaryDirectory() as directory:
        write_events(NexmarkModel(seed=11, events_per_second=40), 3000, Path(directory), 1, "json")
        lines = [line for file in Path(directory, kind).iterdir() for line in file.read_text().splitlines()]
    events = [json.loads(line) for line in lines]
    return [tuple(event[column.name] for column in columns) for event in events]


_PERSON = (
    Column("id", "BIGINT"),
    *(Column(name, "STRING") for name in ("name", "emailAddress", "creditCard", "city", "state")),
    Column("dateTime", "TIMESTAMP(3)"),
    Column("extra", "STRING"),
)
_AUCTION = (
    Column("id", "BIGINT"),
    *(Column(name, "STRING") for name in ("itemName", "description")),
    *(Column(name, "BIGINT") for name in ("initialBid", "reserve")),
    *(Column(name, "TIMESTAMP(3)") for name in ("dateTime", "expires")),
    *(Column(name, "BIGINT") for name in ("seller", "category")),
    Column("extra", "STRING"),
)
_BID = (
    *(Column(name, "BIGINT") for name in ("auction", "bidder", "price")),
    *(Column(name, "STRING") for name in ("channel", "url")),
    Column("dateTime", "TIMESTAMP(3)"),
    Column("extra", "STRING"),
)
_NEXMARK_WATERMARK = "WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND"

_TABLES: Final = (
    Table(
        "bids",
        (
            Column("seq", "BIGINT"),
            Column("auction", "BIGINT"),
            Column("bidder", "BIGINT"),
            Column("price", "BIGINT"),
            Column("channel", "STRING"),
            TIME,
        ),
        _bids,
        more=WATERMARK,
    ),
    Table(
        "late_bids",
        (Column("seq", "BIGINT"), Column("auction", "BIGINT"), Column("price", "BIGINT"), TIME),
        _late_bids,
        more=WATERMARK,
        files=1,
        batch_rows=40,
        one_reader=True,
    ),
    Table(
        "people",
        (
            Column("id", "BIGINT"),
            Column("name", "STRING"),
            Column("city", "STRING"),
            Column("score", "DOUBLE"),
            Column("born", "DATE"),
            TIME,
        ),
        _people,
        "csv",
        WATERMARK,
    ),
    Table(
        "auctions",
        (
            Column("id", "BIGINT"),
            Column("seller", "BIGINT"),
            Column("category", "INT"),
            Column("reserve", "DECIMAL(10,2)"),
            TIME,
            Column("expires", "TIMESTAMP(3)"),
        ),
        _auctions,
        "parquet",
        WATERMARK,
    ),
    Table(
        "mixed",
        (
            Column("id", "BIGINT"),
            Column("k", "INT"),
            Column("b", "BOOLEAN"),
            Column("t", "TINYINT"),
            Column("s", "SMALLINT"),
            Column("i", "INT"),
            Column("l", "BIGINT"),
            Column("f", "FLOAT"),
            Column("d", "DOUBLE"),
            Column("m", "DECIMAL(12,3)"),
            Column("str", "STRING"),
            Column("dt", "DATE"),
            Column("tm", "TIME"),
            Column("moment", "TIMESTAMP(3)"),
        ),
        _mixed,
        "parquet",
    ),
    Table(
        "nested",
        (
            Column("id", "BIGINT"),
            Column("numbers", "ARRAY<INT>", "INT[]"),
            Column("tags", "MAP<STRING, INT>", "MAP(VARCHAR, INT)"),
            Column("place", "ROW<city STRING, zip INT>", "STRUCT(city VARCHAR, zip INT)"),
        ),
        _nested,
    ),
    Table("skewed", (Column("k", "INT"), Column("v", "BIGINT"), TIME), _skewed, "csv", WATERMARK),
    Table("rates", (Column("currency", "STRING"), Column("rate", "DECIMAL(10,4)"), TIME), _rates, "json", WATERMARK),
    Table(
        "orders",
        (Column("id", "BIGINT"), Column("currency", "STRING"), Column("amount", "DECIMAL(10,2)"), TIME),
        _orders,
        "json",
        WATERMARK,
    ),
    Table(
        "shipments",
        (Column("id", "BIGINT"), Column("order_id", "BIGINT"), TIME),
        _shipments,
        "csv",
        WATERMARK,
    ),
    Table("nothing", (Column("id", "INT"), Column("name", "STRING"), TIME), list, "json", WATERMARK, files=1),
    Table("person", _PERSON, lambda: _nexmark("person", _PERSON), more=_NEXMARK_WATERMARK),
    Table("auction", _AUCTION, lambda: _nexmark("auction", _AUCTION), more=_NEXMARK_WATERMARK),
    Table("bid", _BID, lambda: _nexmark("bid", _BID), more=_NEXMARK_WATERMARK),
)
TABLES: Final = {table.name: table for table in _TABLES}
