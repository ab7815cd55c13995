"""Who leads the cluster now, as clients, TaskManagers and standby JobManagers may ask."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class LeaderRecord:
    """What a JobManager wrote down when it began to lead."""

    epoch: int
    """Grows with each change of leadership; 0 is a cluster with a single JobManager."""
    address: str
    """``host:port`` where it serves."""

    def encode(self, process_id: int) -> bytes:
        """The process id is for people."""
        return json.dumps({"epoch": self.epoch, "address": self.address, "pid": process_id}).encode()

    @classmethod
    def decode(cls, data: bytes) -> LeaderRecord | None:
        """None for what is no record."""
        try:
            record = json.loads(data)
            return cls(int(record["epoch"]), str(record["address"]))
        except (ValueError, KeyError, TypeError):
            return None


class LeaderFinder(Protocol):
    """Where leaders write themselves down. The answer may be out of date when it arrives: calls find out."""

    def find(self) -> LeaderRecord | None:
        """The last one that began to lead, None when nobody has yet or the records cannot be read. Blocks."""
        ...

    def close(self) -> None: ...
