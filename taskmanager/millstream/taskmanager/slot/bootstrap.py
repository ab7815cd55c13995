"""What a slot process is told when it is forked."""

from __future__ import annotations

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
