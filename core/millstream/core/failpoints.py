"""Named places at which a test makes a process die, fail or dawdle; without effect unless a test arms them.

The environment variable ``MILLSTREAM_FAILPOINTS`` arms them for a process, ``arm`` does it from within::

    NAME=ACTION[%PERCENT][@HIT][:MARKER];NAME=ACTION[%PERCENT][@HIT]?SWITCH...

``ACTION`` is ``kill`` (SIGKILL for the own process), ``error`` (raises ``CheckpointError``), ``io-error`` (raises
``OSError``), or ``delay:200ms``. It happens at every hit, or only at the ``HIT``-th one of the process, counted from 1;
with ``PERCENT``, at about so many of a hundred, which depend on the process and the hit alone.
``MARKER`` is an absolute path, without ``;``: whoever creates the file acts, so that it happens once over all
processes, and once more when somebody removes the file. ``SWITCH`` is one too: it happens only while the file exists.
A name may come more than once: its actions are tried in turn.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import threading
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from millstream.core.errors import CheckpointError, ConfigError

VARIABLE: Final = "MILLSTREAM_FAILPOINTS"

FAILPOINTS: Final[Mapping[str, str]] = {
    "barrier.blocks": "the first barrier of a checkpoint has come to a task, and others are still to come",
    "barrier.overtakes": "a barrier is about to overtake what waits in the inputs of a task",
    "barrier.overtaken": "what it has overtaken there is known, and not written",
    "snapshot.list": "a task has seen the barrier, and has not listed its state",
    "snapshot.listed": "its state is listed, and the barrier is not handed on",
    "snapshot.barrier-sent": "the barrier is handed on, and nothing is written",
    "files.write": "before a task's state is written",
    "files.sync": "a file has its bytes, and they are not durable yet; also in the JobManager",
    "files.written": "its files are written, and nobody knows",
    "files.report": "before the JobManager is told of them",
    "commit.prepare": "a sink is about to close what it has written so far",
    "commit.prepared": "what it has written is closed, and not in the snapshot",
    "commit.told": "a task hears that a checkpoint counts",
    "commit.publish": "before one thing is made visible, after a checkpoint or at the start",
    "commit.published": "it is visible, and nobody has noted that",
    "restore.read": "before a task reads its state",
    "restore.done": "its operators have their state, and nothing runs",
    "restore.in-flight": "it is connected to its producers, and has not read what was in flight",
    "restore.open": "it has that too, and its operators are not open",
    "cancel.told": "a slot hears that subtasks are to stop",
    "enumerators.copied": "the state of the sources' enumerators is copied, and no barrier is on its way",
    "deployment.send": "what is about to be deployed is recorded, and no TaskManager knows",
    "deployment.sent": "all TaskManagers have it, and no split is handed out",
    "splits.recorded": "splits that a source hands out are recorded, and not sent",
    "splits.resumed": "a new leader has the enumerator of a source, and has told its readers nothing",
    "trigger.send": "the first barriers of a checkpoint are about to be ordered",
    "answer.taken": "a task's answer is noted, and others may be missing",
    "savepoint.sealed": "a savepoint is complete, and nobody knows",
    "manifest.write": "all tasks have reported, and the manifest is not written",
    "manifest.written": "the manifest is written, and does not count yet",
    "checkpoint.announce": "the checkpoint counts, and no task knows",
    "checkpoint.note": "tasks were told that the checkpoint counts, and that is not noted",
    "discard.begin": "before the files that nobody needs are removed",
    "discard.end": "after they were removed",
    "discard.all": "before all checkpoints of a job that needs none are removed",
    "ledger.generation": "a new leader of a job's checkpoints has begun, and has read nothing",
    "ledger.claimed": "it has claimed what was sealed and not claimed",
    "ledger.started": "what it starts with is written",
    "takeover.tell": "before running subtasks hear what their former leader completed and gave up",
    "jobstore.lead": "a new leader has read nothing of the jobs, and earlier ones may still write",
    "jobstore.leads": "what earlier leaders decide now counts no more, and nothing is read",
    "jobstore.adopted": "each job has a record of the new leader, and earlier ones are not void",
    "jobstore.recovered": "they are void, and nothing of them is removed",
    "jobstore.accept": "the blobs of a submitted job are in the job store, and the job is not",
    "jobstore.accepted": "the job is in the job store, and its client does not know",
    "jobstore.write": "before a record of a job is written: a deployment, a journal, its end",
    "jobstore.written": "the record is written, and nobody acts upon it",
    "jobstore.forget": "a job has ended and its checkpoints are gone, the rest is still in the job store",
}
"""What each one is; those from ``enumerators.copied`` on are in the JobManager, the others in slots."""

_ENTRY: Final = re.compile(
    r"(?P<name>[\w.-]+)=(?P<action>kill|error|io-error|delay:(?P<ms>\d+) ?ms)(%(?P<percent>[1-9]\d?))?"
    r"(@(?P<hit>[1-9]\d*))?(:(?P<marker>/.+)|\?(?P<switch>/.+))?"
)


@dataclass
class _Armed:
    action: str
    delay_ms: int
    percent: int
    hit: int | None
    marker: str | None
    switch: str | None
    hits: int = 0


_armed: dict[str, list[_Armed]] = {}
_lock = threading.Lock()


def failpoint(name: str) -> None:
    """Something a test may want to disturb happens here; see ``FAILPOINTS``."""
    if _armed:
        _reached(name)


def arm(text: str) -> None:
    """Arm those that ``text`` names, and no others. ``ConfigError`` if it is not of the form above."""
    global _armed
    armed: dict[str, list[_Armed]] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise ConfigError(
                f"{VARIABLE} has {entry!r}, where NAME=kill@3, NAME=io-error%20 or NAME=delay:200ms is expected"
            )
        if match["name"] not in FAILPOINTS:
            raise ConfigError(f"{VARIABLE} names {match['name']!r}; there are {', '.join(FAILPOINTS)}")
        action = match["action"].partition(":")[0]
        hit = int(match["hit"]) if match["hit"] else None
        new = _Armed(action, int(match["ms"] or 0), int(match["percent"] or 100), hit, match["marker"], match["switch"])
        armed.setdefault(match["name"], []).append(new)
    _armed = armed


def _reached(name: str) -> None:
    with _lock:
        hits = []
        for armed in _armed.get(name, ()):
            armed.hits += 1
            hits.append((armed, armed.hits))
    for armed, hit in hits:
        if _is_due(name, armed, hit):
            _act(name, armed)


def _is_due(name: str, armed: _Armed, hit: int) -> bool:
    if armed.hit is not None and hit != armed.hit:
        return False
    if zlib.crc32(f"{name} {os.getpid()} {hit}".encode()) % 100 >= armed.percent:
        return False
    if armed.switch is not None and not os.path.exists(armed.switch):  # noqa: PTH110  cheap
        return False
    return armed.marker is None or _created(armed.marker)


def _act(name: str, armed: _Armed) -> None:
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif armed.action == "error":
        raise CheckpointError(f"the failpoint {name} is armed")
    elif armed.action == "io-error":
        raise OSError(errno.EIO, f"the failpoint {name} is armed")
    threading.Event().wait(armed.delay_ms / 1000)


def _created(marker: str) -> bool:
    try:
        os.close(os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


arm(os.environ.get(VARIABLE, ""))
