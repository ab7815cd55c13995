"""Random numbers by position: draw ``n`` of a stream is a function of the stream's key and ``n``.

So generators give the same rows from any position, in any batches, at any parallelism.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

_U64 = 2**64 - 1
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def stream_key(seed: int, stream: int) -> np.uint64:
    """The key of one of the streams of a seed: two rounds of SplitMix64's finaliser."""
    key = seed & _U64
    for add in (0x9E3779B97F4A7C15, (stream + 1) * 0xD1342543DE82EF95):
        key = (key + add) & _U64
        key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & _U64
        key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & _U64
        key ^= key >> 31
    return np.uint64(key)


@numba.njit(cache=True, nogil=True)
def draw(key: np.uint64, number: int) -> Any:
    """64 random bits: number ``number`` of SplitMix64 started at ``key``."""
    x = key + np.uint64(number) * _GAMMA
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@numba.njit(cache=True, nogil=True)
def below(key: np.uint64, number: int, bound: int) -> Any:
    """A number from 0 to ``bound - 1``; ``bound`` is positive and less than 2**32."""
    return np.int64(((draw(key, number) >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@numba.njit(cache=True, nogil=True)
def fill_draws(key: np.uint64, numbers: npt.NDArray[np.int64], out: npt.NDArray[np.uint64]) -> None:
    """``draw`` for each of ``numbers``."""
    for i in range(len(numbers)):
        out[i] = draw(key, numbers[i])
