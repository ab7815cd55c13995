"""Invariants of who leads: a cluster's JobManagers by epoch, a job's checkpoints by generation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from tests.protocol.history import Event, History

SIDE_EFFECTS: Final = frozenset(
    {
        "checkpoint.triggered",
        "checkpoint.claimed",
        "checkpoint.announced",
        "checkpoint.committed",
        "files.discarded",
        "subtask.deployed",
        "generation.began",
    }
)
"""What a process does to others, or to what lasts."""
UNDER_WAY_S: Final = 0.5


def i1_one_owner(history: History) -> Iterator[str]:
    """An epoch has one leader, and epochs grow; so have generations; a checkpoint's number is claimed once."""
    highest: dict[str, Event] = {}
    for event in history.of("leader.elected"):
        before = highest.get(event["cluster"])
        if before is not None and event["epoch"] <= before["epoch"]:
            yield f"{event} came after {before}"
        highest[event["cluster"]] = event
    for job in history.jobs.values():
        newest: Event | None = None
        for event in job.of("generation.began"):
            if newest is not None and event["generation"] <= newest["generation"]:
                yield f"{event} came after {newest}"
            newest = event
        owners: dict[int, int] = {}
        for counted in job.counted:
            owner = owners.setdefault(counted.checkpoint, counted.generation)
            if owner != counted.generation:
                yield f"checkpoint {counted.checkpoint} of job {job.job} is of generations {owner} and {counted[1]}"


def i3_no_commit_by_the_past(history: History) -> Iterator[str]:
    """A generation lets sinks commit only while it is the newest, or what the newest has kept of it."""
    for job in history.jobs.values():
        kept = {(e["generation"], n, g) for e in job.of("generation.began") for n, g in e["kept"]}
        for event in job.of("checkpoint.announced"):
            newest, own = job.generation(event.t), event["generation"]
            if not event["savepoint"] and own < newest and (newest, event["checkpoint"], own) not in kept:
                yield f"{event}, though generation {newest} leads and has not kept it"


def i11_the_fenced_are_quiet(history: History) -> Iterator[str]:
    """Who has lost the leadership, of the cluster or of a job's checkpoints, does nothing more with it.

    What a thread had begun when another one heard of the loss may end: the storage decides whether it counts.
    """
    lost: dict[str, Event] = {}
    fenced: dict[tuple[str, str], Event] = {}
    for event in history.events:
        if event.kind == "leader.lost":
            lost[event.process] = event
        elif event.kind == "generation.fenced":
            fenced[event.process, event["job"]] = event
        elif event.kind in SIDE_EFFECTS:
            why = lost.get(event.process) or fenced.get((event.process, event["job"]))
            if why is not None and event.t > why.t + UNDER_WAY_S:
                yield f"{event} came after {why}"


def elected(history: History) -> dict[str, list[int]]:
    """The epochs of each cluster, for the summary."""
    found: dict[str, list[int]] = defaultdict(list)
    for event in history.of("leader.elected"):
        found[event["cluster"]].append(event["epoch"])
    return found
