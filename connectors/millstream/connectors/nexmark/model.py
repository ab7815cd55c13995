"""What there is to choose about the events, and the columns they have."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Events = npt.NDArray[np.int64]
"""Event numbers, from 0."""

FIRST_ID: Final = 1000
"""Of people and of auctions."""
FIRST_CATEGORY: Final = 10
CATEGORIES: Final = 5
HOT_EVERY: Final = 100
"""The first of so many auctions (people) is the hot one."""
ID_LEAD: Final = 10
"""So many ids that do not exist yet may be referred to."""
BASE_TIME_MS: Final = 1_704_067_200_000
"""2024-01-01 00:00:00 UTC."""


class EventKind(enum.IntEnum):
    """The value of ``event_type``."""

    PERSON = 0
    AUCTION = 1
    BID = 2

    @property
    def column(self) -> str:
        return self.name.lower()


_TIME: Final = pa.timestamp("ms")
PERSON_TYPE: Final = pa.struct(
    [
        ("id", pa.int64()),
        ("name", pa.string()),
        ("emailAddress", pa.string()),
        ("creditCard", pa.string()),
        ("city", pa.string()),
        ("state", pa.string()),
        ("dateTime", _TIME),
        ("extra", pa.string()),
    ]
)
AUCTION_TYPE: Final = pa.struct(
    [
        ("id", pa.int64()),
        ("itemName", pa.string()),
        ("description", pa.string()),
        ("initialBid", pa.int64()),
        ("reserve", pa.int64()),
        ("dateTime", _TIME),
        ("expires", _TIME),
        ("seller", pa.int64()),
        ("category", pa.int64()),
        ("extra", pa.string()),
    ]
)
BID_TYPE: Final = pa.struct(
    [
        ("auction", pa.int64()),
        ("bidder", pa.int64()),
        ("price", pa.int64()),
        ("channel", pa.string()),
        ("url", pa.string()),
        ("dateTime", _TIME),
        ("extra", pa.string()),
    ]
)
EVENT_SCHEMA: Final = pa.schema(
    [("event_type", pa.int32()), ("person", PERSON_TYPE), ("auction", AUCTION_TYPE), ("bid", BID_TYPE)]
)


@dataclass(frozen=True)
class NexmarkModel:
    """The parameters, with the defaults of nexmark-flink. Sizes are the average bytes of an event."""

    seed: int = 0
    base_time_ms: int = BASE_TIME_MS
    events_per_second: int = 10_000
    """Of event time."""
    person_proportion: int = 1
    auction_proportion: int = 3
    bid_proportion: int = 46
    hot_auctions: int = 2
    """A bid goes to the hot auction unless one in so many."""
    hot_bidders: int = 4
    hot_sellers: int = 4
    in_flight_auctions: int = 100
    active_people: int = 1000
    person_bytes: int = 200
    auction_bytes: int = 500
    bid_bytes: int = 100

    @property
    def epoch_events(self) -> int:
        """Events come in rounds of people, auctions, bids; so many a round."""
        return self.person_proportion + self.auction_proportion + self.bid_proportion

    def proportion(self, kind: EventKind) -> int:
        return (self.person_proportion, self.auction_proportion, self.bid_proportion)[kind]

    def kinds(self, events: Events) -> npt.NDArray[np.int32]:
        """The ``EventKind`` of each event."""
        place = events % self.epoch_events
        people = self.person_proportion
        kinds: npt.NDArray[Any] = (place >= people).astype(np.int32) + (place >= people + self.auction_proportion)
        return kinds

    def times_ms(self, events: Events) -> npt.NDArray[np.int64]:
        """Event time of each event, milliseconds since 1970."""
        times: npt.NDArray[np.int64] = self.base_time_ms + events * 1000 // self.events_per_second
        return times
