"""The life of a task."""

import itertools

import pytest

from millstream.core.errors import InvariantViolation
from millstream.taskmanager.task.phase import ENDED, TaskPhase, check_edge

LEGAL = {
    ("created", "running"),
    ("created", "canceled"),
    ("created", "failed"),
    ("running", "draining"),
    ("running", "canceled"),
    ("running", "failed"),
    ("draining", "finished"),
    ("draining", "canceled"),
    ("draining", "failed"),
}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(TaskPhase, TaskPhase)))
def test_edges(old: TaskPhase, new: TaskPhase) -> None:
    if (old.value, new.value) in LEGAL:
        check_edge(old, new, "t")
    else:
        with pytest.raises(InvariantViolation, match=f"t cannot go from {old.value} to {new.value}"):
            check_edge(old, new, "t")


def test_nothing_follows_an_end() -> None:
    assert {phase.value for phase in ENDED} == {"finished", "canceled", "failed"}
