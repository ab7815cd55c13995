"""The names of a job store's files, and which of them count. Pure.

Several leaders may write into a store at once: one that was paused does not know that it was replaced. So nothing is
ever overwritten, and every name carries the epoch of the leader that wrote it::

    epochs/leads.<e>                  created before leader e reads anything
    epochs/recovered.<e>              created when leader e has a record of its own of every job
    jobs/<job>.graph.<e>.<n>          the job as it is to run; the highest (e, n) counts
    jobs/<job>.accepted.<e>.<n>       that there is a graph to be found
    jobs/<job>.source-<v>.<e>.<n>     the journal of a source; the highest (e, n) counts
    jobs/<job>.since-<v>.<e>.<n>      what is appended to it; names the record to which, and counts only with that
    jobs/<job>.ending.<e>.<n>         how the job is about to end
    jobs/<job>.blob-<key>.<e>.<n>     user code
    jobs/<job>.result.<e>.<n>         how the job ended

One rule makes them safe: *look, write, look again, then act*. A leader that sees a higher ``leads`` stops. The look
before the write shows that the leader still led when it decided; the look after it, that every later leader will find
what was written. Without the second one nothing follows from the write, whoever finds it.

A new leader e creates ``leads.<e>``, reads, writes the job's newest records again as its own, and creates
``recovered.<e>``. What has a lower epoch than the highest ``recovered`` was left over, or came too late: it is void. Of
results the opposite holds, since they are not written again: one counts unless a leader above it has a record of the
job, which means that it never saw the result, and runs the job.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

EPOCHS: Final = "epochs"
JOBS: Final = "jobs"
GRAPH: Final = "graph"
ACCEPTED: Final = "accepted"
RESULT: Final = "result"
ENDING: Final = "ending"
_SOURCE: Final = "source-"
_SINCE: Final = "since-"
_BLOB: Final = "blob-"
_RECORD: Final = re.compile(r"([^.]+)\.([^.]+)\.(\d+)\.(\d+)")
_EPOCH: Final = re.compile(r"(leads|recovered)\.(\d+)")


class Record(NamedTuple):
    """A file below ``jobs``. Compared last by its number, so the greatest of one job and kind is the newest."""

    job: str
    kind: str
    epoch: int
    number: int

    @property
    def path(self) -> str:
        return f"{JOBS}/{self.name}"

    @property
    def name(self) -> str:
        return f"{_plain(self.job)}.{_plain(self.kind)}.{self.epoch}.{self.number}"


def source_kind(vertex_id: str) -> str:
    return _SOURCE + vertex_id


def since_kind(vertex_id: str) -> str:
    return _SINCE + vertex_id


def blob_kind(key: str) -> str:
    return _BLOB + key


def leads_path(epoch: int) -> str:
    return f"{EPOCHS}/leads.{epoch}"


def recovered_path(epoch: int) -> str:
    return f"{EPOCHS}/recovered.{epoch}"


@dataclass(frozen=True)
class Epochs:
    """``leads``: the highest that ever began; ``recovered``: the highest that has records of its own; 0 for none."""

    leads: int = 0
    recovered: int = 0


def epochs_of(names: Iterable[str]) -> Epochs:
    """Of the names in ``epochs``."""
    highest = {"leads": 0, "recovered": 0}
    for match in filter(None, map(_EPOCH.fullmatch, names)):
        highest[match[1]] = max(highest[match[1]], int(match[2]))
    return Epochs(**highest)


def epochs_before(names: Iterable[str], epoch: int) -> list[str]:
    """Those of the names in ``epochs`` that a later leader has made needless."""
    return [match[0] for match in filter(None, map(_EPOCH.fullmatch, names)) if int(match[2]) < epoch]


@dataclass
class JobFiles:
    """What there is of one job. ``newest``: by kind, of those that count. ``void``: the others."""

    newest: dict[str, Record] = field(default_factory=dict)
    void: list[Record] = field(default_factory=list)

    @property
    def has_ended(self) -> bool:
        return RESULT in self.newest

    @property
    def was_accepted(self) -> bool:
        return GRAPH in self.newest or ACCEPTED in self.newest

    def sources(self) -> dict[str, Record]:
        """By vertex id."""
        return _without(_SOURCE, self.newest)

    def blobs(self) -> dict[str, Record]:
        """By key."""
        return _without(_BLOB, self.newest)

    def last_graph(self) -> Record | None:
        """Of an ended job, void or not: it tells where its checkpoints are."""
        return max((r for r in (*self.void, *self.newest.values()) if r.kind == GRAPH), default=None)

    def all(self) -> list[Record]:
        return [*self.void, *self.newest.values()]


def removal_order(records: Iterable[Record]) -> list[Record]:
    """The result last, so that the job never comes back; before it the graph, which tells where its checkpoints are."""
    return sorted(records, key=lambda record: (record.kind == RESULT, record.kind == GRAPH, record))


def files_by_job(names: Iterable[str], recovered: int) -> dict[str, JobFiles]:
    """Of the names in ``jobs``; others than those of records are left out. ``recovered``: see ``Epochs``."""
    found: dict[str, JobFiles] = {}
    for record in sorted(record for name in names if (record := parse(name))):
        files = found.setdefault(record.job, JobFiles())
        if record.epoch < recovered and record.kind != RESULT and not record.kind.startswith(_BLOB):
            files.void.append(record)
            continue
        if (older := files.newest.get(record.kind)) is not None:
            files.void.append(older)
        files.newest[record.kind] = record
    for files in found.values():
        told = max((files.newest[kind].epoch for kind in (GRAPH, ACCEPTED) if kind in files.newest), default=0)
        if RESULT in files.newest and files.newest[RESULT].epoch < told:
            files.void.append(files.newest.pop(RESULT))
    return found


def parse(name: str) -> Record | None:
    """The record of a name; None for what is none."""
    match = _RECORD.fullmatch(name)
    return Record(unquote(match[1]), unquote(match[2]), int(match[3]), int(match[4])) if match else None


def _without(prefix: str, records: dict[str, Record]) -> dict[str, Record]:
    return {kind.removeprefix(prefix): record for kind, record in records.items() if kind.startswith(prefix)}


def _plain(text: str) -> str:
    """As part of a file's name, between dots."""
    return quote(text, safe="").replace(".", "%2E")
