"""Durations (``pyflink.common.time``)."""

from millstream.core.api.time import Duration, Time

__all__ = ["Duration", "Time"]
