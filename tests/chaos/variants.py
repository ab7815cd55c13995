"""How the job and its cluster are set up, as data: variants by name, and settings that follow from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

UNALIGNED: Final = {"execution.checkpointing.unaligned.enabled": True}
TIMEOUT: Final = {**UNALIGNED, "execution.checkpointing.aligned-checkpoint-timeout": "20 ms"}
CONCURRENT: Final = {"execution.checkpointing.max-concurrent-checkpoints": 3}
ROCKSDB: Final = {"state.backend.type": "rocksdb"}

HEARTBEAT_TIMEOUT_S: Final = 1.5
LEASE_S: Final = 3.0
CLUSTER: Final[Mapping[str, Any]] = {
    "heartbeat.interval": "300 ms",
    "heartbeat.timeout": f"{HEARTBEAT_TIMEOUT_S} s",
    "high-availability.lease-timeout": f"{LEASE_S} s",
    "high-availability.reconciliation-timeout": "3 s",
    "client.timeout": "30 s",
    "taskmanager.memory.segment-size": "4 kb",
    "taskmanager.network.memory.floating-buffers-per-gate": 2,
    "execution.checkpointing.interval": "100 ms",
    "execution.checkpointing.timeout": "10 s",
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 1_000_000,
    "restart-strategy.fixed-delay.delay": "50 ms",
}
PARALLELISM: Final = 3
PARALLELISMS: Final = (1, 2, 3, 4)


@dataclass(frozen=True)
class Variant:
    """How the job takes checkpoints. ``pressure``: records queue in front of its slow part."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    pressure: bool = False
    rescales: bool = False
    regions: bool = False
    """The two halves of the job share nothing."""
    sql: bool = False
    """The job is made of queries."""

    @property
    def overtakes(self) -> bool:
        """Barriers do, from the start or after a while."""
        return bool(self.settings.get("execution.checkpointing.unaligned.enabled"))


VARIANTS: Final = {
    variant.name: variant
    for variant in (
        Variant("aligned"),
        Variant("aligned-rocksdb", ROCKSDB),
        Variant("aligned-pressure", {}, pressure=True),
        Variant("unaligned", UNALIGNED, pressure=True),
        Variant("unaligned-rocksdb", {**UNALIGNED, **ROCKSDB}, pressure=True),
        Variant("timeout", TIMEOUT, pressure=True),
        Variant("timeout-rocksdb", {**TIMEOUT, **ROCKSDB}, pressure=True),
        Variant("concurrent", CONCURRENT),
        Variant("concurrent-rocksdb", {**CONCURRENT, **ROCKSDB}),
        Variant("regions", {}, regions=True),
        Variant("regions-timeout-rocksdb", {**TIMEOUT, **ROCKSDB}, pressure=True, regions=True),
        Variant("sql", {}, sql=True),
        Variant("sql-timeout-rocksdb", {**TIMEOUT, **ROCKSDB}, sql=True),
        Variant("rescaling", {}, rescales=True),
        Variant("rescaling-sql-rocksdb", ROCKSDB, rescales=True, sql=True),
        Variant("rescaling-rocksdb", ROCKSDB, rescales=True),
        Variant("rescaling-unaligned", UNALIGNED, pressure=True, rescales=True),
        Variant("rescaling-timeout-rocksdb", {**TIMEOUT, **ROCKSDB}, pressure=True, rescales=True),
    )
}

_Choices = Mapping[str, Sequence[Any]]
"""Values by setting; one that comes more than once is taken more often."""
OF_A_JOB: Final[_Choices] = {
    "execution.checkpointing.interval": ["50 ms"] * 3 + ["100 ms"] * 4 + ["250 ms"] * 3 + ["1 s"] * 2 + ["5 s"],
    "execution.checkpointing.min-pause": ["0 s", "0 s", "50 ms"],
    "execution.checkpointing.max-concurrent-checkpoints": [1, 1, 2, 3],
    "execution.checkpointing.num-retained": [1, 1, 2, 5],
    "execution.checkpointing.tolerable-failed-checkpoints": [0, 1000],
    "execution.checkpointing.local-backup.enabled": [False, True],
    "execution.state-recovery.from-local": [False, True],
    "execution.buffer-timeout.interval": ["100 ms", "5 ms", "0 ms"],
    "pipeline.operator-chaining.enabled": [True, True, False],
    "pipeline.auto-watermark-interval": ["200 ms", "20 ms"],
}
OF_A_CLUSTER: Final[_Choices] = {
    "taskmanager.memory.segment-size": ["4 kb", "4 kb", "32 kb"],
    "taskmanager.network.memory.buffers-per-channel": [1, 2, 8],
    "taskmanager.network.memory.floating-buffers-per-gate": [0, 2, 8],
    "taskmanager.network.compression.codec": ["none", "lz4", "zstd"],
    "jobmanager.execution.failover-strategy": ["region", "region", "full"],
}


def job_settings(variant: Variant, seed: int) -> dict[str, Any]:
    """Those of the variant, and beside them others that follow from the seed."""
    chance = random.Random(f"{seed} {variant.name} settings")
    return {**_chosen(OF_A_JOB, chance), **variant.settings}


def job_parallelism(variant: Variant, seed: int) -> int:
    """Two halves that share nothing have six slots."""
    chance = random.Random(f"{seed} {variant.name} parallelism")
    return chance.choice(PARALLELISMS[: PARALLELISM if variant.regions else None])


def cluster_settings(seed: int) -> dict[str, Any]:
    """Those of ``CLUSTER``, some of them as the seed says; 0 leaves them as they are."""
    return {**CLUSTER, **(_chosen(OF_A_CLUSTER, random.Random(f"{seed} cluster")) if seed else {})}


def _chosen(choices: _Choices, chance: random.Random) -> dict[str, Any]:
    return {key: chance.choice(values) for key, values in choices.items()}
