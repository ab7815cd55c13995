"""Bugs of the data plane."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from tests.bugbank.bug import Bug, Edit, chaos, tests

SENDING: Final = "millstream.taskmanager.network.sending"
RECEIVING: Final = "millstream.taskmanager.network.receiving"
CREDIT: Final = "millstream.taskmanager.network.credit"
DELIVERY: Final = "tests/unit/network/test_delivery.py"
HANGS: Final = replace(tests(DELIVERY, "Timeout|without credit", "random_delays or slow_consumer"), timeout_s=90.0)
QUEUE: Final = (
    "            connection.queue(kind, self.channel, self._sequence, backlog, payload, flags)\n"
    "            self._sequence = (self._sequence + 1) & 0xFFFFFFFF\n"
)

BUGS: Final = [
    Bug(
        "credit-is-lost",
        "Now and then a consumer tells its producer of less credit than it has given.",
        (
            Edit(
                RECEIVING,
                "            self._link.grant(number)\n",
                "            if self.buffers_in % 5:\n                self._link.grant(number)\n",
            ),
        ),
        (HANGS,),
    ),
    Bug(
        "credit-is-doubled",
        "A consumer grants more frames than it has buffers for.",
        (Edit(RECEIVING, "            self._link.grant(number)\n", "            self._link.grant(2 * number)\n"),),
        (HANGS,),
    ),
    Bug(
        "floating-buffers-leak",
        "A channel that is closed keeps one of the buffers that it had borrowed.",
        (
            Edit(
                CREDIT,
                "        self._pool.give_back(self.floating)\n        self.floating = self.outstanding",
                "        self._pool.give_back(max(0, self.floating - 1))\n        self.floating = self.outstanding",
            ),
        ),
        (tests("tests/unit/network/test_credit.py tests/unit/network/test_lifecycle.py"),),
    ),
    Bug(
        "a-buffer-is-dropped",
        "Every 50th data frame of a channel is not sent, and the next one takes its number.",
        (
            Edit(
                SENDING,
                QUEUE,
                "            if kind is not FrameKind.DATA or flags or self.buffers_out % 50 != 49:\n"
                "                connection.queue(kind, self.channel, self._sequence, backlog, payload, flags)\n"
                "                self._sequence = (self._sequence + 1) & 0xFFFFFFFF\n"
                "            else:\n"
                "                self.credit.available += 1\n",
            ),
        ),
        (chaos("aligned", "slot", "lost|step by one"),),
    ),
    Bug(
        "a-buffer-is-sent-twice",
        "Every 50th data frame of a channel is sent once more.",
        (
            Edit(
                SENDING,
                QUEUE,
                "            twice = kind is FrameKind.DATA and not flags and self.buffers_out % 50 == 49\n"
                "            for _ in range(1 + (twice and self.credit.available > 0)):\n"
                "                connection.queue(kind, self.channel, self._sequence, backlog, payload, flags)\n"
                "                self._sequence = (self._sequence + 1) & 0xFFFFFFFF\n"
                "            if twice and self.credit.available:\n"
                "                self.credit.spend()\n",
            ),
        ),
        (chaos("aligned", "slot", "doubled|duplicated|unexpected|step by one"),),
    ),
]
