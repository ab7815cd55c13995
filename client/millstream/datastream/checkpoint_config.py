"""Checkpoint settings by methods (``pyflink.datastream.checkpoint_config``)."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

from millstream.common.configuration import Configuration
from millstream.core.api.time import DurationLike, parse_duration_ms
from millstream.core.config import options
from millstream.datastream.call_site import refuse


class CheckpointingMode(enum.Enum):
    """What a restart may do to results inside the job."""

    EXACTLY_ONCE = "EXACTLY_ONCE"
    """Each record counts once: tasks wait until the barriers of all their inputs have come."""
    AT_LEAST_ONCE = "AT_LEAST_ONCE"
    """They do not wait; after a restart some records count twice."""


class ExternalizedCheckpointRetention(enum.Enum):
    """What becomes of a cancelled job's last checkpoints."""

    DELETE_ON_CANCELLATION = "DELETE_ON_CANCELLATION"
    RETAIN_ON_CANCELLATION = "RETAIN_ON_CANCELLATION"
    NO_EXTERNALIZED_CHECKPOINTS = "NO_EXTERNALIZED_CHECKPOINTS"


class CheckpointConfig:
    """A view of the settings ``execution.checkpointing.*`` of one environment."""

    def __init__(self, settings: Configuration) -> None:
        self._settings = settings

    def is_checkpointing_enabled(self) -> bool:
        return self._settings.get(options.CHECKPOINTING_INTERVAL.key, None) is not None

    def set_checkpoint_interval(self, checkpoint_interval: DurationLike) -> CheckpointConfig:
        """How often a checkpoint is started."""
        interval_ms = parse_duration_ms(checkpoint_interval)
        if interval_ms < 1:
            raise refuse(f"the checkpoint interval must be positive, not {checkpoint_interval!r}.")
        return self._set(options.CHECKPOINTING_INTERVAL, interval_ms)

    def get_checkpoint_interval(self) -> int:
        """Milliseconds; -1 without checkpoints."""
        return int(self._settings.get(options.CHECKPOINTING_INTERVAL.key, -1))

    def set_checkpointing_mode(self, checkpointing_mode: CheckpointingMode) -> CheckpointConfig:
        return self._set(options.CHECKPOINTING_MODE, CheckpointingMode(checkpointing_mode).value)

    def get_checkpointing_mode(self) -> CheckpointingMode:
        return CheckpointingMode(self._settings.get(options.CHECKPOINTING_MODE.key, "EXACTLY_ONCE"))

    def set_min_pause_between_checkpoints(self, min_pause: DurationLike) -> CheckpointConfig:
        """Least time between the end of one checkpoint and the start of the next."""
        return self._set(options.CHECKPOINTING_MIN_PAUSE, parse_duration_ms(min_pause))

    def set_checkpoint_timeout(self, checkpoint_timeout: DurationLike) -> CheckpointConfig:
        """A checkpoint that takes longer is given up."""
        return self._set(options.CHECKPOINTING_TIMEOUT, parse_duration_ms(checkpoint_timeout))

    def set_tolerable_checkpoint_failure_number(self, tolerable_checkpoint_failure_number: int) -> CheckpointConfig:
        """How many checkpoints in a row may be given up before the job fails."""
        return self._set(options.CHECKPOINTING_TOLERABLE_FAILURES, tolerable_checkpoint_failure_number)

    def set_externalized_checkpoint_retention(self, retention: ExternalizedCheckpointRetention) -> CheckpointConfig:
        return self._set(options.CHECKPOINTING_RETENTION, ExternalizedCheckpointRetention(retention).value)

    def set_checkpoint_storage_dir(self, checkpoint_path: str | Path) -> CheckpointConfig:
        """A directory that all processes of the cluster see under this path."""
        return self._set(options.CHECKPOINTING_DIRECTORY, _location(checkpoint_path))

    def _set(self, option: options.Option[Any], value: Any) -> CheckpointConfig:
        self._settings.set(option.key, value)
        return self


def _location(path: str | Path) -> str:
    """A URL as it is, a path made absolute."""
    text = str(path)
    return text if "://" in text else str(Path(text).expanduser().absolute())
