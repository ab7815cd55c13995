"""The words that fields choose from."""

from __future__ import annotations

import functools
import itertools
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millstream.connectors.counter_hash import stream_key
from millstream.connectors.nexmark.kernels import fill_text

STATES: Final = pa.array(["AZ", "CA", "ID", "OR", "WA", "WY"])
CITIES: Final = pa.array(
    ["Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne"]
)
NAMES: Final = pa.array(
    [
        f"{first} {last}"
        for first, last in itertools.product(
            ["Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter"],
            ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"],
        )
    ]
)
HOT_CHANNELS: Final = ("Google", "Facebook", "Baidu", "Apple")
COLD_CHANNELS: Final = 10_000
CHANNELS: Final = pa.array([*HOT_CHANNELS, *(f"channel-{i}" for i in range(COLD_CHANNELS))])
_URL_STREAM: Final = 1000


@functools.lru_cache(maxsize=4)
def channel_urls(seed: int) -> pa.Array:
    """The page behind each of ``CHANNELS``; nine in ten of the cold ones say ``&channel_id=``."""
    numbers = np.arange(len(CHANNELS), dtype=np.int64)
    parts = [random_text(numbers, stream_key(seed, _URL_STREAM + i), 5) for i in range(3)]
    folders = [pc.replace_substring(part, " ", "_") for part in parts]
    tails = ["item.htm?query=1" + _channel_id(seed, i - len(HOT_CHANNELS)) for i in range(len(CHANNELS))]
    return pc.binary_join_element_wise("https://www.nexmark.com", *folders, pa.array(tails), "/")


def random_text(events: np.ndarray[tuple[int], np.dtype[np.int64]], key: np.uint64, length_max: int) -> pa.Array:
    """A text for each event, see ``fill_text``."""
    offsets = np.empty(len(events) + 1, np.int32)
    data = np.empty(len(events) * length_max, np.uint8)
    used = fill_text(events, key, length_max, offsets, data)
    return pa.StringArray.from_buffers(len(events), pa.py_buffer(offsets), pa.py_buffer(data[:used].copy()))


def _channel_id(seed: int, channel: int) -> str:
    """The bits of the channel's number in reverse, as nexmark-flink has it."""
    if channel < 0 or int(stream_key(seed, _URL_STREAM + 3 + channel)) % 10 == 0:
        return ""
    reverse = int(f"{channel:032b}"[::-1], 2)
    return f"&channel_id={reverse if reverse < 2**31 else 2**32 - reverse}"
