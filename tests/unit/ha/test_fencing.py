"""Orders and reports between a leader and TaskManagers that know a later, or only a former one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from millstream.core.clock import ManualClock, SystemClock
from millstream.core.errors import FencedError, NotLeaderError, UnavailableError
from millstream.core.ha.leader_address import LeaderAddress
from millstream.core.ha.leader_finder import LeaderRecord
from millstream.core.rpc.channel import Peer
from millstream.core.rpc.epoch import EPOCH_KEY, epoch_of
from millstream.core.rpc.leader_channel import BlockingLeaderPeer, LeaderPeer
from millstream.core.rpc.server import Admission, create_server
from millstream.jobmanager.ha.leader_services import LeaderServices
from millstream.jobmanager.ha.leadership import NoElection
from millstream.jobmanager.ha.lease import Lease
from millstream.jobmanager.taskmanager_peer import TaskManagerPeer
from millstream.proto.v1 import common_pb2, jobmanager_pb2, taskmanager_pb2
from millstream.proto.v1.jobmanager_pb2_grpc import (
    DispatcherServicer,
    DispatcherStub,
    add_DispatcherServicer_to_server,
)
from millstream.proto.v1.taskmanager_pb2_grpc import (
    TaskExecutorServicer,
    TaskExecutorStub,
    add_TaskExecutorServicer_to_server,
)
from millstream.taskmanager.known_leader import KnownLeader

CLOCK = SystemClock()


class Executor(TaskExecutorServicer):
    """A TaskManager that notes which slots it was asked to free."""

    def __init__(self) -> None:
        self.freed: list[int] = []

    async def FreeSlot(self, request: Any, context: Any) -> common_pb2.Empty:
        self.freed.append(request.slot)
        return common_pb2.Empty()


class Dispatcher(DispatcherServicer):
    """A JobManager that tells its name as its version; ``silent``: it does not answer."""

    def __init__(self, name: str, silent: bool = False) -> None:
        self.name = name
        self.silent = silent
        self.asked = asyncio.Event()

    async def DescribeCluster(self, request: Any, context: Any) -> jobmanager_pb2.ClusterDetails:
        self.asked.set()
        if self.silent:
            await asyncio.get_running_loop().create_future()
        return jobmanager_pb2.ClusterDetails(version=self.name)


class Election(NoElection):
    """Nobody wins; the last leader is who the test says."""

    def __init__(self) -> None:
        self.record: LeaderRecord | None = None

    def find(self) -> LeaderRecord | None:
        return self.record


class Records:
    def __init__(self) -> None:
        self.record: LeaderRecord | None = None

    def find(self) -> LeaderRecord | None:
        return self.record

    def close(self) -> None:
        return


async def serving(add: Callable[[grpc.aio.Server], None], admission: Admission | None = None) -> Any:
    """A server on a free port, with its address."""
    server = create_server(None, CLOCK, admission)
    add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"127.0.0.1:{port}"


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await work()

    asyncio.run(bounded())


def lease(epoch: int, clock: ManualClock | None = None) -> Lease:
    clock = clock or ManualClock()
    return Lease(epoch, clock, clock.monotonic_s() + 3)


def test_a_taskmanager_obeys_the_latest_leader_only_and_the_other_one_learns_of_it() -> None:
    async def work() -> None:
        executor, known = Executor(), KnownLeader()
        server, address = await serving(lambda s: add_TaskExecutorServicer_to_server(executor, s), known.admission)
        old, new = lease(3), lease(4)
        peers = {leader.epoch: TaskManagerPeer(address, None, CLOCK, leader) for leader in (old, new)}

        async def free(leader: Lease, slot: int) -> None:
            peer = peers[leader.epoch]
            await peer.call(peer.stub(TaskExecutorStub).FreeSlot, taskmanager_pb2.FreeSlotRequest(slot=slot))

        await free(old, 0)
        await free(new, 1)
        with pytest.raises(FencedError, match="leader of epoch 3; this TaskManager knows that of epoch 4"):
            await free(old, 2)
        assert "epoch 4" in await old.wait_until_lost()
        await free(new, 3)
        assert executor.freed == [0, 1, 3] and known.epoch == 4
        for peer in peers.values():
            await peer.close()
        await server.stop(None)

    run(work)


def test_a_leader_whose_lease_is_over_gives_no_order() -> None:
    async def work() -> None:
        executor, clock = Executor(), ManualClock()
        server, address = await serving(lambda s: add_TaskExecutorServicer_to_server(executor, s))
        peer = TaskManagerPeer(address, None, CLOCK, lease(1, clock))
        clock.advance(3000)
        with pytest.raises(FencedError):
            await peer.call(peer.stub(TaskExecutorStub).FreeSlot, taskmanager_pb2.FreeSlotRequest(slot=1))
        assert executor.freed == []
        await peer.close()
        await server.stop(None)

    run(work)


def test_a_taskmanager_learns_from_answers_and_without_an_election_nobody_is_refused() -> None:
    known = KnownLeader()
    assert known.admission({}) is None
    known.learn(7)
    assert isinstance(known.admission({}), FencedError)
    assert isinstance(known.admission({EPOCH_KEY: "6"}), FencedError)
    assert known.admission({EPOCH_KEY: "7"}) is None
    known.learn(5)
    assert known.epoch == 7
    assert [epoch_of({EPOCH_KEY: text}) for text in ("x", "-1", "9" * 40, "12")] == [0, 0, 0, 12]


def test_a_jobmanager_serves_when_it_leads_and_only_then() -> None:
    async def work() -> None:
        election = Election()
        services = LeaderServices(election)
        server = create_server(None, CLOCK, services.admission)
        server.add_generic_rpc_handlers((services,))
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        services.stand_by(address)
        await server.start()
        peer = Peer(address, None, CLOCK)
        describe = peer.stub(DispatcherStub).DescribeCluster
        for record, leader in ((None, ""), (LeaderRecord(1, address), ""), (LeaderRecord(2, "other:1"), "other:1")):
            election.record = record
            with pytest.raises(NotLeaderError) as refused:
                await peer.call(describe, common_pb2.Empty())
            assert refused.value.leader == leader
        clock = ManualClock()
        services.open(lease(3, clock), lambda s: add_DispatcherServicer_to_server(Dispatcher("it"), s))
        assert (await peer.call(describe, common_pb2.Empty())).version == "it"
        assert (await peer.call(describe, common_pb2.Empty(), epoch=3)).version == "it"
        clock.advance(3000)
        with pytest.raises(NotLeaderError):
            await peer.call(describe, common_pb2.Empty())
        await peer.close()
        await server.stop(None)

    run(work)


def test_what_a_taskmanager_says_to_another_leader_is_not_heard() -> None:
    async def work() -> None:
        leadership = lease(3)
        services = LeaderServices(NoElection())
        services.open(leadership, lambda s: None)
        former = services.admission({EPOCH_KEY: "2"})
        assert type(former) is UnavailableError and "has to register first" in str(former)
        leadership.check()
        assert isinstance(services.admission({EPOCH_KEY: "4"}), NotLeaderError)
        with pytest.raises(FencedError, match="registered at the leader of epoch 4"):
            leadership.check()

    run(work)


def test_calls_follow_the_leader() -> None:
    """Refused by a standby, not answered by a dead one, and waiting for an answer of a frozen one."""

    async def work() -> None:
        standby = LeaderServices(NoElection())
        first, one = await serving(lambda s: s.add_generic_rpc_handlers((standby,)), standby.admission)
        silent = Dispatcher("two", silent=True)
        second, two = await serving(lambda s: add_DispatcherServicer_to_server(silent, s))
        third, three = await serving(lambda s: add_DispatcherServicer_to_server(Dispatcher("three"), s))

        peer = LeaderPeer(LeaderAddress([one, three], None), None, CLOCK)
        details = await peer.call(peer.stub(DispatcherStub).DescribeCluster, common_pb2.Empty())
        assert details.version == "three" and peer.address == three
        await peer.close()

        records = Records()
        records.record = LeaderRecord(1, two)
        watching = LeaderPeer(LeaderAddress([], records), None, CLOCK)
        blocking = BlockingLeaderPeer(LeaderAddress([], records), None, CLOCK)
        moved = asyncio.Event()
        watching.on_moved = moved.set
        waiting = [
            asyncio.ensure_future(
                watching.call(watching.stub(DispatcherStub).DescribeCluster, common_pb2.Empty(), 600)
            ),
            asyncio.ensure_future(
                asyncio.to_thread(blocking.call, blocking.stub(DispatcherStub).DescribeCluster, common_pb2.Empty(), 600)
            ),
        ]
        await silent.asked.wait()
        records.record = LeaderRecord(2, three)
        for call in waiting:
            with pytest.raises(UnavailableError):
                await call
        await moved.wait()
        assert (
            await watching.call(watching.stub(DispatcherStub).DescribeCluster, common_pb2.Empty())
        ).version == "three"
        assert blocking.address == three
        await watching.close()
        await asyncio.to_thread(blocking.close)
        for server in (first, second, third):
            await server.stop(None)

    run(work)
