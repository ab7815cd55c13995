"""What goes wrong, as data: kinds with their weights and needs, faults, and schedules that follow from a seed."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from millstream.core.failpoints import FAILPOINTS
from tests.chaos.failpoints import reachable
from tests.chaos.variants import HEARTBEAT_TIMEOUT_S, LEASE_S, Variant, job_parallelism

GAP_S: Final = 0.3
GAP_S_MAX: Final = 3.0
SETTLED: Final = 0.6
OVERLAPPING: Final = 0.3
LONG_S: Final = HEARTBEAT_TIMEOUT_S + 1.0
"""Others count a server as lost that is silent for so long."""
SHORT_S: Final = HEARTBEAT_TIMEOUT_S / 3


class Need:
    """What a kind of fault needs of the machine, of the cluster, or of the job."""

    DISK: Final = "disk"
    STANDBY: Final = "standby"
    RESCALES: Final = "rescales"


@dataclass(frozen=True)
class Kind:
    """``weight``: how often it comes, beside the others. ``held_s``: how long it lasts, where it ends by itself."""

    what: str
    weight: int
    needs: frozenset[str] = frozenset()
    held_s: float = 0.0


def _kind(what: str, weight: int, *needs: str, held_s: float = 0.0) -> Kind:
    return Kind(what, weight, frozenset(needs), held_s)


KINDS: Final[Mapping[str, Kind]] = {
    "slot": _kind("SIGKILL for a slot", 8),
    "taskmanager": _kind("SIGKILL for a TaskManager and its slots, another one starts", 5),
    "taskmanagers": _kind("the same for all of them at once", 1),
    "freeze": _kind("a TaskManager and its slots are stopped for longer than the heartbeat timeout", 4, held_s=LONG_S),
    "freeze-short": _kind("for less than that", 2, held_s=SHORT_S),
    "freeze-slot": _kind("a slot is stopped, and killed by its TaskManager", 3),
    "reset": _kind("the connections of a TaskManager are reset", 3),
    "reset-data": _kind("those between TaskManagers", 3),
    "reset-rpc": _kind("those between a TaskManager and the JobManager", 3),
    "blackhole": _kind("nothing passes between a TaskManager and the others", 3, held_s=LONG_S),
    "blackhole-rpc": _kind("nothing passes between a TaskManager and the JobManager", 2, held_s=LONG_S),
    "blackhole-data": _kind("nothing passes between TaskManagers", 2, held_s=SHORT_S),
    "deaf": _kind("a TaskManager says things and hears nothing", 1, held_s=LONG_S),
    "mute": _kind("a TaskManager hears things and nobody hears it", 1, held_s=LONG_S),
    "leader": _kind("SIGKILL for the JobManager that leads, another one starts", 6, Need.STANDBY),
    "standby": _kind("SIGKILL for one that stands by", 1, Need.STANDBY),
    "jobmanagers": _kind("SIGKILL for all JobManagers at once, others start", 1, Need.STANDBY),
    "freeze-leader": _kind("the leader is stopped for longer than its lease", 3, Need.STANDBY, held_s=LEASE_S + 1.5),
    "freeze-leader-short": _kind("for less than that", 1, Need.STANDBY, held_s=LEASE_S / 3),
    "reset-leader": _kind("the connections of the leader are reset", 2, Need.STANDBY),
    "blackhole-leader": _kind("nothing passes between the leader and TaskManagers", 2, Need.STANDBY, held_s=LONG_S),
    "disk-full": _kind("there is no space for checkpoints", 3, Need.DISK, held_s=1.5),
    "read-only": _kind("the checkpoint directory cannot be written", 3, Need.DISK, held_s=1.5),
    "upload": _kind("writing state fails, one time in five", 3, held_s=2.0),
    "failpoint": _kind("what a failpoint does, at that failpoint", 5),
    "rescale": _kind("the job goes on from a savepoint with another parallelism", 5, Need.RESCALES),
    "rescale-live": _kind("the parallelism changes while the job goes on", 5, Need.RESCALES),
}


@dataclass(frozen=True)
class Fault:
    """``kind`` is one of ``KINDS``; ``name`` is that of a failpoint."""

    kind: str
    name: str = ""
    pause_s: float = 0.0
    """Time that passes before it."""
    settled: bool = False
    """Whether the job has to go on before it, if it is the first one or the one before overlaps."""
    overlaps: bool = False
    """The next fault does not wait until the job goes on after this one."""

    def __str__(self) -> str:
        return f"{self.kind}{f':{self.name}' if self.name else ''}{'+' if self.overlaps else ''}"


def parse_fault(text: str) -> Fault:
    """As ``str`` writes it."""
    kind, _, name = text.removesuffix("+").partition(":")
    if kind not in KINDS or (kind == "failpoint") != bool(name) or (name and name not in FAILPOINTS):
        raise ValueError(f"no fault {text!r}: there are {', '.join(KINDS)}; failpoint:NAME names a failpoint")
    return Fault(kind, name, 0.3, settled=True, overlaps=text.endswith("+"))


def possible(capabilities: Collection[str]) -> list[str]:
    """The kinds that can happen where there is all this."""
    return [name for name, kind in KINDS.items() if kind.needs <= set(capabilities)]


def failpoints_for(variant: Variant, seed: int, standby: bool) -> list[str]:
    """Those that somebody comes by. With one subtask of each vertex no barrier has to wait for another."""
    alone = variant.rescales or job_parallelism(variant, seed) == 1
    return [name for name in reachable(standby, variant.overtakes) if not (alone and name == "barrier.blocks")]


def faults_for(variant: Variant, seed: int, count: int, capabilities: Collection[str]) -> list[Fault]:
    """The same ones for the same arguments."""
    chance = random.Random(f"{seed} {variant.name}")
    names = possible({*capabilities, *([Need.RESCALES] if variant.rescales else [])})
    failpoints = failpoints_for(variant, seed, Need.STANDBY in capabilities)
    kinds = chance.choices(names, [KINDS[name].weight for name in names], k=count)
    return [
        Fault(
            kind,
            chance.choice(failpoints) if kind == "failpoint" else "",
            min(GAP_S_MAX, chance.expovariate(1 / GAP_S)),
            chance.random() < SETTLED,
            chance.random() < OVERLAPPING and kind not in ("rescale", "rescale-live"),
        )
        for kind in kinds
    ]
