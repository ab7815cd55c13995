"""Where calls go after a failure: to whom a refusal names, to the recorded leader, else round the given addresses."""

from __future__ import annotations

from typing import Any

import pytest

from millstream.core.config import load
from millstream.core.errors import ConfigError, NotLeaderError, UnavailableError
from millstream.core.ha.leader_address import LeaderAddress
from millstream.core.ha.leader_finder import LeaderRecord
from millstream.core.ha.settings import addresses, names_jobmanager, open_finder
from millstream.core.rpc.error_info import from_proto, to_proto

NOBODY = UnavailableError("nobody answers")
STANDS_BY = NotLeaderError("stands by")


class Records:
    """A finder whose answer the test sets."""

    def __init__(self, address: str | None = None) -> None:
        self.address = address

    def find(self) -> LeaderRecord | None:
        return None if self.address is None else LeaderRecord(1, self.address)

    def close(self) -> None:
        return


def test_a_single_address_stays() -> None:
    leader = LeaderAddress(["one:1"], None)
    assert not leader.follow("one:1", NOBODY) and leader.current() == "one:1"
    assert not leader.may_move


def test_several_addresses_are_tried_in_turn() -> None:
    leader = LeaderAddress(["one:1", "two:2"], None)
    assert leader.may_move
    assert leader.follow("one:1", NOBODY) and leader.current() == "two:2"
    assert leader.follow("two:2", STANDS_BY) and leader.current() == "one:1"


def test_a_refusal_that_names_the_leader_leads_there() -> None:
    leader = LeaderAddress(["one:1", "two:2"], None)
    assert leader.follow("one:1", NotLeaderError("stands by", leader="three:3")) and leader.current() == "three:3"
    assert leader.follow("three:3", NOBODY) and leader.current() == "one:1"


def test_calls_that_fail_together_move_once() -> None:
    leader = LeaderAddress(["one:1", "two:2"], None)
    assert leader.follow("one:1", NOBODY)
    assert leader.follow("one:1", NOBODY) and leader.current() == "two:2"


def test_the_record_counts_more_than_given_addresses() -> None:
    records = Records("two:2")
    leader = LeaderAddress(["one:1"], records)
    assert leader.current() == "two:2"
    assert not leader.follow("two:2", NOBODY) and leader.current() == "two:2"
    records.address = "three:3"
    assert leader.follow("two:2", NOBODY) and leader.current() == "three:3"
    records.address = None
    assert leader.follow("three:3", NOBODY) and leader.current() == "one:1"


def test_before_the_first_leader_there_is_no_address() -> None:
    records = Records()
    leader = LeaderAddress([], records)
    with pytest.raises(UnavailableError, match="no JobManager leads"):
        leader.current()
    records.address = "one:1"
    assert leader.current() == "one:1"


def test_the_leaders_address_travels_with_a_refusal() -> None:
    received = from_proto(to_proto(NotLeaderError("stands by", leader="one:1")))
    assert isinstance(received, NotLeaderError) and received.leader == "one:1" and str(received) == "stands by"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, ["127.0.0.1:6123"]),
        ("host", ["host:6123"]),
        ("one, two:7", ["one:6123", "two:7"]),
        ("::1", ["[::1]:6123"]),
        ("[::1]:7", ["[::1]:7"]),
    ],
)
def test_addresses_in_settings(text: str | None, found: list[str]) -> None:
    assert addresses(load(overrides={"jobmanager.rpc.address": text})) == found


@pytest.mark.parametrize("text", ["one:x", "one,", "a b", ":7"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected HOST"):
        addresses(load(overrides={"jobmanager.rpc.address": text}))


def test_with_an_election_no_address_is_needed(tmp_path: Any) -> None:
    settings = load(overrides={"high-availability.type": "file", "high-availability.storageDir": str(tmp_path)})
    assert addresses(settings) == [] and names_jobmanager(settings) and open_finder(settings) is not None
    assert not names_jobmanager(load()) and open_finder(load()) is None


@pytest.mark.parametrize("place", [None, "s3://bucket/ha"])
def test_a_file_lease_needs_a_directory_of_this_machine(place: str | None) -> None:
    settings = load(overrides={"high-availability.type": "file", "high-availability.storageDir": place})
    with pytest.raises(ConfigError, match="storageDir"):
        open_finder(settings)
