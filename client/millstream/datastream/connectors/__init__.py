"""Connectors, under PyFlink's names. Each module is imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millstream.core.api.sink import Sink
    from millstream.core.api.source import Source
    from millstream.datastream.connectors.file_system import FileSink, FileSource, OutputFileConfig, RollingPolicy
    from millstream.datastream.connectors.number_seq import NumberSequenceSource

__all__ = ["FileSink", "FileSource", "NumberSequenceSource", "OutputFileConfig", "RollingPolicy", "Sink", "Source"]

_HOMES = {
    "FileSink": "millstream.datastream.connectors.file_system",
    "FileSource": "millstream.datastream.connectors.file_system",
    "OutputFileConfig": "millstream.datastream.connectors.file_system",
    "RollingPolicy": "millstream.datastream.connectors.file_system",
    "NumberSequenceSource": "millstream.datastream.connectors.number_seq",
    "Sink": "millstream.core.api.sink",
    "Source": "millstream.core.api.source",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
