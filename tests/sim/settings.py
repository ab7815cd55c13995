"""What a seed draws before it begins: sizes, and settings that are odd but legal."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

from tests.sim.job import Shape


@dataclass(frozen=True)
class Draw:
    """``cluster`` and ``job`` are settings by key, as the product reads them. Times are seconds."""

    shape: Shape
    cluster: dict[str, Any]
    job: dict[str, Any]
    jobmanagers: int
    taskmanagers: int
    slots: int
    latency_s: float
    hiccups: float
    disk_latency_s: float
    pipe_bytes: int
    step_s: float
    fault_gap_s: float
    """Between two faults, on the average."""
    faults_until_s: float
    user: tuple[str, ...]
    """What the user does meanwhile, one after the other."""
    user_gap_s: float
    user_patience_s: float
    """With one call; what it asked for may happen all the same."""


DISK_TURNS: Final = 200
"""A checkpoint waits for the disk so often, when the one before it is removed at the same time: one that cannot come
within its timeout would fail a job for ever."""


def draw(chance: random.Random) -> Draw:
    pick = chance.choice
    shape = _shape(chance)
    needed = max(shape.source_parallelism, shape.parallelism, shape.sink_parallelism)
    taskmanagers = pick((2, 2, 3))
    slots = -(-(needed + pick((0, 1))) // (taskmanagers - 1))  # enough for the job when one machine is missing
    heartbeat_s = pick((1, 2, 5))
    cluster = {
        "heartbeat.interval": f"{heartbeat_s} s",
        "heartbeat.timeout": f"{heartbeat_s * pick((2, 3, 5))} s",
        "taskmanager.memory.segment-size": pick(("4 kb", "4 kb", "128 kb")),
        "taskmanager.memory.network.size": pick(("1 mb", "64 mb")),
        "taskmanager.network.memory.buffers-per-channel": pick((1, 1, 2, 4)),
        "taskmanager.network.memory.floating-buffers-per-gate": pick((0, 1, 8, 32)),
        "taskmanager.network.compression.codec": pick(("none", "none", "none", "lz4", "zstd")),
        "task.cancellation.timeout": pick(("1 s", "5 s", "30 s")),
        "jobmanager.execution.failover-strategy": pick(("region", "full")),
        "execution.checkpointing.dir": "/checkpoints",
        "high-availability.lease-timeout": pick(("1 s", "3 s")),
        "high-availability.reconciliation-timeout": pick(("1 s", "10 s")),
    }
    if cluster["taskmanager.memory.segment-size"] == "128 kb":
        cluster["taskmanager.memory.network.size"] = "64 mb"
    drawn = Draw(
        shape=shape,
        cluster=cluster,
        job=_job(chance),
        jobmanagers=pick((1, 1, 2, 3)),
        taskmanagers=taskmanagers,
        slots=slots,
        latency_s=pick((0.0002, 0.001, 0.01, 0.05)),
        hiccups=pick((0.0, 0.0, 0.001, 0.02)),
        disk_latency_s=pick((0.0005, 0.002, 0.02)),
        pipe_bytes=pick((300, 2_000, 64_000, 4_000_000)),
        step_s=pick((0.0002, 0.001, 0.005)),
        fault_gap_s=pick((1.0, 2.0, 5.0)),
        faults_until_s=pick((8.0, 16.0, 30.0)),
        user=tuple(pick(("savepoint", "stop", "cancel", "rescale")) for _ in range(pick((0, 0, 1, 3)))),
        user_gap_s=pick((1.0, 5.0)),
        user_patience_s=pick((0.2, 2.0, 10.0)),
    )
    timeout = "execution.checkpointing.timeout"
    drawn.job[timeout] = max(drawn.job[timeout], round(DISK_TURNS * drawn.disk_latency_s * 1000))
    return drawn


def _shape(chance: random.Random) -> Shape:
    pick = chance.choice
    keys = pick((1, 3, 7, 12))
    rate, seconds = pick((1, 2, 4)), pick((5, 10, 20))
    paced = pick((True, True, False))
    return Shape(
        keys=keys,
        records_per_key=rate * seconds if paced else pick((40, 100)),
        splits=pick((1, 2, 5)),
        rows_per_second=keys * rate if paced else 0,
        batch_rows_max=pick((1, 1, 3, 50)),
        source_parallelism=pick((1, 2, 3)),
        parallelism=pick((1, 2, 3)),
        sink_parallelism=pick((1, 2, 3)),
        unchained=pick((True, False)),
        buffer_timeout_ms=pick((0, 20, 100, -1)),
    )


def _job(chance: random.Random) -> dict[str, Any]:
    """Durations in milliseconds, as a job's settings have them."""
    pick = chance.choice
    unaligned = pick((True, False))
    settings: dict[str, Any] = {
        "execution.checkpointing.interval": pick((300, 700, 1500, 4000)),
        "execution.checkpointing.timeout": pick((1000, 5000, 30_000)),
        "execution.checkpointing.min-pause": pick((0, 0, 100, 1000)),
        "execution.checkpointing.max-concurrent-checkpoints": pick((1, 1, 2, 4)),
        "execution.checkpointing.num-retained": pick((1, 2, 3)),
        "execution.checkpointing.tolerable-failed-checkpoints": pick((0, 3, 100)),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.unaligned.enabled": unaligned,
        "execution.checkpointing.aligned-checkpoint-timeout": pick((0, 0, 50, 1000)) if unaligned else 0,
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": pick((10, 100, 1000)),
        "restart-strategy.exponential-delay.max-backoff": pick((1000, 5000)),
    }
    return settings
