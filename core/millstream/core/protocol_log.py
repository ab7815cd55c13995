"""What the processes of a cluster did for its checkpoints, one line an event; written only where a test asks for it.

The environment variable ``MILLSTREAM_PROTOCOL_LOG`` names a directory. Each process appends to a file of its own there,
one JSON object a line with one write, so that a process that is killed loses at most what it was just writing::

    {"t": 41.25, "pid": 7, "role": "slot", "event": "snapshot.durable", "job": "…", "checkpoint": 3, …}

``t`` is the machine's monotonic clock in seconds, which all processes of a machine share. ``EVENTS`` tells the other
fields. ``tests/protocol`` holds such a directory against what must be true of every run. A simulation takes the events
itself, by ``divert``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from millstream.core.clock import SystemClock

VARIABLE: Final = "MILLSTREAM_PROTOCOL_LOG"

EVENTS: Final[Mapping[str, str]] = {
    "leader.elected": "cluster, epoch, address: it leads the cluster; not told where there is no election",
    "leader.lost": "epoch, reason: it does not lead any more, and knows it",
    "generation.began": "job, generation, kept: it leads the job's checkpoints, with these, (id, generation)",
    "generation.fenced": "job, generation, reason: another one leads, and this one stops",
    "job.began": "job, edges: (edge, producing vertex), operators: (operator, vertex)",
    "job.status": "job, status: what it has become",
    "subtask.deployed": "job, subtask, attempt, taskmanager: about to be sent there",
    "subtask.left": "job, subtask, attempt, status: the JobManager knows that it has ended",
    "checkpoint.triggered": "job, generation, checkpoint, savepoint, expected: the subtasks that have to answer",
    "checkpoint.acknowledged": "job, generation, checkpoint, subtask, attempt: the JobManager took the answer",
    "checkpoint.sealed": "job, generation, checkpoint, savepoint, parent, path, files: the manifest is durable",
    "checkpoint.claimed": "job, generation, checkpoint: from now on it counts",
    "checkpoint.announced": "job, generation, checkpoint, savepoint, drain, retained: subtasks are about to be told",
    "checkpoint.committed": "job, generation, checkpoint: noted that subtasks were told",
    "checkpoint.abandoned": "job, generation, checkpoint, savepoint, reason",
    "restore.began": "job, checkpoint, path, own: an attempt starts from it; own: a checkpoint of the job itself",
    "files.discarded": "job, generation, paths: about to be removed, below the job's directory; empty: everything",
    "subtask.began": "job, subtask, attempt, reads: it runs; (edge, producer, its attempt) of all its inputs",
    "subtask.ended": "job, subtask, attempt, status",
    "snapshot.durable": "job, generation, checkpoint, subtask, attempt: its files are, and nobody knows",
    "state.restored": "job, subtask, attempt, path: it has the state that is there",
    "event-time.ended": "job, operator, index, attempt: a source's; no event time follows",
    "event-time.passed": "job, subtask, attempt: the end of event time has come from all its inputs",
    "sink.prepared": "job, operator, index, attempt, checkpoint, ids: what is to be committed with it",
    "sink.commits": "job, operator, index, attempt, ids: about to make these visible",
    "sink.committed": "job, operator, index, attempt, ids: they are",
    "sink.aborted": "job, operator, index, attempt, ids: given up",
}
"""Each kind with its fields; those from ``subtask.began`` on are of slots, the others of JobManagers."""

_clock: Final = SystemClock()
_sink: Callable[[str, dict[str, Any]], None] | None = None


def record(event: str, **fields: Any) -> None:
    """Something happened; see ``EVENTS``. ``fields`` are what JSON can say."""
    if _sink is not None:
        _sink(event, fields)


def is_on() -> bool:
    """Whether anybody listens: for fields that cost something."""
    return _sink is not None


def name_process(role: str) -> None:
    """What this process is, for all that it records from now on."""
    if isinstance(_sink, _File):
        _sink.role = role


def divert(sink: Callable[[str, dict[str, Any]], None] | None) -> None:
    """Hand events to ``sink`` from now on; None: to nobody."""
    global _sink
    _sink = sink


class _File:
    """The file of this process. A process that was forked off begins one of its own."""

    def __init__(self, directory: Path) -> None:
        self.role = "process"
        self._directory = directory
        self._pid = 0
        self._descriptor = -1

    def __call__(self, event: str, fields: dict[str, Any]) -> None:
        now_s = _clock.monotonic_s()
        line = json.dumps({"t": now_s, "pid": os.getpid(), "role": self.role, "event": event, **fields}) + "\n"
        with suppress(OSError):  # a run goes on without its story
            if self._pid != os.getpid():
                self._begin(now_s)
            os.write(self._descriptor, line.encode())

    def _begin(self, now_s: float) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        name = f"{os.getpid()}-{round(now_s * 1e6)}.jsonl"
        self._descriptor = os.open(self._directory / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._pid = os.getpid()


if os.environ.get(VARIABLE):
    divert(_File(Path(os.environ[VARIABLE])))
