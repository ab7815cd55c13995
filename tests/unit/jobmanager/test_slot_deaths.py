"""Which deaths of slot processes are those of a record that kills, and which are not."""

from __future__ import annotations

import pytest
from plans import subtask

from millstream.core.ids import SubtaskId
from millstream.jobmanager.slot_deaths import DEATHS_FROM_OUTSIDE_MAX, LONG_S, RepeatedDeath, SlotDeaths

A, B, C = subtask("a"), subtask("b"), subtask("a", 1)
SEGV, KILL, SEVEN = "SIGSEGV", "SIGKILL", "exit code 7"

Death = tuple[tuple[SubtaskId, ...], str, int, float]
"""Subtasks of the process, its end, the last checkpoint that showed progress, and seconds."""


def after(deaths: list[Death]) -> RepeatedDeath | None:
    """What is said after the last of them; before, nothing may be said."""
    found = SlotDeaths()
    said = None
    for subtasks, end, checkpoint_id, now_s in deaths:
        assert said is None, f"said too early: {said}"
        for which in subtasks:
            found.died(which, end, checkpoint_id, now_s)
        said = found.verdict()
    return said


TABLES: dict[str, tuple[list[Death], RepeatedDeath | None]] = {
    "four deaths of one process without a checkpoint": (
        [((A, B), SEGV, 3, n) for n in range(4)],
        RepeatedDeath((A, B), SEGV, 4),
    ),
    "three are not enough": ([((A, B), SEGV, 3, n) for n in range(3)], None),
    "before the first checkpoint": ([((A,), SEVEN, 0, n) for n in range(4)], RepeatedDeath((A,), SEVEN, 4)),
    "a checkpoint in between starts the count anew": (
        [((A,), SEGV, checkpoint, 10 * checkpoint) for checkpoint in (1, 1, 1, 2, 2, 2, 3, 3, 3, 4)],
        None,
    ),
    "a checkpoint long ago does not": ([((A,), SEGV, 3, 3000 * n) for n in range(4)], RepeatedDeath((A,), SEGV, 4)),
    "different slots": ([((which,), SEGV, 3, 0) for which in (A, C, A, C, A, C)], None),
    "another slot in between": ([((which,), SEGV, 3, 0) for which in (A, A, C, A, A)], RepeatedDeath((A,), SEGV, 4)),
    "different ends": ([((A,), end, 3, 0) for end in (SEGV, SEVEN, KILL) * 3], None),
    "a subtask that shares the slot at times": (
        [((A, B), SEGV, 3, 0), ((A,), SEGV, 3, 0), ((A, B), SEGV, 3, 0), ((A, C), SEGV, 3, 0)],
        RepeatedDeath((A,), SEGV, 4),
    ),
    "slots that are killed may be killed more often": ([((A,), KILL, 3, n) for n in range(7)], None),
    "but not without end": (
        [((A,), KILL, 3, n) for n in range(DEATHS_FROM_OUTSIDE_MAX)],
        RepeatedDeath((A,), KILL, DEATHS_FROM_OUTSIDE_MAX),
    ),
    "slots that are killed now and then while the job gets on": ([((A,), KILL, n // 3, n) for n in range(300)], None),
    "a job without checkpoints that runs for long": ([((A,), SEGV, 0, n * (LONG_S + 1)) for n in range(50)], None),
    "a job that reads nothing for long": ([((A,), KILL, 9, n * (LONG_S + 1)) for n in range(50)], None),
    "a job without checkpoints that does not": (
        [((A,), SEGV, 0, n * (LONG_S - 1)) for n in range(4)],
        RepeatedDeath((A,), SEGV, 4),
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_deaths_and_what_is_said(name: str) -> None:
    deaths, said = TABLES[name]
    assert after(deaths) == said


@pytest.mark.parametrize(
    ("end", "advice"),
    [
        (SEGV, "native code that these operators call crashes"),
        (SEVEN, "repair the function or filter the record"),
        (KILL, "ran out of memory"),
        ("SIGTERM", "who sends the signal"),
    ],
)
def test_the_message_names_who_how_how_often_and_what_to_do(end: str, advice: str) -> None:
    told = RepeatedDeath((A, C), end, 4).describe(["map (1/2)", "map (2/2)"])
    assert f"the process that runs map (1/2), map (2/2) ended 4 times by {end}, and no checkpoint showed" in told
    assert advice.lower() in told.lower()


def test_only_some_of_many_names_are_told() -> None:
    told = RepeatedDeath((A,) * 6, SEGV, 4).describe([f"v{n}" for n in range(6)])
    assert "runs v0, v1, v2, v3 and 2 more ended" in told
