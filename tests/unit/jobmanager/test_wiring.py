"""Each exchange gives each subtask the right channels, and both ends agree on them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.jobmanager.scheduling.wiring import consumers_of, producers_of
from millstream.proto.v1 import job_graph_pb2

ALL = sorted(number for number in job_graph_pb2.Exchange.values() if number != job_graph_pb2.EXCHANGE_UNSPECIFIED)
POINTWISE = [job_graph_pb2.EXCHANGE_FORWARD, job_graph_pb2.EXCHANGE_RESCALE]
ALL_TO_ALL = [number for number in ALL if number not in POINTWISE]
COUNTS = st.integers(1, 40)


def channels(exchange: int, producers: int, consumers: int) -> list[list[int]]:
    return [consumers_of(exchange, producer, producers, consumers) for producer in range(producers)]


@pytest.mark.parametrize("exchange", ALL_TO_ALL, ids=lambda number: job_graph_pb2.Exchange.Name(number))
def test_every_producer_feeds_every_consumer(exchange: int) -> None:
    assert channels(exchange, 2, 3) == [[0, 1, 2]] * 2
    assert [producers_of(exchange, consumer, 2, 3) for consumer in range(3)] == [[0, 1]] * 3


@pytest.mark.parametrize(
    ("producers", "consumers", "expected"),
    [
        (1, 1, [[0]]),
        (3, 3, [[0], [1], [2]]),
        (1, 3, [[0, 1, 2]]),
        (2, 4, [[0, 1], [2, 3]]),
        (2, 3, [[0, 1], [2]]),
        (4, 2, [[0], [0], [1], [1]]),
        (3, 2, [[0], [0], [1]]),
        (3, 1, [[0], [0], [0]]),
    ],
)
def test_rescale_connects_contiguous_groups(producers: int, consumers: int, expected: list[list[int]]) -> None:
    assert channels(job_graph_pb2.EXCHANGE_RESCALE, producers, consumers) == expected


def test_forward_connects_equal_indices() -> None:
    assert channels(job_graph_pb2.EXCHANGE_FORWARD, 4, 4) == [[0], [1], [2], [3]]


@given(exchange=st.sampled_from(ALL), producers=COUNTS, consumers=COUNTS)
def test_both_ends_agree_and_nobody_is_left_out(exchange: int, producers: int, consumers: int) -> None:
    forth = {(p, c) for p in range(producers) for c in consumers_of(exchange, p, producers, consumers)}
    back = {(p, c) for c in range(consumers) for p in producers_of(exchange, c, producers, consumers)}
    assert forth == back
    assert {p for p, _ in forth} == set(range(producers)) and {c for _, c in forth} == set(range(consumers))


@given(producers=COUNTS, consumers=COUNTS)
def test_rescale_makes_no_more_channels_than_it_must_and_spreads_them(producers: int, consumers: int) -> None:
    fed = channels(job_graph_pb2.EXCHANGE_RESCALE, producers, consumers)
    assert sum(map(len, fed)) == max(producers, consumers)
    assert max(map(len, fed)) - min(map(len, fed)) <= 1
    assert [c for group in fed for c in group] == sorted(c for group in fed for c in group)
