"""Time and timers (``pyflink.datastream.timerservice``)."""

from millstream.core.api.functions import TimerService

__all__ = ["TimerService"]
