"""Streaming or batch execution (``pyflink.datastream.execution_mode``)."""

from __future__ import annotations

import enum


class RuntimeExecutionMode(enum.Enum):
    """How a job runs. This version streams: AUTOMATIC is STREAMING, and BATCH is refused."""

    STREAMING = 0
    BATCH = 1
    AUTOMATIC = 2
