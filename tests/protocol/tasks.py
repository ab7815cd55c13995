"""Invariants of subtasks: who runs, what sinks commit, where event time ends."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from tests.protocol.history import Event, History, JobHistory


class _Prepared:
    """Everything that sinks have prepared, over all jobs: one may commit what another prepared, from a savepoint."""

    def __init__(self, history: History) -> None:
        self.by_id: dict[str, tuple[JobHistory, Event]] = {}
        for job in history.jobs.values():
            for event in job.of("sink.prepared"):
                for name in event["ids"]:
                    self.by_id.setdefault(name, (job, event))
        self._answers: dict[tuple[str, str, int], set[int]] = defaultdict(set)
        for job in history.jobs.values():
            for event in job.of("checkpoint.acknowledged"):
                self._answers[job.job, event["subtask"], event["attempt"]].add(event["checkpoint"])

    def counted_at(self, name: str) -> float:
        """When the first checkpoint began to count that holds it; infinity when none does."""
        job, prepared = self.by_id[name]
        key = job.job, job.subtask(prepared), prepared["attempt"]
        answered = {n for n in self._answers.get(key, ()) if n >= prepared["checkpoint"]}
        return min((counted.t for counted in job.counted if counted.checkpoint in answered), default=float("inf"))


def i2_no_commit_before_the_claim(history: History) -> Iterator[str]:
    """A sink makes visible only what a checkpoint holds that counts already."""
    prepared = _Prepared(history)
    for job in history.jobs.values():
        begins_inside = all(e["own"] or _is_known(history, e["path"]) for e in job.of("restore.began"))
        for event in job.of("sink.commits"):
            for name in event["ids"]:
                if name not in prepared.by_id:
                    if begins_inside:
                        yield f"{event}: nobody has prepared {name}"
                elif prepared.counted_at(name) > event.t:
                    yield f"{event}: no checkpoint that counts then holds {name}, of {prepared.by_id[name][1]}"


def _is_known(history: History, path: str) -> bool:
    return any(sealed["path"] == path for job in history.jobs.values() for sealed in job.of("checkpoint.sealed"))


def i6_commits_leave_no_gap(history: History) -> Iterator[str]:
    """What a checkpoint holds that counts is never aborted, and is committed when the job has finished."""
    prepared = _Prepared(history)
    committed = {name for event in history.of("sink.committed") for name in event["ids"]}
    aborted = {name: event for event in history.of("sink.aborted") for name in event["ids"]}
    for name, (job, event) in prepared.by_id.items():
        if prepared.counted_at(name) == float("inf"):
            continue
        if name in aborted:
            yield f"{aborted[name]}: a checkpoint that counts holds {name}"
        if name not in committed and job.status() == "FINISHED" and not _goes_on_elsewhere(history, job):
            yield f"{event}: {name} was never committed, and the job has finished"


def _goes_on_elsewhere(history: History, job: JobHistory) -> bool:
    """Whether another job began with what this one left, and may not be at its end."""
    paths = {sealed["path"] for sealed in job.of("checkpoint.sealed")}
    for other in history.jobs.values():
        if any(e["path"] in paths and not e["own"] for e in other.of("restore.began")) and other.status() != "FINISHED":
            return True
    return False


def i8_one_attempt_at_a_time(history: History) -> Iterator[str]:
    """An attempt runs in one process; whoever reads from a subtask reads from its newest attempt."""
    for job in history.jobs.values():
        homes: dict[tuple[str, int], Event] = {}
        deployed = {(e["subtask"], e["attempt"]): e.t for e in job.of("subtask.deployed")}
        for event in job.of("subtask.began"):
            first = homes.setdefault((event["subtask"], event["attempt"]), event)
            if first.process != event.process:
                yield f"{event} runs twice: {first}"
            sent = deployed.get((event["subtask"], event["attempt"]), event.t)
            for edge, producer, attempt in event["reads"]:
                name = f"{job.producers.get(edge, '?')}[{producer}]"
                newest = job.attempt(name, sent)
                if newest is not None and attempt < newest:
                    yield f"{event} reads attempt {attempt} of {name}, though attempt {newest} was deployed"


def i12_event_time_ends_once(history: History) -> Iterator[str]:
    """Once an attempt; and before the snapshot of a savepoint that drains the sources, in every subtask."""
    for job in history.jobs.values():
        ends: Counter[tuple[Any, ...]] = Counter()
        ended: dict[tuple[str, int], float] = {}
        for event in job.of("event-time.ended", "event-time.passed"):
            subtask = job.subtask(event) if event.kind == "event-time.ended" else event["subtask"]
            source = event["operator"] if event.kind == "event-time.ended" else ""
            ends[subtask, event["attempt"], source] += 1
            ended.setdefault((subtask, event["attempt"]), event.t)
            if ends[subtask, event["attempt"], source] > 1:
                yield f"{event} happened before"
        drains = {(e["generation"], e["checkpoint"]) for e in job.of("checkpoint.announced") if e["drain"]}
        for event in job.of("snapshot.durable"):
            key = event["subtask"], event["attempt"]
            if (event["generation"], event["checkpoint"]) in drains and ended.get(key, float("inf")) > event.t:
                yield f"{event} holds no end of event time, though the savepoint has drained the sources"
