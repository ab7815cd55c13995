"""What flows between operators: one closed union, ``Element``, in one queue."""

from millstream.core.elements.batch import ArrowBatch, Batch, ObjectBatch, RowKind
from millstream.core.elements.control import (
    Barrier,
    Control,
    Element,
    EndOfData,
    LatencyMarker,
    Watermark,
    WatermarkStatus,
)

__all__ = [
    "ArrowBatch",
    "Barrier",
    "Batch",
    "Control",
    "Element",
    "EndOfData",
    "LatencyMarker",
    "ObjectBatch",
    "RowKind",
    "Watermark",
    "WatermarkStatus",
]
