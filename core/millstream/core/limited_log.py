"""Warnings of what strangers cause: as many as they like, of which only some are written."""

from __future__ import annotations

import logging
from typing import Final

from millstream.core.clock import Clock

MESSAGES_MAX: Final = 10
PERIOD_S: Final = 10.0


class LimitedLog:
    """At most so many messages a period; how many were left out stands before the first of the next one."""

    def __init__(self, log: logging.Logger, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._began_s = -PERIOD_S
        self._count = 0

    def warning(self, message: str, *arguments: object) -> None:
        now_s = self._clock.monotonic_s()
        if now_s - self._began_s >= PERIOD_S:
            left_out, self._began_s, self._count = self._count - MESSAGES_MAX, now_s, 0
            if left_out > 0:
                self._log.warning("%d messages like the following were left out", left_out)
        self._count += 1
        if self._count <= MESSAGES_MAX:
            self._log.warning(message, *arguments)
