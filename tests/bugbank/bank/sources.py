"""Bugs in sources: where they go on, and what they pass over."""

from __future__ import annotations

from typing import Final

from tests.bugbank.bug import Bug, Edit, chaos, tests

BUGS: Final = [
    Bug(
        "off-by-one-offset",
        "A split that is saved says that one record more was read.",
        (
            Edit(
                "millstream.connectors.files.lines",
                "        self.position = offset + len(data)\n",
                "        self.position = offset + len(data) + 1\n",
            ),
        ),
        (tests("tests/unit/connectors/test_file_source.py", chosen="text_is_read_once"),),
        in_ci=True,
    ),
    Bug(
        "a-split-is-forgotten",
        "Of the splits that a reader had, the last is not restored.",
        (
            Edit(
                "millstream.taskmanager.operators.source",
                "snapshot.items.get(_SPLITS, [])]\n",
                "snapshot.items.get(_SPLITS, [])][:2]\n",
            ),
        ),
        (chaos("aligned", "slot", "lost"),),
    ),
    Bug(
        "splits-are-handed-out-during-a-snapshot",
        "What an enumerator hands out while its state is copied goes out at once: it is in both states, or in none.",
        (
            Edit(
                "millstream.jobmanager.coordinators.source",
                "            self._held = True\n            return",
                "            self._held = False\n            return",
            ),
        ),
        (tests("tests/unit/jobmanager/test_hand_outs.py"),),
        in_ci=True,
    ),
    Bug(
        "splits-that-were-recorded-are-not-sent-again",
        "A new leader takes for sent what the former one had only recorded.",
        (
            Edit(
                "millstream.jobmanager.coordinators.source",
                "        await self.start()\n        failpoint",
                "        await self.start()\n        self._hand_outs.unsent.clear()\n        failpoint",
            ),
        ),
        (tests("tests/unit/jobmanager/test_hand_outs.py"),),
        in_ci=True,
    ),
    Bug(
        "a-split-that-is-sent-again-is-read-again",
        "A reader does not look whether it has the splits already that a new leader sends once more.",
        (
            Edit(
                "millstream.taskmanager.operators.source",
                "            if number <= self._last_number:\n",
                "            if number < 0:\n",
            ),
        ),
        (tests("tests/unit/operators/test_edges.py"),),
    ),
    Bug(
        "enumerators-start-anew",
        "After a failure the enumerators of sources start from the beginning, and deal out splits that readers have.",
        (
            Edit(
                "millstream.jobmanager.checkpointing.driver",
                "for operator_id in vertex.operator_ids[:1]\n",
                "for operator_id in vertex.operator_ids[:0]\n",
            ),
        ),
        (chaos("aligned", "slot", "doubled|duplicated|unexpected"),),
    ),
    Bug(
        "the-fastest-channel-is-the-watermark",
        "A task takes the highest watermark of its channels for its own.",
        (
            Edit(
                "millstream.core.event_time.merger",
                "(least_ms is None or watermark_ms < least_ms)",
                "(least_ms is None or watermark_ms > least_ms)",
            ),
        ),
        (tests("tests/unit/event_time/test_merger.py"),),
        in_ci=True,
    ),
    Bug(
        "event-time-ends-twice",
        "A source that a savepoint has drained ends event time once more when it finishes.",
        (
            Edit(
                "millstream.taskmanager.operators.source",
                "        if not self._event_time_over:\n",
                "        if not self._event_time_over or self._finished:\n",
            ),
        ),
        (tests("tests/protocol/test_cluster.py", "I12: "),),
    ),
]
