"""The loops of the generator. ``events`` are event numbers; ``key`` selects an independent stream of draws."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from millstream.connectors.counter_hash import below, draw
from millstream.connectors.nexmark.model import FIRST_ID, HOT_EVERY, ID_LEAD

Int64s = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]
Bytes = npt.NDArray[np.uint8]

_WORD = np.uint64(0xD1342543DE82EF95)
_TEXT_LENGTH_MIN = 3


@numba.njit(cache=True, nogil=True)
def last_person(event: int, people: int, epoch: int) -> int:
    """The number (from 0) of the newest person at ``event``."""
    return event // epoch * people + min(event % epoch, people - 1)


@numba.njit(cache=True, nogil=True)
def last_auction(event: int, people: int, auctions: int, epoch: int) -> int:
    """The number (from 0) of the newest auction at ``event``; -1 before the first."""
    place = event % epoch - people
    before = event // epoch * auctions
    return before - 1 if place < 0 else before + min(place, auctions - 1)


@numba.njit(cache=True, nogil=True)
def people_ids(events: Int64s, people: int, epoch: int, out: Int64s) -> None:
    for i in range(len(events)):
        out[i] = FIRST_ID + last_person(events[i], people, epoch)


@numba.njit(cache=True, nogil=True)
def auction_ids(events: Int64s, people: int, auctions: int, epoch: int, out: Int64s) -> None:
    for i in range(len(events)):
        out[i] = FIRST_ID + last_auction(events[i], people, auctions, epoch)


@numba.njit(cache=True, nogil=True)
def some_people(
    events: Int64s, people: int, epoch: int, active: int, hot: int, hot_place: int, keys: Any, out: Int64s
) -> None:
    """A person for each event: all but one in ``hot`` times number ``hot_place`` of the newest hundred, else one of
    the ``active`` newest or of the few to come. ``keys``: two."""
    for i in range(len(events)):
        event = events[i]
        newest = last_person(event, people, epoch)
        if below(keys[0], event, hot) > 0:
            out[i] = FIRST_ID + newest // HOT_EVERY * HOT_EVERY + hot_place
        else:
            among = min(newest + 1, active)
            out[i] = FIRST_ID + newest + 1 - among + below(keys[1], event, among + ID_LEAD)


@numba.njit(cache=True, nogil=True)
def some_auctions(
    events: Int64s, people: int, auctions: int, epoch: int, in_flight: int, hot: int, keys: Any, out: Int64s
) -> None:
    """An auction for each bid: all but one in ``hot`` times the first of the newest hundred, else one of those in
    flight or of the few to come. ``keys``: two."""
    for i in range(len(events)):
        event = events[i]
        newest = last_auction(event, people, auctions, epoch)
        if below(keys[0], event, hot) > 0:
            out[i] = FIRST_ID + newest // HOT_EVERY * HOT_EVERY
        else:
            oldest = max(newest - in_flight, 0)
            out[i] = FIRST_ID + oldest + below(keys[1], event, newest - oldest + 1 + ID_LEAD)


@numba.njit(cache=True, nogil=True)
def prices(events: Int64s, key: np.uint64, out: Int64s) -> None:
    """Cents from 100 to 100 million, their logarithm uniform."""
    for i in range(len(events)):
        unit = np.float64(draw(key, events[i]) >> np.uint64(11)) * (1.0 / 9007199254740992.0)
        out[i] = np.int64(math.floor(math.exp(unit * (6.0 * math.log(10.0))) * 100.0 + 0.5))


@numba.njit(cache=True, nogil=True)
def choices(events: Int64s, key: np.uint64, bound: int, out: Int64s) -> None:
    """``below(bound)`` for each event."""
    for i in range(len(events)):
        out[i] = below(key, events[i], bound)


@numba.njit(cache=True, nogil=True)
def choices_below(events: Int64s, key: np.uint64, bounds: Int64s, out: Int64s) -> None:
    """``below`` for each event, of a bound of its own."""
    for i in range(len(events)):
        out[i] = below(key, events[i], bounds[i])


@numba.njit(cache=True, nogil=True)
def channel_places(events: Int64s, hot: int, cold: int, keys: Any, out: Int64s) -> None:
    """Half of the bids come from the ``hot`` first channels, the others from the ``cold`` next. ``keys``: two."""
    for i in range(len(events)):
        event = events[i]
        if below(keys[0], event, 2) > 0:
            out[i] = below(keys[1], event, hot)
        else:
            out[i] = hot + below(keys[1], event, cold)


@numba.njit(cache=True, nogil=True)
def extra_offsets(events: Int64s, key: np.uint64, sizes: Int64s, average: int, offsets: Int32s) -> int:
    """Offsets of texts that bring events of ``sizes`` bytes to ``average`` bytes, give or take a fifth of the text."""
    total = 0
    offsets[0] = 0
    for i in range(len(events)):
        wanted = average - sizes[i]
        if wanted > 0:
            spread = math.floor(wanted * 0.2 + 0.5)
            total += wanted - spread
            if spread > 0:
                total += below(key, events[i], 2 * spread)
        offsets[i + 1] = total
    return total


@numba.njit(cache=True, nogil=True)
def fill_letters(events: Int64s, key: np.uint64, offsets: Int32s, data: Bytes) -> None:
    """Random letters a-z from each offset to the next."""
    for i in range(len(events)):
        event = events[i]
        place = offsets[i]
        stop = offsets[i + 1]
        word = key
        while place < stop:
            bits = draw(word, event)
            for _ in range(min(8, stop - place)):
                data[place] = np.uint8(97) + np.uint8(((bits & np.uint64(255)) * np.uint64(26)) >> np.uint64(8))
                bits >>= np.uint64(8)
                place += 1
            word += _WORD


@numba.njit(cache=True, nogil=True)
def fill_text(events: Int64s, key: np.uint64, length_max: int, offsets: Int32s, data: Bytes) -> int:
    """Texts of 3 to ``length_max - 1`` letters, one in thirteen a space, trimmed. ``data`` has room for the longest;
    the bytes used are returned."""
    place = 0
    offsets[0] = 0
    for i in range(len(events)):
        event = events[i]
        start = place
        word = key + _WORD
        bits = np.uint64(0)
        for c in range(_TEXT_LENGTH_MIN + below(key, event, length_max - _TEXT_LENGTH_MIN)):
            if c & 3 == 0:
                bits = draw(word, event)
                word += _WORD
            thirteenth = (bits & np.uint64(0xFFFF)) * np.uint64(13)
            bits >>= np.uint64(16)
            if thirteenth >> np.uint64(16) > 0:
                letter = ((thirteenth & np.uint64(0xFFFF)) * np.uint64(26)) >> np.uint64(16)
                data[place] = np.uint8(97) + np.uint8(letter)
                place += 1
            elif place > start:
                data[place] = np.uint8(32)
                place += 1
        while place > start and data[place - 1] == 32:
            place -= 1
        offsets[i + 1] = place
    return place


@numba.njit(cache=True, nogil=True)
def fill_cards(events: Int64s, key: np.uint64, data: Bytes) -> None:
    """Credit card numbers, ``1234 5678 9012 3456``: 19 bytes each."""
    for i in range(len(events)):
        place = i * 19
        word = key
        for group in range(4):
            if group > 0:
                data[place - 1] = np.uint8(32)
            number = below(word, events[i], 10_000)
            word += _WORD
            for digit in range(4):
                data[place + 3 - digit] = np.uint8(48) + np.uint8(number % 10)
                number //= 10
            place += 5
