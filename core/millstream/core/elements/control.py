"""Control elements. They travel in order with the batches and are broadcast to every channel of a partition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from millstream.core.elements.batch import ArrowBatch, ObjectBatch

MAX_WATERMARK_MS: Final = 2**63 - 1
"""The watermark after the last record of a bounded input: no event time can follow."""

MIN_WATERMARK_MS: Final = -(2**63)
"""The watermark before anything is known."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """No record with an event time of ``timestamp_ms`` or less follows, except late ones."""

    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class WatermarkStatus:
    """``idle``: this channel does not hold back the watermark until it says otherwise."""

    idle: bool


@dataclass(frozen=True, slots=True)
class Barrier:
    """Separates what belongs to checkpoint ``checkpoint_id`` from what follows it."""

    checkpoint_id: int
    timestamp_ms: int
    unaligned: bool = False
    """It overtakes what is queued, which becomes part of the checkpoint."""
    base_id: int = 0
    """The newest completed checkpoint when this one started: what it has need not be written again."""
    full: bool = False
    """Write everything, whatever earlier checkpoints have."""
    timeout_ms: int = -1
    """An aligned barrier becomes unaligned where it is held up for so long; -1 for never."""
    savepoint: str = ""
    """The location of the savepoint that is taken; empty for a checkpoint."""
    generation: int = 0
    """Of the job's leader that started it: names of state files carry it."""


@dataclass(frozen=True, slots=True)
class LatencyMarker:
    """Emitted by a source at ``emitted_wall_ms``; operators pass it on, sinks measure its age."""

    emitted_wall_ms: int
    source_operator: str
    source_subtask: int


@dataclass(frozen=True, slots=True)
class EndOfData:
    """The last element of a channel."""


Control = Watermark | WatermarkStatus | Barrier | LatencyMarker | EndOfData
Element = ObjectBatch | ArrowBatch | Control
