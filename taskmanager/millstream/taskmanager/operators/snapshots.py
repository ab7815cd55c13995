"""What an operator puts into a checkpoint, in pieces that can find a new owner at another parallelism."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from millstream.core.elements.control import MIN_WATERMARK_MS
from millstream.core.serde import decode_value
from millstream.proto.v1.checkpoint_pb2 import (
    STATE_MODE_ITEM,
    STATE_MODE_KEYED,
    STATE_MODE_UNION,
    StateMode,
)
from millstream.taskmanager.state.backend import KeyedCapture, RestoredKeyed
from millstream.taskmanager.state.chunks import Chunk

WATERMARK: Final = "watermark"


@dataclass
class OperatorSnapshot:
    """Bytes by the name of the state. Also what ``restore`` gets: pieces of one or of several former subtasks."""

    keyed: dict[str, dict[int, bytes]] = field(default_factory=dict)
    """By key group: to the subtask that owns the group."""
    items: dict[str, list[bytes]] = field(default_factory=dict)
    """Pieces of equal standing: dealt out evenly."""
    union: dict[str, list[bytes]] = field(default_factory=dict)
    """Pieces that every subtask gets all of."""
    capture: KeyedCapture | None = None
    """Of the keyed state backend; its rows are still to be taken. Never in what is restored."""
    backend: RestoredKeyed | None = None
    """For the keyed state backend, only in what is restored."""

    def settled(self) -> OperatorSnapshot:
        """As it will be restored: what a checkpoint writes beside the task is taken now."""
        chunks: list[Chunk] = []
        if self.capture is not None:
            while self.capture.advance():
                pass
            chunks = list(self.capture.rows())
            self.capture.ended()
        backend = RestoredKeyed(chunks=chunks) if chunks else None
        return OperatorSnapshot(self.keyed, self.items, self.union, backend=backend)

    def pieces(self) -> Iterator[tuple[str, StateMode.ValueType, int, bytes]]:
        """``(name, mode, key group, bytes)`` of each piece."""
        for name, groups in self.keyed.items():
            for group, data in groups.items():
                yield name, STATE_MODE_KEYED, group, data
        for name, pieces in self.items.items():
            for data in pieces:
                yield name, STATE_MODE_ITEM, 0, data
        for name, pieces in self.union.items():
            for data in pieces:
                yield name, STATE_MODE_UNION, 0, data

    def add(self, name: str, mode: StateMode.ValueType, key_group: int, data: bytes) -> None:
        """The inverse of ``pieces``."""
        if mode == STATE_MODE_KEYED:
            self.keyed.setdefault(name, {})[key_group] = data
        elif mode == STATE_MODE_ITEM:
            self.items.setdefault(name, []).append(data)
        else:
            self.union.setdefault(name, []).append(data)


def restored_watermark(snapshot: OperatorSnapshot) -> int:
    """The least watermark of the former subtasks, in milliseconds: late for one was not late for all."""
    return min(map(decode_value, snapshot.union.get(WATERMARK, [])), default=MIN_WATERMARK_MS)
