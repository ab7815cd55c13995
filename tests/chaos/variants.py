"""What is varied, as data: settings of the job, kinds of faults, and what each failpoint does when it is hit."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from millstream.core.failpoints import FAILPOINTS

UNALIGNED: Final = {"execution.checkpointing.unaligned.enabled": True}
TIMEOUT: Final = {**UNALIGNED, "execution.checkpointing.aligned-checkpoint-timeout": "20 ms"}
CONCURRENT: Final = {"execution.checkpointing.max-concurrent-checkpoints": 3}
ROCKSDB: Final = {"state.backend.type": "rocksdb"}

CLUSTER: Final[Mapping[str, Any]] = {
    "heartbeat.interval": "300 ms",
    "heartbeat.timeout": "1500 ms",
    "taskmanager.memory.segment-size": "4 kb",
    "taskmanager.network.memory.floating-buffers-per-gate": 2,
    "execution.checkpointing.interval": "100 ms",
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 1_000_000,
    "restart-strategy.fixed-delay.delay": "50 ms",
}
FROZEN_S: Final = 2.5
"""Longer than the heartbeat timeout."""


@dataclass(frozen=True)
class Variant:
    """How the job takes checkpoints. ``pressure``: records queue in front of its slow part."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    pressure: bool = False
    rescales: bool = False
    regions: bool = False
    """The two halves of the job share nothing."""


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
        Variant("rescaling", {}, rescales=True),
        Variant("rescaling-rocksdb", ROCKSDB, rescales=True),
        Variant("rescaling-unaligned", UNALIGNED, pressure=True, rescales=True),
        Variant("rescaling-timeout-rocksdb", {**TIMEOUT, **ROCKSDB}, pressure=True, rescales=True),
    )
}

JOBMANAGER: Final = {
    "enumerators.copied": "error",
    "manifest.write": "io-error",
    "manifest.written": "io-error",
    "checkpoint.announce": "delay:150ms",
    "discard.begin": "io-error",
    "discard.end": "delay:150ms",
    "discard.all": "delay:150ms",
}
"""The JobManager has to live; a slot dies at each failpoint."""
SLOTS: Final = {"files.sync": "io-error"}
ACTIONS: Final = {name: {**JOBMANAGER, **SLOTS}.get(name, "kill") for name in FAILPOINTS}

FAULTS: Final = {"slot": 4, "taskmanager": 2, "freeze": 2, "freeze-slot": 2, "failpoint": 4}
"""Kinds by weight; ``failpoint`` stands for any of them."""
RESCALES: Final = {"rescale": 3, "rescale-live": 3}
"""Of variants that rescale besides: by a savepoint, and while the job goes on."""


@dataclass(frozen=True)
class Fault:
    """``kind`` is one of ``FAULTS`` or ``RESCALES``; ``name`` is that of a failpoint."""

    kind: str
    name: str = ""
    pause_s: float = 0.0
    """Time that passes before it."""
    settled: bool = False
    """Whether a checkpoint has to be complete before it."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind


def parse_fault(text: str) -> Fault:
    """As ``str`` writes it."""
    kind, _, name = text.partition(":")
    if kind not in {**FAULTS, **RESCALES} or (kind == "failpoint") != bool(name) or (name and name not in FAILPOINTS):
        raise ValueError(
            f"no fault {text!r}: there are {', '.join(FAULTS)}:NAME, {', '.join(RESCALES)}; NAME is a failpoint"
        )
    return Fault(kind, name, 0.3, settled=True)


def faults_for(variant: Variant, seed: int, count: int) -> list[Fault]:
    """The same ones for the same seed."""
    chance = random.Random(f"{seed} {variant.name}")
    weights = {**FAULTS, **RESCALES} if variant.rescales else FAULTS
    kinds = chance.choices(list(weights), list(weights.values()), k=count)
    return [
        Fault(
            kind,
            chance.choice(list(FAILPOINTS)) if kind == "failpoint" else "",
            chance.uniform(0.0, 0.8),
            chance.random() < 0.6,
        )
        for kind in kinds
    ]
