"""The generator against the benchmark's model written down in plain Python."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.connectors.nexmark.generator import NexmarkGenerator
from millstream.connectors.nexmark.model import BASE_TIME_MS, EVENT_SCHEMA, NexmarkModel
from millstream.connectors.nexmark.words import CHANNELS, CITIES, NAMES, STATES, channel_urls

U64 = 2**64
GAMMA, WORD = 0x9E3779B97F4A7C15, 0xD1342543DE82EF95


def mixed(x: int) -> int:
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % U64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB % U64
    return x ^ (x >> 31)


class Twin:
    """The fields of one event, each drawn from its own stream."""

    def __init__(self, model: NexmarkModel, event: int) -> None:
        self.model = model
        self.event = event
        rounds, place = divmod(event, model.epoch_events)
        people, auctions = model.person_proportion, model.auction_proportion
        self.kind = 0 if place < people else 1 if place < people + auctions else 2
        self.newest_person = rounds * people + min(place, people - 1)
        self.newest_auction = rounds * auctions + (-1 if place < people else min(place - people, auctions - 1))
        self.time = self.time_of(event)

    def time_of(self, event: int) -> int:
        return BASE_TIME_MS + event * 1000 // self.model.events_per_second

    def key(self, stream: int) -> int:
        first = mixed((self.model.seed + GAMMA) % U64)
        return mixed((first + (100 * self.kind + stream + 1) * WORD) % U64)

    def draw(self, stream: int, word: int = 0) -> int:
        return mixed((self.key(stream) + word * WORD + self.event * GAMMA) % U64)

    def below(self, stream: int, bound: int, word: int = 0) -> int:
        return (self.draw(stream, word) >> 32) * bound >> 32

    def price(self, stream: int) -> int:
        return math.floor(10.0 ** ((self.draw(stream) >> 11) / 2**53 * 6) * 100 + 0.5)

    def person(self, stream: int, hot: int, hot_place: int) -> int:
        if self.below(stream, hot) > 0:
            return 1000 + self.newest_person // 100 * 100 + hot_place
        people = self.newest_person + 1
        among = min(people, self.model.active_people)
        return 1000 + people - among + self.below(stream + 1, among + 10)

    def text(self, stream: int, length_max: int) -> str:
        text = ""
        for i in range(3 + self.below(stream, length_max - 3)):
            bits = self.draw(stream, 1 + i // 4) >> (16 * (i % 4)) & 0xFFFF
            text += " " if bits * 13 >> 16 == 0 else chr(97 + ((bits * 13 & 0xFFFF) * 26 >> 16))
        return text.strip()

    def extra(self, stream: int, size: int, average: int) -> str:
        if size >= average:
            return ""
        spread = math.floor((average - size) * 0.2 + 0.5)
        length = average - size - spread + (self.below(stream, 2 * spread) if spread else 0)
        letters: Iterator[int] = (self.draw(stream + 1, i // 8) >> (8 * (i % 8)) & 255 for i in range(length))
        return "".join(chr(97 + (letter * 26 >> 8)) for letter in letters)

    def row(self) -> dict[str, Any]:
        return (self.person_row, self.auction_row, self.bid_row)[self.kind]()

    def person_row(self) -> dict[str, Any]:
        row = {
            "name": NAMES[self.below(1, len(NAMES))].as_py(),
            "emailAddress": f"{self.text(2, 7)}@{self.text(3, 5)}.com",
            "creditCard": " ".join(f"{self.below(4, 10_000, group):04}" for group in range(4)),
            "city": CITIES[self.below(5, len(CITIES))].as_py(),
            "state": STATES[self.below(6, len(STATES))].as_py(),
        }
        extra = self.extra(8, 8 + sum(map(len, row.values())), self.model.person_bytes)
        return {"id": 1000 + self.newest_person, **row, "dateTime": self.time, "extra": extra}

    def auction_row(self) -> dict[str, Any]:
        model = self.model
        name, description = self.text(0, 20), self.text(1, 100)
        ahead = self.time_of(self.event + model.in_flight_auctions * model.epoch_events // model.auction_proportion)
        return {
            "id": 1000 + self.newest_auction,
            "itemName": name,
            "description": description,
            "initialBid": self.price(2),
            "reserve": self.price(2) + self.price(3),
            "dateTime": self.time,
            "expires": self.time + 1 + self.below(4, max(2 * (ahead - self.time), 1)),
            "seller": self.person(5, model.hot_sellers, 0),
            "category": 10 + self.below(7, 5),
            "extra": self.extra(8, 48 + len(name) + len(description), model.auction_bytes),
        }

    def bid_row(self) -> dict[str, Any]:
        model, newest = self.model, self.newest_auction
        auction = newest // 100 * 100
        if self.below(0, model.hot_auctions) == 0:
            oldest = max(newest - model.in_flight_auctions, 0)
            auction = oldest + self.below(1, newest - oldest + 11)
        channel = self.below(6, 4) if self.below(5, 2) > 0 else 4 + self.below(6, 10_000)
        return {
            "auction": 1000 + auction,
            "bidder": self.person(2, model.hot_bidders, 1),
            "price": self.price(4),
            "channel": CHANNELS[channel].as_py(),
            "url": channel_urls(model.seed)[channel].as_py(),
            "dateTime": self.time,
            "extra": self.extra(7, 32, model.bid_bytes),
        }


def plain(value: pa.StructScalar) -> dict[str, Any]:
    return {name: field.value if pa.types.is_timestamp(field.type) else field.as_py() for name, field in value.items()}


@given(
    st.builds(
        NexmarkModel,
        seed=st.sampled_from([0, 1, -5, 2**62]),
        events_per_second=st.integers(1, 100_000),
        person_proportion=st.integers(1, 3),
        auction_proportion=st.integers(1, 5),
        bid_proportion=st.integers(0, 50),
        hot_auctions=st.integers(1, 5),
        hot_bidders=st.integers(1, 5),
        hot_sellers=st.integers(1, 5),
        person_bytes=st.integers(0, 300),
        auction_bytes=st.integers(0, 600),
        bid_bytes=st.integers(0, 200),
    ),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=20),
)
@settings(max_examples=40, deadline=None)
def test_every_field_is_that_of_the_model(model: NexmarkModel, events: list[int]) -> None:
    found = NexmarkGenerator(model, EVENT_SCHEMA).batch(np.array(events, np.int64))
    for i, event in enumerate(events):
        twin = Twin(model, event)
        assert found.column("event_type")[i].as_py() == twin.kind
        row, wanted = plain(found.column(twin.kind + 1)[i]), twin.row()
        for price in {"price", "initialBid", "reserve"} & row.keys():
            assert abs(row.pop(price) - wanted.pop(price)) <= 1, "the last digit of a power may differ"
        assert row == wanted
