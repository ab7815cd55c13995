"""Election by a real ZooKeeper server: leaders that die, are frozen or cut off; clusters of real processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from millstream.core.clock import SystemClock
from millstream.core.config import load
from millstream.core.errors import FencedError, UnavailableError
from millstream.core.ha.leader_finder import LeaderRecord
from millstream.core.ha.settings import open_finder
from millstream.jobmanager.ha.elections import open_election
from millstream.jobmanager.ha.leadership import LeaderElection
from millstream.testing import MiniCluster
from tests.integration.ha.programs import freeze_the_leader_and_let_it_lead_again
from tests.integration.ha.zookeeper_server import HOW_TO_INSTALL, INSTALLED, ZooKeeperServer
from tests.integration.jobmanager.jobmanagers import wait_until

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not INSTALLED, reason=HOW_TO_INSTALL),
]
CLOCK = SystemClock()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeperServer]:
    started = ZooKeeperServer(tmp_path_factory.mktemp("zookeeper"))
    yield started
    started.close()


@pytest.fixture
def settings(server: ZooKeeperServer, tmp_path: Path) -> dict[str, str]:
    """Of a cluster that the server does not know yet."""
    return {
        "high-availability.type": "zookeeper",
        "high-availability.zookeeper.quorum": server.quorum,
        "high-availability.zookeeper.client.session-timeout": "6 s",
        "high-availability.storageDir": str(tmp_path / "ha"),
        "high-availability.cluster-id": tmp_path.name,
    }


def election(settings: dict[str, str]) -> LeaderElection:
    return open_election(load(overrides=settings), CLOCK)


def test_leaders_follow_each_other_with_growing_epochs(settings: dict[str, str]) -> None:
    async def run() -> None:
        finder = open_finder(load(overrides=settings))
        assert finder is not None and finder.find() is None
        for epoch in (1, 2, 3):
            first, second = election(settings), election(settings)
            one = await asyncio.wait_for(first.lead("one:1"), 60)
            waiting = asyncio.ensure_future(second.lead("two:2"))
            assert one.epoch == 2 * epoch - 1
            one.check()
            await first.close()
            with pytest.raises(FencedError, match="given back"):
                one.check()
            two = await asyncio.wait_for(waiting, 60)
            assert two.epoch == 2 * epoch
            await asyncio.to_thread(
                wait_until, lambda e=epoch: finder.find() == LeaderRecord(2 * e, "two:2"), "the finder sees the leader"
            )
            await second.close()
        finder.close()

    asyncio.run(run())


def test_a_leader_without_a_server_stops_believing_and_the_next_one_has_another_epoch(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    server = ZooKeeperServer(tmp_path)
    settings["high-availability.zookeeper.quorum"] = server.quorum

    async def run() -> None:
        first = election(settings)
        lease = await asyncio.wait_for(first.lead("one:1"), 60)
        server.kill()
        reason = await asyncio.wait_for(lease.wait_until_lost(), 60)
        assert "not renewed in time" in reason
        await first.close()
        again = election(settings)
        leading = asyncio.ensure_future(again.lead("one:1"))
        server.start()
        assert (await asyncio.wait_for(leading, 60)).epoch == 2
        await again.close()

    try:
        asyncio.run(run())
    finally:
        server.close()


def test_of_many_contenders_one_leads(settings: dict[str, str]) -> None:
    async def run() -> None:
        contenders = [election(settings) for _ in range(6)]
        leading = {asyncio.ensure_future(contender.lead("it:1")): contender for contender in contenders}
        epochs = []
        while leading:
            done, _ = await asyncio.wait(leading, timeout=60, return_when=asyncio.FIRST_COMPLETED)
            assert len(done) == 1
            won = done.pop()
            epochs.append(won.result().epoch)
            await leading.pop(won).close()
        assert epochs == [1, 2, 3, 4, 5, 6]

    asyncio.run(run())


def test_a_server_that_does_not_answer_is_named() -> None:
    settings = {
        "high-availability.type": "zookeeper",
        "high-availability.zookeeper.quorum": "127.0.0.1:1",
        "high-availability.zookeeper.client.connection-timeout": "1 s",
    }
    with pytest.raises(UnavailableError, match=r"no ZooKeeper server answers at 127\.0\.0\.1:1 within 1 s"):
        open_finder(load(overrides=settings))


def test_a_cluster_goes_on_when_its_leader_is_killed_or_frozen(settings: dict[str, str]) -> None:
    with MiniCluster(taskmanagers=1, slots=1, configuration=settings, jobmanagers=2) as cluster:
        freeze_the_leader_and_let_it_lead_again(cluster, slots=1, count=10)
