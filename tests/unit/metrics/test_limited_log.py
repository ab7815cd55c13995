"""Of many warnings some are written, and the number of the others."""

from __future__ import annotations

import logging

import pytest

from millstream.core.clock import ManualClock
from millstream.core.limited_log import MESSAGES_MAX, PERIOD_S, LimitedLog


def test_a_flood_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    limited = LimitedLog(logging.getLogger("strangers"), clock)
    for number in range(1000):
        limited.warning("stranger %d", number)
    assert [record.getMessage() for record in caplog.records] == [f"stranger {n}" for n in range(MESSAGES_MAX)]
    caplog.clear()
    clock.advance(round(1000 * PERIOD_S))
    limited.warning("stranger %d", 7)
    clock.advance(round(1000 * PERIOD_S))
    limited.warning("stranger %d", 8)
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"{1000 - MESSAGES_MAX} messages like the following were left out", "stranger 7", "stranger 8"]
