"""What processes take from their machine, replaced for a run: clock, chance, network, threads, disk, forks.

Everything else is the product as it is: ``JobManager`` and ``TaskManager`` are started like their ``main`` does.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final
from unittest import mock

from millstream.core.clock import SystemClock
from tests.sim import election
from tests.sim.disk import SimDisk, SimStorage
from tests.sim.loop import PROCESS, SimLoop
from tests.sim.net import SimNet, nothing
from tests.sim.rpc import NET, SimChannel, SimServer, wait_until_refused
from tests.sim.slots import SimSlot, SimSlotProcess, SimSlots, state_of
from tests.sim.sockets import OPEN, SimListener, dial
from tests.sim.worker import SimExecutor

WALL_MS: Final = 1_700_000_000_000
"""The time at which every simulation begins. It lies in the past, so that real files are newer."""


class NoMetrics:
    """Takes the place of ``MetricsServer``."""

    address = ""

    def __init__(self, *_: Any) -> None:
        pass

    def close(self) -> None:
        pass


@contextlib.contextmanager
def simulated_machine(loop: SimLoop, net: SimNet, disk: SimDisk, chance: random.Random) -> Iterator[None]:
    """Within, the product runs on these."""
    directory = Path(tempfile.mkdtemp(prefix="millstream-sim-", dir=_memory()))
    numbers = iter(range(1, 1 << 30))

    def make_directory(prefix: str = "", dir: Any = None, suffix: str = "") -> str:
        made = directory / f"{prefix}{next(numbers)}{suffix}"
        made.mkdir()
        return str(made)

    SimStorage.disk = disk
    NET[:] = [net]
    OPEN.clear()
    election.LEASES[:] = [election.Leases(random.Random(chance.random()))]
    SimSlot.everyone.clear()
    clock = {"monotonic_s": lambda self: loop.now_s, "wall_ms": lambda self: WALL_MS + int(loop.now_s * 1000)}
    seeded = SimpleNamespace(Random=lambda *_: random.Random(chance.random()))
    replaced: dict[str, Any] = {
        "grpc.aio.server": SimServer,
        "grpc.aio.insecure_channel": SimChannel,
        "secrets.token_hex": lambda count=32: chance.randbytes(count).hex(),
        "secrets.token_bytes": chance.randbytes,
        "tempfile.mkdtemp": make_directory,
        "millstream.core.rpc.server.check_free": nothing,
        "millstream.core.checkpoint.storage.LocalStorage": SimStorage,
        "millstream.jobmanager.main.MetricsServer": NoMetrics,
        "millstream.jobmanager.main.open_election": election.open_election,
        "millstream.jobmanager.main.start_over": election.start_over,
        "millstream.core.ha.leader_address.open_finder": election.open_finder,
        "millstream.core.rpc.channel.Peer.wait_until_refused": wait_until_refused,
        "millstream.jobmanager.leader.random": seeded,
        "millstream.jobmanager.job_master.ThreadPoolExecutor": SimExecutor,
        "millstream.taskmanager.main.MetricsServer": NoMetrics,
        "millstream.taskmanager.main.Slots": SimSlots,
        "millstream.taskmanager.main.host_id": lambda: PROCESS.get().machine,
        "millstream.taskmanager.slots.SlotProcess": SimSlotProcess,
        "millstream.taskmanager.pulse.state_of": state_of,
        "millstream.taskmanager.network.environment.Listener": SimListener,
        "millstream.taskmanager.network.environment.keep_freed_memory": nothing,
        "millstream.taskmanager.network.fetching.dial": dial,
        "millstream.taskmanager.checkpointing.writer.ThreadPoolExecutor": SimExecutor,
        "millstream.taskmanager.task.deploy.gc": SimpleNamespace(disable=nothing, enable=nothing, freeze=nothing),
    }
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        for name, reading in clock.items():
            stack.enter_context(mock.patch.object(SystemClock, name, reading))
        for name, replacement in replaced.items():
            stack.enter_context(mock.patch(name, replacement))
        yield


def _memory() -> str | None:
    """Real files are few and small: the code of the job."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() else None
