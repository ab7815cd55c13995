"""What a run has recorded (``millstream.core.protocol_log``), read back and put in order."""

from __future__ import annotations

import bisect
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from millstream.core.clock import SystemClock

TERMINAL: Final = frozenset({"FINISHED", "FAILED", "CANCELED"})


@dataclass(frozen=True)
class Event:
    """``t``: seconds of the machine's monotonic clock. ``process``: tells process images apart, also of one pid."""

    t: float
    process: str
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def __str__(self) -> str:
        told = " ".join(f"{name}={_short(value)}" for name, value in self.fields.items())
        return f"{self.kind} {told} (t={self.t:.3f}, {self.process})"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read(directory: Path) -> tuple[list[Event], list[str]]:
    """All events in their order, and what is wrong with the files. The last line of a process that died may be torn."""
    events: list[Event] = []
    wrong: list[str] = []
    for file in sorted(directory.glob("*.jsonl")):
        lines = file.read_text(errors="replace").splitlines()
        for number, line in enumerate(lines, 1):
            try:
                fields = json.loads(line)
                t, kind = float(fields.pop("t")), str(fields.pop("event"))
            except (ValueError, KeyError, AttributeError):
                if number < len(lines):
                    wrong.append(f"{file.name}, line {number} is no event: {line[:80]}")
                continue
            events.append(Event(t, f"{fields.pop('role', '?')} {file.stem}", kind, fields))
    return sorted(events, key=lambda event: event.t), wrong


def mark(directory: Path, kind: str, **fields: Any) -> None:
    """Add an event of the test itself: ``test.healed`` with ``within_s``, say, from where on all must go well."""
    told = {"t": SystemClock().monotonic_s(), "pid": os.getpid(), "role": "test", "event": kind, **fields}
    with (directory / f"test-{os.getpid()}.jsonl").open("a") as stream:
        stream.write(json.dumps(told) + "\n")


class Counted(NamedTuple):
    """A checkpoint that counts: ``t`` is from when on, ``savepoint`` whether it is one."""

    t: float
    generation: int
    checkpoint: int
    savepoint: bool


class JobHistory:
    """The events of one job, with some questions answered."""

    def __init__(self, job: str, events: Iterable[Event]) -> None:
        self.job = job
        self.events = list(events)
        self._by_kind: dict[str, list[Event]] = defaultdict(list)
        for event in self.events:
            self._by_kind[event.kind].append(event)
        self.counted = list(self._counted())
        self.vertices = {o: v for began in self.of("job.began") for o, v in began["operators"]}
        self.producers = {edge: vertex for began in self.of("job.began") for edge, vertex in began["edges"]}
        self._deployed: dict[str, list[tuple[float, int]]] = defaultdict(list)
        for event in self.of("subtask.deployed"):
            self._deployed[event["subtask"]].append((event.t, event["attempt"]))

    def of(self, *kinds: str) -> list[Event]:
        """Those of one kind, or of several, in their order."""
        if len(kinds) == 1:
            return self._by_kind.get(kinds[0], [])
        return [event for event in self.events if event.kind in kinds]

    def ended_at(self) -> float:
        """When the job ended for good; infinity when it did not."""
        return next((e.t for e in self.of("job.status") if e["status"] in TERMINAL), float("inf"))

    def status(self, t: float = float("inf")) -> str:
        """The last that was told by then."""
        return next((str(e["status"]) for e in reversed(self.of("job.status")) if e.t <= t), "")

    def generation(self, t: float) -> int:
        """The newest that had begun by then; 0 for none."""
        return max((e["generation"] for e in self.of("generation.began") if e.t <= t), default=0)

    def attempt(self, subtask: str, t: float) -> int | None:
        """The newest that was deployed by then."""
        known = self._deployed.get(subtask, [])
        return max((attempt for _, attempt in known[: bisect.bisect_right(known, (t, 1 << 62))]), default=None)

    def counts(self, checkpoint: int, t: float = float("inf")) -> Counted | None:
        """Whether and since when the checkpoint, or savepoint, of this number counted then."""
        return next((c for c in self.counted if c.checkpoint == checkpoint and c.t <= t), None)

    def line(self, t: float) -> list[Counted]:
        """The checkpoints that counted then, oldest first: what the last leader kept, and what it has added."""
        began = [e for e in self.of("generation.began") if e.t <= t]
        newest = max(began, key=lambda e: int(e["generation"]), default=None)
        kept = {(n, g) for n, g in newest["kept"]} if newest is not None else set()
        generation = 0 if newest is None else newest["generation"]
        found = {
            c.checkpoint: c
            for c in self.counted
            if not c.savepoint and c.t <= t and (c.generation == generation or (c.checkpoint, c.generation) in kept)
        }
        return [found[n] for n in sorted(found)]

    def subtask(self, event: Event) -> str:
        """Of an event that names an operator."""
        vertex = self.vertices.get(event["operator"], event["operator"])
        return f"{vertex}[{event['index']}]"

    def _counted(self) -> Iterator[Counted]:
        for event in self.events:
            if event.kind == "checkpoint.claimed":
                yield Counted(event.t, event["generation"], event["checkpoint"], False)
            elif event.kind == "checkpoint.sealed" and event["savepoint"]:
                yield Counted(event.t, event["generation"], event["checkpoint"], True)
            elif event.kind == "generation.began":
                for checkpoint, generation in event["kept"]:
                    yield Counted(event.t, generation, checkpoint, False)


class History:
    """Everything that was recorded."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.events = sorted(events, key=lambda event: event.t)
        by_job: dict[str, list[Event]] = defaultdict(list)
        for event in self.events:
            if "job" in event.fields:
                by_job[event["job"]].append(event)
        self.jobs = {job: JobHistory(job, events) for job, events in by_job.items()}

    def of(self, *kinds: str) -> list[Event]:
        return [event for event in self.events if event.kind in kinds]

    @property
    def end(self) -> float:
        """When the last event was."""
        return self.events[-1].t if self.events else 0.0
