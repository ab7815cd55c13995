"""Holds what a run has recorded against what must be true of every run.

A test that runs a cluster sets ``MILLSTREAM_PROTOCOL_LOG`` to a directory of its own before the cluster starts, lets
it end, and calls ``check``::

    monkeypatch.setenv("MILLSTREAM_PROTOCOL_LOG", str(directory))
    ...
    mark(directory, "test.healed", within_s=30.0)   # no fault from here on, if the run has such a point
    ...
    assert not check(directory)

One directory may hold several jobs and clusters, one after the other. ``python -m tests.protocol DIRECTORY`` does the
same by hand. A simulation has events without files: it gives ``check_events`` what ``protocol_log.divert`` handed it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.protocol.checkpoints import (
    i4_the_dead_do_not_answer,
    i5_what_counts_is_whole,
    i7_needed_files_stay,
    i9_every_checkpoint_ends,
    i10_it_goes_on,
)
from tests.protocol.history import Event, History, mark, read
from tests.protocol.leaders import i1_one_owner, i3_no_commit_by_the_past, i11_the_fenced_are_quiet
from tests.protocol.tasks import (
    i2_no_commit_before_the_claim,
    i6_commits_leave_no_gap,
    i8_one_attempt_at_a_time,
    i12_event_time_ends_once,
)

__all__ = ["Event", "check", "check_events", "mark"]

INVARIANTS: Final[dict[str, Callable[[History], Iterator[str]]]] = {
    "I1": i1_one_owner,
    "I2": i2_no_commit_before_the_claim,
    "I3": i3_no_commit_by_the_past,
    "I4": i4_the_dead_do_not_answer,
    "I5": i5_what_counts_is_whole,
    "I6": i6_commits_leave_no_gap,
    "I7": i7_needed_files_stay,
    "I8": i8_one_attempt_at_a_time,
    "I9": i9_every_checkpoint_ends,
    "I10": i10_it_goes_on,
    "I11": i11_the_fenced_are_quiet,
    "I12": i12_event_time_ends_once,
}
PROBLEMS_MAX: Final = 5
"""Of one invariant."""


def check(directory: Path) -> list[str]:
    """What is wrong, each with the number of the invariant; empty when all holds."""
    events, wrong = read(directory)
    if not events:
        return [f"{directory} holds no events"]
    return [*wrong, *check_events(events)]


def check_events(events: Iterable[Event]) -> list[str]:
    """The same of events at hand."""
    history = History(events)
    problems: list[str] = []
    for name, invariant in INVARIANTS.items():
        found = list(invariant(history))
        problems += [f"{name}: {problem}" for problem in found[:PROBLEMS_MAX]]
        if len(found) > PROBLEMS_MAX:
            problems.append(f"{name}: and {len(found) - PROBLEMS_MAX} more")
    return problems
