"""Control elements as bytes: msgpack ``[kind, fields...]``."""

from __future__ import annotations

from typing import Any

import msgpack

from millstream.core.elements.control import Barrier, Control, EndOfData, LatencyMarker, Watermark, WatermarkStatus
from millstream.core.errors import MalformedRecordError


def encode_control(control: Control) -> bytes:
    """The bytes of one control element."""
    fields: list[Any]
    match control:
        case Watermark():
            fields = [1, control.timestamp_ms]
        case WatermarkStatus():
            fields = [2, control.idle]
        case Barrier():
            fields = [3, control.checkpoint_id, control.timestamp_ms, control.unaligned]
            fields += [control.base_id, control.full, control.timeout_ms, control.savepoint, control.generation]
        case LatencyMarker():
            fields = [4, control.emitted_wall_ms, control.source_operator, control.source_subtask]
        case EndOfData():
            fields = [5]
    packed: bytes = msgpack.packb(fields)
    return packed


def decode_control(data: bytes) -> Control:
    """The inverse. Raises ``MalformedRecordError``."""
    try:
        match msgpack.unpackb(data):
            case [1, int(timestamp_ms)]:
                return Watermark(timestamp_ms)
            case [2, bool(idle)]:
                return WatermarkStatus(idle)
            case [
                3,
                int(number),
                int(timestamp_ms),
                bool(unaligned),
                int(base),
                bool(full),
                int(timeout_ms),
                str(path),
                int(generation),
            ]:
                return Barrier(number, timestamp_ms, unaligned, base, full, timeout_ms, path, generation)
            case [4, int(wall_ms), str(operator), int(subtask)]:
                return LatencyMarker(wall_ms, operator, subtask)
            case [5]:
                return EndOfData()
    except Exception as error:  # msgpack raises many kinds for bad bytes
        raise MalformedRecordError(f"a control element is damaged: {error}") from error
    raise MalformedRecordError("a control element has an unknown form")
