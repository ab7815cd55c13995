"""The checkpoint settings of one job."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from millstream.core.api.job import JobStatus
from millstream.core.checkpoint.storage import location_of
from millstream.core.config.options import CHECKPOINTING_SAVEPOINT_DIRECTORY


@dataclass(frozen=True)
class CheckpointSettings:
    """Times in milliseconds. ``interval_ms`` 0: no checkpoints."""

    interval_ms: int = 0
    min_pause_ms: int = 0
    timeout_ms: int = 600_000
    tolerable_failures: int = 0
    retained: int = 1
    keep_on_cancel: bool = False
    max_concurrent: int = 1
    claims: bool = False
    """What the job starts from becomes its own."""

    @classmethod
    def of_job(cls, configuration: Mapping[str, str]) -> CheckpointSettings:
        """From a job's settings, whose values are JSON and whose durations are milliseconds."""

        def read(key: str, default: int) -> int:
            value = json.loads(configuration.get(f"execution.checkpointing.{key}", "null"))
            return default if value is None else int(value)

        mode = json.loads(configuration.get("execution.checkpointing.mode", "null"))
        unaligned = json.loads(configuration.get("execution.checkpointing.unaligned.enabled", "false"))
        # One at a time where a pause is asked for, and where barriers must not pass each other.
        alone = bool(read("min-pause", 0)) or unaligned or mode == "AT_LEAST_ONCE"
        retention = json.loads(configuration.get("execution.checkpointing.externalized-checkpoint-retention", "null"))
        return cls(
            interval_ms=read("interval", 0),
            min_pause_ms=read("min-pause", 0),
            timeout_ms=read("timeout", cls.timeout_ms),
            tolerable_failures=read("tolerable-failed-checkpoints", 0),
            retained=max(1, read("num-retained", 1)),
            keep_on_cancel=retention == "RETAIN_ON_CANCELLATION",
            claims=json.loads(configuration.get("execution.state-recovery.claim-mode", "null")) == "CLAIM",
            max_concurrent=1 if alone else max(1, read("max-concurrent-checkpoints", 1)),
        )


def savepoint_root(configuration: Mapping[str, str], checkpoint_root: str) -> str:
    """Where savepoints go that name no directory: where the job's settings say, else below the checkpoints."""
    asked: str | None = json.loads(configuration.get(CHECKPOINTING_SAVEPOINT_DIRECTORY.key, "null"))
    return asked or location_of(checkpoint_root, "savepoints")


def keeps_checkpoints(status: JobStatus, settings: CheckpointSettings) -> bool:
    """Whether those of a job that has ended like this stay: somebody may want to start from them."""
    return status is JobStatus.FAILED or (status is JobStatus.CANCELED and settings.keep_on_cancel)
