"""The fields of people, auctions and bids: one function a field, over the events of one kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millstream.connectors.counter_hash import stream_key
from millstream.connectors.nexmark import kernels, words
from millstream.connectors.nexmark.model import CATEGORIES, FIRST_CATEGORY, EventKind, Events, NexmarkModel

_ID_BYTES: Final = 8


class KindRows:
    """Some events of one kind, and the fields made of them so far. Fields have no nulls and no offset."""

    def __init__(self, model: NexmarkModel, kind: EventKind, events: Events) -> None:
        self.model = model
        self.kind = kind
        self.events = events
        self._made: dict[str, pa.Array] = {}

    def field(self, name: str) -> pa.Array:
        """The field, of as many rows as there are events."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = FIELDS[self.kind][name](self)
        return made

    def key(self, stream: int) -> np.uint64:
        """Of a stream of draws; streams are numbered from 0 within a kind."""
        return stream_key(self.model.seed, 100 * self.kind + stream)

    def out(self) -> npt.NDArray[np.int64]:
        return np.empty(len(self.events), np.int64)

    def chosen(self, table: pa.Array, stream: int) -> pa.Array:
        """A random one of ``table`` for each event."""
        places = self.out()
        kernels.choices(self.events, self.key(stream), len(table), places)
        return table.take(pa.array(places))

    def prices(self, stream: int) -> npt.NDArray[np.int64]:
        out = self.out()
        kernels.prices(self.events, self.key(stream), out)
        return out

    def text(self, stream: int, length_max: int) -> pa.Array:
        return words.random_text(self.events, self.key(stream), length_max)

    def extra(self, average: int, fixed: int, texts: tuple[str, ...], stream: int) -> pa.Array:
        """Letters that bring the event to ``average`` bytes; it has ``fixed`` bytes and the fields ``texts``."""
        sizes = np.full(len(self.events), fixed, np.int64)
        for name in texts:
            sizes += np.diff(_offsets(self.field(name)))
        offsets = np.empty(len(self.events) + 1, np.int32)
        total = kernels.extra_offsets(self.events, self.key(stream), sizes, average, offsets)
        data = np.empty(total, np.uint8)
        kernels.fill_letters(self.events, self.key(stream + 1), offsets, data)
        return pa.StringArray.from_buffers(len(self.events), pa.py_buffer(offsets), pa.py_buffer(data))


def _offsets(texts: pa.Array) -> npt.NDArray[np.int32]:
    return np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1)


def _times(times_ms: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(times_ms).view(pa.timestamp("ms"))


def _date_time(rows: KindRows) -> pa.Array:
    return _times(rows.model.times_ms(rows.events))


def _person_id(rows: KindRows) -> pa.Array:
    out = rows.out()
    kernels.people_ids(rows.events, rows.model.person_proportion, rows.model.epoch_events, out)
    return pa.array(out)


def _email(rows: KindRows) -> pa.Array:
    return pc.binary_join_element_wise(rows.text(2, 7), "@", rows.text(3, 5), ".com", "")


def _credit_card(rows: KindRows) -> pa.Array:
    count = len(rows.events)
    data = np.empty(count * 19, np.uint8)
    kernels.fill_cards(rows.events, rows.key(4), data)
    offsets = np.arange(0, 19 * (count + 1), 19, dtype=np.int32)
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(data))


def _person_extra(rows: KindRows) -> pa.Array:
    texts = ("name", "emailAddress", "creditCard", "city", "state")
    return rows.extra(rows.model.person_bytes, _ID_BYTES, texts, 8)


def _auction_id(rows: KindRows) -> pa.Array:
    model, out = rows.model, rows.out()
    kernels.auction_ids(rows.events, model.person_proportion, model.auction_proportion, model.epoch_events, out)
    return pa.array(out)


def _reserve(rows: KindRows) -> pa.Array:
    return pa.array(rows.prices(2) + rows.prices(3))


def _expires(rows: KindRows) -> pa.Array:
    """Auctions last as long as it takes, on average, until ``in_flight_auctions`` more have begun."""
    model = rows.model
    now = model.times_ms(rows.events)
    ahead = model.in_flight_auctions * model.epoch_events // model.auction_proportion
    bounds = np.maximum(2 * (model.times_ms(rows.events + ahead) - now), 1)
    out = rows.out()
    kernels.choices_below(rows.events, rows.key(4), bounds, out)
    return _times(now + 1 + out)


def _seller(rows: KindRows) -> pa.Array:
    model, out, keys = rows.model, rows.out(), (rows.key(5), rows.key(6))
    people, epoch = model.person_proportion, model.epoch_events
    kernels.some_people(rows.events, people, epoch, model.active_people, model.hot_sellers, 0, keys, out)
    return pa.array(out)


def _category(rows: KindRows) -> pa.Array:
    out = rows.out()
    kernels.choices(rows.events, rows.key(7), CATEGORIES, out)
    return pa.array(FIRST_CATEGORY + out)


def _auction_extra(rows: KindRows) -> pa.Array:
    return rows.extra(rows.model.auction_bytes, 6 * _ID_BYTES, ("itemName", "description"), 8)


def _bid_auction(rows: KindRows) -> pa.Array:
    model, out, keys = rows.model, rows.out(), (rows.key(0), rows.key(1))
    people, auctions, epoch = model.person_proportion, model.auction_proportion, model.epoch_events
    in_flight, hot = model.in_flight_auctions, model.hot_auctions
    kernels.some_auctions(rows.events, people, auctions, epoch, in_flight, hot, keys, out)
    return pa.array(out)


def _bidder(rows: KindRows) -> pa.Array:
    """The hot bidder is the second of a hundred people, for the first is the hot seller."""
    model, out, keys = rows.model, rows.out(), (rows.key(2), rows.key(3))
    people, epoch = model.person_proportion, model.epoch_events
    kernels.some_people(rows.events, people, epoch, model.active_people, model.hot_bidders, 1, keys, out)
    return pa.array(out)


def _channel_of(rows: KindRows, table: pa.Array) -> pa.Array:
    places = rows.out()
    keys = (rows.key(5), rows.key(6))
    kernels.channel_places(rows.events, len(words.HOT_CHANNELS), words.COLD_CHANNELS, keys, places)
    return table.take(pa.array(places))


Field = Callable[[KindRows], pa.Array]
FIELDS: Final[Mapping[EventKind, Mapping[str, Field]]] = {
    EventKind.PERSON: {
        "id": _person_id,
        "name": lambda rows: rows.chosen(words.NAMES, 1),
        "emailAddress": _email,
        "creditCard": _credit_card,
        "city": lambda rows: rows.chosen(words.CITIES, 5),
        "state": lambda rows: rows.chosen(words.STATES, 6),
        "dateTime": _date_time,
        "extra": _person_extra,
    },
    EventKind.AUCTION: {
        "id": _auction_id,
        "itemName": lambda rows: rows.text(0, 20),
        "description": lambda rows: rows.text(1, 100),
        "initialBid": lambda rows: pa.array(rows.prices(2)),
        "reserve": _reserve,
        "dateTime": _date_time,
        "expires": _expires,
        "seller": _seller,
        "category": _category,
        "extra": _auction_extra,
    },
    EventKind.BID: {
        "auction": _bid_auction,
        "bidder": _bidder,
        "price": lambda rows: pa.array(rows.prices(4)),
        "channel": lambda rows: _channel_of(rows, words.CHANNELS),
        "url": lambda rows: _channel_of(rows, words.channel_urls(rows.model.seed)),
        "dateTime": _date_time,
        "extra": lambda rows: rows.extra(rows.model.bid_bytes, 4 * _ID_BYTES, (), 7),
    },
}
