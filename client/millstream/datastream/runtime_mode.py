"""Streaming or batch execution (``pyflink.datastream.execution_mode``)."""

from __future__ import annotations

import enum


class RuntimeExecutionMode(enum.Enum):
    """This version always streams; a bounded job gives the same final results either way."""

    STREAMING = 0
    BATCH = 1
    AUTOMATIC = 2
