"""A file lease: one leader at a time, epochs that grow, dead and silent owners replaced."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from millstream.core.clock import SystemClock
from millstream.core.errors import FencedError
from millstream.core.ha.leader_files import LeaderFiles, epochs_in, leader_file
from millstream.core.ha.leader_finder import LeaderRecord
from millstream.jobmanager.ha.file_election import RECORDS_KEPT, FileElection, look, take

CLOCK = SystemClock()
LONG_S = 600.0
"""A lease that ends in no test by its time."""


def election(directory: Path, timeout_s: float = LONG_S) -> FileElection:
    return FileElection(directory / "leader", timeout_s, CLOCK)


def test_the_first_leads_and_the_next_when_it_gives_back(tmp_path: Path) -> None:
    async def run() -> None:
        first, second = election(tmp_path), election(tmp_path)
        one = await first.lead("one:1")
        assert one.epoch == 1 and LeaderFiles(tmp_path / "leader").find() == LeaderRecord(1, "one:1")
        waiting = asyncio.ensure_future(second.lead("two:2"))
        await asyncio.wait([waiting], timeout=0.3)  # it looks some times, and finds the lock held
        assert not waiting.done()
        one.check()
        await first.close()
        two = await asyncio.wait_for(waiting, 30)
        assert two.epoch == 2 and LeaderFiles(tmp_path / "leader").find() == LeaderRecord(2, "two:2")
        two.check()
        await second.close()

    asyncio.run(run())


def test_an_owner_that_does_not_renew_is_replaced_and_does_not_believe_any_more(tmp_path: Path) -> None:
    async def run() -> None:
        directory = tmp_path / "leader"
        directory.mkdir()
        silent = take(directory, 1, "silent:1", CLOCK)
        assert silent is not None
        second = election(tmp_path, timeout_s=0.5)
        lease = await asyncio.wait_for(second.lead("two:2"), 30)
        assert lease.epoch == 2
        assert CLOCK.monotonic_s() >= silent.made_s + 0.5
        os.close(silent.descriptor)
        await second.close()

    asyncio.run(run())


def test_a_leader_that_renews_keeps_the_lease_beyond_its_timeout(tmp_path: Path) -> None:
    async def run() -> None:
        first, second = election(tmp_path, 0.9), election(tmp_path, 0.9)
        lease = await first.lead("one:1")
        waiting = asyncio.ensure_future(second.lead("two:2"))
        renewals: set[int] = set()
        while len(renewals) < 5:  # longer than the time-out
            renewals.add(leader_file(tmp_path / "leader", 1).stat().st_mtime_ns)
            await asyncio.wait([waiting], timeout=0.05)
        assert not waiting.done() and epochs_in(tmp_path / "leader") == [1]
        lease.check()
        await second.close()
        with pytest.raises(FencedError):
            await waiting
        await first.close()

    asyncio.run(run())


@pytest.mark.parametrize("remove", [False, True])
def test_a_leader_notices_a_higher_epoch_and_the_loss_of_its_record(tmp_path: Path, remove: bool) -> None:
    async def run() -> None:
        first = election(tmp_path, timeout_s=1.0)
        lease = await first.lead("one:1")
        if remove:
            leader_file(tmp_path / "leader", 1).unlink()
        else:
            leader_file(tmp_path / "leader", 2).write_text("{}")
        assert await asyncio.wait_for(lease.wait_until_lost(), 30) == "another JobManager leads"
        with pytest.raises(FencedError):
            lease.check()
        await first.close()

    asyncio.run(run())


def test_of_many_that_take_an_epoch_one_gets_it(tmp_path: Path) -> None:
    contenders = 8
    for epoch in range(1, 40):
        together = threading.Barrier(contenders)

        def contend(number: int, epoch: int = epoch, together: threading.Barrier = together) -> int | None:
            together.wait()
            claim = take(tmp_path, epoch, f"{number}:1", CLOCK)
            if claim is not None:
                sighting = look(tmp_path)
                assert sighting is not None and sighting.is_held
                os.close(claim.descriptor)
            return number if claim is not None else None

        with ThreadPoolExecutor(contenders) as pool:
            winners = [number for number in pool.map(contend, range(contenders)) if number is not None]
        assert len(winners) == 1
        assert LeaderFiles(tmp_path).find() == LeaderRecord(epoch, f"{winners[0]}:1")
    assert len(epochs_in(tmp_path)) <= RECORDS_KEPT
    assert not list(tmp_path.glob(".leader-*"))


def test_one_that_comes_late_with_a_forgotten_epoch_does_not_lead(tmp_path: Path) -> None:
    for epoch in range(1, RECORDS_KEPT + 5):
        claim = take(tmp_path, epoch, "one:1", CLOCK)
        assert claim is not None
        os.close(claim.descriptor)
    assert 1 not in epochs_in(tmp_path)
    assert take(tmp_path, 1, "late:1", CLOCK) is None


def test_a_damaged_record_names_nobody(tmp_path: Path) -> None:
    assert LeaderFiles(tmp_path / "none").find() is None
    leader_file(tmp_path, 3).write_text("not json")
    assert LeaderFiles(tmp_path).find() is None
