"""The table of a job's life: what it allows, what it refuses, how it is drawn."""

from __future__ import annotations

import itertools
import re

import pytest

from millstream.core.api.job import JobStatus
from millstream.core.errors import InvariantViolation
from millstream.jobmanager.job_status import EDGES, JobStory, mermaid

ALLOWED = """
    CREATED      -> INITIALIZING CANCELLING FAILING RECONCILING
    RECONCILING  -> INITIALIZING RUNNING RESTARTING FAILING SUSPENDED
    INITIALIZING -> RUNNING CANCELLING FAILING
    RUNNING      -> FINISHED CANCELLING FAILING RESTARTING SUSPENDED
    FAILING      -> FAILED CANCELLING RESTARTING SUSPENDED
    CANCELLING   -> CANCELED FINISHED FAILED SUSPENDED
    RESTARTING   -> INITIALIZING CANCELLING FAILING SUSPENDED
"""
LEGAL = {
    (JobStatus[before.strip()], JobStatus[after])
    for before, following in (line.split("->") for line in ALLOWED.strip().splitlines())
    for after in following.split()
}
PAIRS = list(itertools.product(JobStatus, JobStatus))


def path_to(status: JobStatus) -> list[JobStatus]:
    """A shortest legal way from CREATED, without CREATED."""
    paths: list[list[JobStatus]] = [[JobStatus.CREATED]]
    for path in paths:
        if path[-1] is status:
            return path[1:]
        paths += [[*path, after] for before, after in sorted(LEGAL) if before is path[-1] and after not in path]
    raise AssertionError(f"{status} cannot be reached")


def story_at(status: JobStatus) -> JobStory:
    story = JobStory("job-1", 100)
    for now_ms, step in enumerate(path_to(status), 101):
        story.become(step, now_ms)
    return story


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=lambda status: str(status))
def test_an_edge_is_taken_if_and_only_if_the_table_has_it(before: JobStatus, after: JobStatus) -> None:
    story = story_at(before)
    if (before, after) in LEGAL:
        story.become(after, 200)
        assert story.status is after and story.history[-1] == (after, 200)
        return
    history = list(story.history)
    with pytest.raises(InvariantViolation, match=f"job job-1 cannot become {after} after CREATED") as caught:
        story.become(after, 200)
    assert " -> ".join(str(status) for status, _ in history) in str(caught.value)
    assert story.status is before and story.history == history


@pytest.mark.parametrize("status", JobStatus, ids=str)
def test_terminal_states_are_those_without_a_way_out(status: JobStatus) -> None:
    assert status.is_terminal_state() == (not EDGES[status])


@pytest.mark.parametrize("status", JobStatus, ids=str)
def test_a_job_has_an_end_only_in_a_terminal_state(status: JobStatus) -> None:
    story = story_at(status)
    assert story.started_ms == 100
    assert story.ended_ms == (100 + len(path_to(status)) if status.is_terminal_state() else 0)


def test_the_diagram_has_every_edge_and_no_other() -> None:
    first, *lines = mermaid().splitlines()
    assert first == "stateDiagram-v2"
    drawn = [tuple(re.fullmatch(r"    (\S+) --> (\S+)", line).groups()) for line in lines]  # type: ignore[union-attr]
    ends = {(str(status), "[*]") for status in JobStatus if status.is_terminal_state()}
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == {(str(before), str(after)) for before, after in LEGAL} | ends | {("[*]", "CREATED")}
