"""What a slot process is told when it is forked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SlotBootstrap:
    """Where a new slot process belongs and where it may listen."""

    slot_index: int
    incarnation: int
    """Counts the processes that served this slot, from 0."""
    taskmanager_id: str
    host_id: str
    """Equal for slot processes that can reach each other by Unix socket."""
    unix_path: str
    """Where to accept data connections of this host; a stale file there is removed."""
    tcp_host: str
    tcp_port: int
    """0: any free port."""
    work_dir: str
    beat_interval_s: float
    """Between two signs of life."""
    configuration: dict[str, Any] = field(default_factory=dict)
    """The effective settings, flattened keys."""
    advertised_host: str = ""
    """The name other hosts use for ``tcp_host``; empty: the same."""

    def with_job(self, settings: Mapping[str, str]) -> dict[str, Any]:
        """The slot's settings with those of a job, as JSON, over them. What a job leaves open is the slot's to say."""
        job = {key: json.loads(value) for key, value in settings.items()}
        return self.configuration | {
            key: value for key, value in job.items() if value is not None or key not in self.configuration
        }
