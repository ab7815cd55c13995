"""Invariants of checkpoints: what counts is whole, stays, and is what attempts start from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from tests.protocol.history import Counted, Event, History, JobHistory

OPEN_MAX: Final = 10
"""More checkpoints than a job may have under way."""


def i4_the_dead_do_not_answer(history: History) -> Iterator[str]:
    """An answer is taken only from the newest attempt of its subtask, and only while that lives."""
    for job in history.jobs.values():
        left: dict[tuple[str, int], list[Event]] = defaultdict(list)
        for event in job.of("subtask.left"):
            left[event["subtask"], event["attempt"]].append(event)
        for event in job.of("checkpoint.acknowledged"):
            if event["generation"] < job.generation(event.t):
                continue  # of a leader that does not know yet that it is none
            subtask, attempt = event["subtask"], event["attempt"]
            newest = job.attempt(subtask, event.t)
            if newest is not None and attempt != newest:
                yield f"{event}, though attempt {newest} is deployed"
            for end in left[subtask, attempt]:  # what one leader has lost sight of, another may find alive
                if end.t < event.t and (end.process == event.process or end["status"] != "LOST"):
                    yield f"{event} came after {end}"


def i5_what_counts_is_whole(history: History) -> Iterator[str]:
    """All have answered before a checkpoint counts, with durable files; an attempt starts from the newest that counts.

    A subtask that had finished needs no answer.
    """
    for job in history.jobs.values():
        for counted in job.counted:
            yield from _missing_answers(job, counted)
        for event in job.of("restore.began"):
            if event["own"]:
                line = job.line(event.t)
                newest = line[-1].checkpoint if line else 0
                if event["checkpoint"] != newest:
                    yield f"{event}, though {newest or 'none'} is the newest checkpoint that counts"
            else:
                yield from _unknown_origin(history, event)
        for event in job.of("checkpoint.abandoned"):
            counts = job.counts(event["checkpoint"])
            if counts is not None and counts.generation == event["generation"]:
                yield f"{event}, though it counts"


def _missing_answers(job: JobHistory, counted: Counted) -> Iterator[str]:
    own = (counted.generation, counted.checkpoint)
    triggered = next((e for e in job.of("checkpoint.triggered") if _candidate(e) == own), None)
    if triggered is None:
        return  # the log begins later
    answers = {e["subtask"]: e for e in job.of("checkpoint.acknowledged") if _candidate(e) == own and e.t <= counted.t}
    finished = {e["subtask"] for e in job.of("subtask.left") if e["status"].endswith("FINISHED") and e.t <= counted.t}
    name = f"checkpoint {counted.checkpoint} of generation {counted.generation} of job {job.job}"
    for subtask in triggered["expected"]:
        if subtask not in answers and subtask not in finished:
            yield f"{name} counts without an answer of {subtask}"
    durable = {(e["subtask"], e["attempt"]): e.t for e in reversed(job.of("snapshot.durable")) if _candidate(e) == own}
    for subtask, answer in answers.items():
        if durable.get((subtask, answer["attempt"]), float("inf")) > answer.t:
            yield f"{name} has an answer of {subtask}, attempt {answer['attempt']}, before its files were durable"


def _unknown_origin(history: History, event: Event) -> Iterator[str]:
    """What a job was submitted with: if the log knows the directory, it must have been complete."""
    for job in history.jobs.values():
        for sealed in job.of("checkpoint.sealed"):
            if sealed["path"] == event["path"]:
                if sealed.t > event.t or job.counts(sealed["checkpoint"], event.t) is None:
                    yield f"{event}, which did not count then"
                return


def _candidate(event: Event) -> tuple[int, int]:
    return event["generation"], event["checkpoint"]


def i7_needed_files_stay(history: History) -> Iterator[str]:
    """What is removed belongs to no checkpoint that is retained, is restored later, or counts later."""
    for job in history.jobs.values():
        files = {_candidate(e): set(e["files"]) for e in job.of("checkpoint.sealed")}
        ended = job.ended_at()
        for event in job.of("files.discarded"):
            if event.t >= ended or event["generation"] < job.generation(event.t):
                continue
            if not event["paths"]:
                yield f"{event}, though the job goes on"
            gone = set(event["paths"])
            directories = tuple(f"{path}/" for path in gone)
            for counted, why in _needed(job, event.t, ended):
                directory = f"chk-{counted.checkpoint}-g{counted.generation}"
                needed = {*files.get((counted.generation, counted.checkpoint), ()), f"{directory}/MANIFEST"}
                for path in sorted(path for path in needed if path in gone or path.startswith(directories))[:1]:
                    yield f"{path} is removed, which {directory} needs, and that {why}: {event}"


def _needed(job: JobHistory, t: float, ended: float) -> Iterator[tuple[Counted, str]]:
    line = {counted.checkpoint: counted for counted in job.line(t)}
    if line:
        yield line[max(line)], "is the newest"
    announced = [e for e in job.of("checkpoint.announced") if e.t <= t]
    retained = len(announced[-1]["retained"]) if announced else 0
    for checkpoint in sorted(line)[-retained:] if retained else ():  # with those that a takeover has claimed since
        yield line[checkpoint], "is retained"
    for event in job.of("restore.began"):
        if event["own"] and event.t > t and event["checkpoint"] in line:
            yield line[event["checkpoint"]], "is restored later"
    for counted in job.counted:
        if not counted.savepoint and t < counted.t < ended:
            yield counted, "counts later"


def i9_every_checkpoint_ends(history: History) -> Iterator[str]:
    """Who starts a checkpoint completes it or gives it up, unless it dies before."""
    for job in history.jobs.values():
        ends = {
            (e.process, *_candidate(e))
            for e in job.of("checkpoint.claimed", "checkpoint.abandoned", "checkpoint.announced")
        }
        started = job.of("checkpoint.triggered")
        for position, event in enumerate(started):
            if (event.process, *_candidate(event)) in ends:
                continue
            later = sum(other.process == event.process for other in started[position + 1 :])
            ended = any(e.process == event.process and e.t == job.ended_at() for e in job.of("job.status"))
            if ended or later > OPEN_MAX:
                yield f"{event} never ended; {later} more were started" + (", and the job ended" if ended else "")


def i10_it_goes_on(history: History) -> Iterator[str]:
    """After ``test.healed``, within its ``within_s``, every job that does not end completes a checkpoint."""
    for healed in history.of("test.healed"):
        until = healed.t + healed["within_s"]
        for job in history.jobs.values():
            if not job.of("checkpoint.triggered") or job.ended_at() <= until or job.events[0].t > healed.t:
                continue
            if not any(healed.t < e.t <= until for e in job.of("checkpoint.announced")) and history.end > until:
                yield f"job {job.job} completed no checkpoint within {healed['within_s']} s after {healed}"
