"""The Nexmark generator: the same events whatever the batches and the parallelism, in the benchmark's proportions."""

import re
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from harness import Enumeration, Reading, SourceRun
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.connectors.nexmark.generator import NexmarkGenerator
from millstream.connectors.nexmark.model import (
    BASE_TIME_MS,
    BID_TYPE,
    EVENT_SCHEMA,
    EventKind,
    NexmarkModel,
)
from millstream.connectors.nexmark.source import NexmarkSource
from millstream.connectors.rounds import rounds_splits
from millstream.connectors.table_factories import table_connector
from millstream.core.api.source import Boundedness, PollStatus, SplitBatch
from millstream.core.clock import ManualClock
from millstream.core.elements.batch import ArrowBatch
from millstream.core.errors import ConfigError
from millstream.core.table.connectors import Filter, Pushdown, TableDescription
from millstream.core.table.projection import project

MODEL = NexmarkModel(seed=7)
WHOLE = NexmarkGenerator(MODEL, EVENT_SCHEMA).batch(np.arange(3000))


def leaves(*paths: str) -> pa.Schema:
    kinds = {"event_type": pa.int32()}
    for kind in EventKind:
        kinds |= {f"{kind.column}.{field.name}": field.type for field in EVENT_SCHEMA.field(kind.column).type}
    return pa.schema([(path, kinds[path]) for path in paths or kinds])


@given(st.lists(st.integers(0, 2999), max_size=30))
@settings(max_examples=30, deadline=None)
def test_any_events_are_rows_of_the_whole(events: list[int]) -> None:
    found = NexmarkGenerator(MODEL, EVENT_SCHEMA).batch(np.array(events, np.int64))
    found.validate(full=True)
    assert found.equals(WHOLE.take(pa.array(events, pa.int64())))


def test_leaves_are_those_of_the_structs() -> None:
    schema = leaves()
    found = NexmarkGenerator(MODEL, schema).batch(np.arange(3000))
    found.validate(full=True)
    assert found.equals(project(WHOLE, schema))
    bids = np.arange(3000)[MODEL.kinds(np.arange(3000)) == EventKind.BID]
    only = NexmarkGenerator(MODEL, leaves("bid.price", "bid.url")).batch(bids)
    assert only.column(0).null_count == 0
    assert only.to_pylist() == project(WHOLE, leaves("bid.price", "bid.url")).take(pa.array(bids)).to_pylist()


def test_no_column_keeps_the_rows() -> None:
    assert NexmarkGenerator(MODEL, pa.schema([])).batch(np.arange(7)).num_rows == 7


def test_seeds_differ() -> None:
    other = NexmarkGenerator(NexmarkModel(seed=8), EVENT_SCHEMA).batch(np.arange(3000))
    for path in ("bid.price", "bid.extra", "person.creditCard", "auction.description", "bid.url"):
        assert not project(other, leaves(path)).equals(project(WHOLE, leaves(path)))


def test_events_come_in_rounds_of_people_auctions_and_bids() -> None:
    kinds = WHOLE.column("event_type").to_pylist()
    assert kinds[:50] == [0, 1, 1, 1] + [2] * 46
    assert Counter(kinds) == {0: 60, 1: 180, 2: 2760}
    for kind in EventKind:
        assert WHOLE.column(kind.column).null_count == 3000 - kinds.count(kind)


def rows_of(kind: EventKind) -> list[dict[str, Any]]:
    return [row for row in WHOLE.column(kind.column).to_pylist() if row is not None]


def test_ids_count_from_a_thousand() -> None:
    assert [row["id"] for row in rows_of(EventKind.PERSON)] == list(range(1000, 1060))
    assert [row["id"] for row in rows_of(EventKind.AUCTION)] == list(range(1000, 1180))


def test_event_time_follows_the_rate() -> None:
    events = np.array([0, 9, 10, 10_000, 3_600 * 10_000])
    assert (MODEL.times_ms(events) - BASE_TIME_MS).tolist() == [0, 0, 1, 1000, 3_600_000]


def test_hot_keys_get_their_share() -> None:
    bids = rows_of(EventKind.BID)
    hot_auctions = sum(row["auction"] % 100 == 0 for row in bids) / len(bids)
    hot_bidders = sum(row["bidder"] % 100 == 1 for row in bids) / len(bids)
    assert 0.45 < hot_auctions < 0.55
    assert 0.70 < hot_bidders < 0.80
    sellers = [row["seller"] for row in rows_of(EventKind.AUCTION)]
    assert 0.60 < sum(seller == 1000 for seller in sellers) / len(sellers) < 0.90
    cold = [row["auction"] for row in bids if row["auction"] % 100]
    assert all(1000 <= auction < 1180 + 10 for auction in cold) and len(set(cold)) > 100


def test_fields_look_as_they_should() -> None:
    for row in rows_of(EventKind.PERSON):
        assert re.fullmatch(r"[A-Z][a-z]+ [A-Z][a-z]+", row["name"])
        assert re.fullmatch(r"[a-z ]*@[a-z ]*\.com", row["emailAddress"])
        assert re.fullmatch(r"(\d{4} ){3}\d{4}", row["creditCard"])
        assert row["state"] in ("AZ", "CA", "ID", "OR", "WA", "WY")
        assert 120 <= sum(len(row[name]) for name in row if isinstance(row[name], str)) + 8 <= 240
    for row in rows_of(EventKind.AUCTION):
        assert 10 <= row["category"] < 15
        assert row["itemName"] == row["itemName"].strip() and len(row["itemName"]) < 20
        assert 100 < row["initialBid"] + 100 <= row["reserve"]
        assert row["dateTime"] < row["expires"]
    channels: Counter[str] = Counter()
    for row in rows_of(EventKind.BID):
        assert 100 <= row["price"] <= 100_000_000
        assert re.fullmatch(
            r"https://www\.nexmark\.com/[a-z_]*/[a-z_]*/[a-z_]*/item\.htm\?query=1(&channel_id=\d+)?", row["url"]
        )
        assert re.fullmatch(r"[a-z]{54,81}", row["extra"])
        channels[row["channel"] if row["channel"] in ("Google", "Facebook", "Baidu", "Apple") else "cold"] += 1
    assert 0.45 < channels["cold"] / 2760 < 0.55 and len(channels) == 5
    median = sorted(row["price"] for row in rows_of(EventKind.BID))[1380]
    assert 50_000 < median < 200_000, "the logarithm of prices is uniform: half are below 1,000.00"


@given(st.integers(1, 7), st.integers(0, 600), st.integers(1, 70))
@settings(max_examples=60, deadline=None)
def test_splits_share_the_events(of: int, events: int, rows: int) -> None:
    found: list[int] = []
    for split in rounds_splits(of, 50, events):
        mine: list[int] = []
        while not split.is_finished:
            mine += split.numbers(rows).tolist()
            split = split.after(rows)
        assert mine == sorted(mine)
        found += mine
    assert sorted(found) == list(range(events))


@pytest.mark.parametrize("parallelism", [1, 2, 3])
@pytest.mark.parametrize("restore_every", [0, 1, 3])
@pytest.mark.parametrize("kinds", [None, frozenset({EventKind.PERSON, EventKind.AUCTION})])
def test_parallelism_and_restoring_change_nothing(
    parallelism: int, restore_every: int, kinds: frozenset[EventKind] | None
) -> None:
    source = NexmarkSource(MODEL, leaves("event_type", "auction.id", "bid.price", "bid.dateTime"), 2990, kinds=kinds)
    run = SourceRun(source, parallelism, rows_max=37, restore_every=restore_every)
    wanted = project(WHOLE, source.schema).slice(0, 2990).to_pylist()
    if kinds is not None:
        wanted = [row for row in wanted if row["event_type"] in kinds]
    assert max(run.batch_rows) <= 37
    assert sorted(map(str, run.all)) == sorted(map(str, wanted))
    if parallelism == 1:
        assert run.all == wanted


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_a_reader_with_several_splits_keeps_the_order(data: st.DataObject) -> None:
    """Three readers stop anywhere; one reader goes on with all three splits."""
    source = NexmarkSource(MODEL, leaves("event_type", "auction.id", "bid.price"), 2000)
    enumeration = Enumeration(3)
    enumerator = source.create_enumerator(enumeration)
    enumerator.start()
    rows: list[dict[str, Any]] = []
    splits: list[Any] = []
    for subtask in range(3):
        reader = source.create_reader(Reading(subtask, 3, ManualClock(), 50))
        enumerator.handle_split_request(subtask)
        reader.add_splits(list(enumeration.assigned[subtask]))
        for _ in range(data.draw(st.integers(0, 13))):
            answer = reader.poll()
            assert isinstance(answer, SplitBatch) and isinstance(answer.batch, ArrowBatch)
            rows += answer.batch.records.to_pylist()
        splits += reader.snapshot_state()
    reader = source.create_reader(Reading(0, 1, ManualClock(), 50))
    reader.add_splits(splits)
    auctions: list[int] = []
    while isinstance(answer := reader.poll(), SplitBatch):
        assert isinstance(answer.batch, ArrowBatch) and answer.batch.num_rows <= 50
        rows += answer.batch.records.to_pylist()
        auctions += [row["auction.id"] for row in answer.batch.records.to_pylist() if row["auction.id"] is not None]
    assert auctions == sorted(auctions)
    wanted = project(WHOLE, source.schema).slice(0, 2000).to_pylist()
    assert sorted(map(str, rows)) == sorted(map(str, wanted))


def test_the_rate_holds_for_all_subtasks_together() -> None:
    run = SourceRun(NexmarkSource(MODEL, leaves("event_type"), 3000, events_per_second=1000), 2, rows_max=500)
    assert len(run.all) == 3000
    assert run.clock.monotonic_s() >= 2.0


def test_the_rate_holds_when_subtasks_have_no_split() -> None:
    """Two splits, restored by three readers: each goes on at half of the rate."""
    source = NexmarkSource(MODEL, leaves("event_type"), events_per_second=1000)
    clock = ManualClock()
    reader = source.create_reader(Reading(0, 3, clock, 10_000))
    reader.add_splits(rounds_splits(2, 50, None)[:1])
    assert reader.poll() is PollStatus.NOTHING_NOW
    clock.advance(1000)
    answer = reader.poll()
    assert isinstance(answer, SplitBatch) and answer.batch.num_rows == 500


def described(schema: pa.Schema = EVENT_SCHEMA, **options: str) -> TableDescription:
    named = {name.replace("__", ".").replace("_", "-"): value for name, value in options.items()}
    return TableDescription("datagen", schema, {"connector": "nexmark", **named})


def test_the_table_has_the_options_of_the_benchmark() -> None:
    connector = table_connector("nexmark")
    found = connector.source(described(), Pushdown())
    assert not found.bounded and found.source.boundedness is Boundedness.CONTINUOUS_UNBOUNDED
    assert found.schema == EVENT_SCHEMA
    options = {"first_event__rate": "1000", "next_event__rate": "1000", "events__num": "100", "bid__proportion": "6"}
    found = connector.source(described(**options, bid__avg_size="150b", seed="3", scan__parallelism="2"), Pushdown())
    assert found.bounded and found.parallelism == 2
    source = found.source
    assert isinstance(source, NexmarkSource) and source.events == 100 and source.events_per_second is None
    assert source.model == NexmarkModel(seed=3, events_per_second=1000, bid_proportion=6, bid_bytes=150)
    limited = connector.source(described(max_emit_speed="false", next_event__rate="50"), Pushdown()).source
    assert isinstance(limited, NexmarkSource) and limited.events_per_second == 50


def test_filters_on_the_kind_are_taken_over() -> None:
    bids, cheap = Filter("event_type", "=", 2), Filter("bid.price", "<", 200)
    pushdown = Pushdown(("bid.price", "bid"), (bids, cheap))
    found = table_connector("nexmark").source(described(events__num="100"), pushdown)
    assert found.accepted_filters == (bids,)
    assert found.schema == pa.schema([("bid.price", pa.int64()), ("bid", BID_TYPE)])
    rows = SourceRun(found.source).all
    assert len(rows) == 92 and all(row["bid.price"] == row["bid"]["price"] for row in rows)
    others = Pushdown(("event_type",), (Filter("event_type", "<>", 2), Filter("event_type", "IN", (1, 2))))
    found = table_connector("nexmark").source(described(events__num="100"), others)
    assert SourceRun(found.source).all == [{"event_type": 1}] * 6


def test_a_table_may_have_fewer_columns() -> None:
    schema = pa.schema([("bid", pa.struct([("price", pa.int64()), ("auction", pa.int64())]))])
    found = table_connector("nexmark").source(described(schema, events__num="5"), Pushdown())
    assert list(SourceRun(found.source).all[4]["bid"]) == ["price", "auction"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (described(events__nm="1"), "unknown option 'events.nm'. Did you mean 'events.num'"),
        (described(bid__proportion="x"), "option 'bid.proportion' is 'x': expected a whole number"),
        (described(bid__hot_ratio__auctions="0"), "expected a number from 1"),
        (described(first_event__rate="10", next_event__rate="20"), "must equal 'first-event.rate', 10"),
        (described(base_time="soon"), "expected a time such as"),
        (described(pa.schema([("x", pa.int32())])), "events have no column 'x'"),
        (described(pa.schema([("bid", pa.struct([("prize", pa.int64())]))])), "bid has no field 'prize'"),
        (described(pa.schema([("bid", pa.struct([("price", pa.int32())]))])), "declared as INT, but it is BIGINT"),
        (described(pa.schema([("bid", pa.string())])), "column 'bid' is declared as STRING"),
    ],
)
def test_mistakes_are_named(table: TableDescription, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        table_connector("nexmark").source(table, Pushdown())
