"""What is observed in a job's checkpoint directory, and the canonical line of checkpoints that it tells. Pure.

Several generations of a job's leader may write there at once: one that was paused does not know that it was replaced.
Nothing is ever decided by who writes last. These are the objects::

    generation-<g>               created if absent: the highest one leads
    start-<g>                    created if absent: the checkpoints with which generation g went on, and nothing else
    chk-<n>-g<g>/MANIFEST        written last by generation g: parent and files of its checkpoint n
    epochs/<n>                   created if absent: whose checkpoint n counts, and its parent
    chk-<n>-g<g>/COMMITTED       the sinks have committed it
    chk-<n>-g<g>/RETIRED-<w>     generation w wants it away; nobody starts from it any more

The line is what the highest ``start`` kept, and after it what that generation claimed, parent by parent. A claim or a
manifest of an earlier generation that is not among the kept is void, for it came too late to be seen; so is a mark
``RETIRED`` that an earlier generation puts on a kept checkpoint.

A state file belongs to the checkpoint and the generation that wrote it, and no name is ever used twice. A manifest
refers to files of its own and to files of one checkpoint of the line, its base.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from millstream.core.checkpoint.manifest import checkpoint_name

COMMITTED: Final = "COMMITTED"


class Candidate(NamedTuple):
    """A checkpoint as one generation wrote it. The line has at most one candidate for an id."""

    checkpoint_id: int
    generation: int


class Mark(NamedTuple):
    """``RETIRED-<by>`` in the directory of a candidate."""

    candidate: Candidate
    by: int


@dataclass(frozen=True)
class Unreadable:
    """An object that is there and cannot be believed."""

    reason: str


@dataclass(frozen=True)
class Manifest:
    """``parent``: the id of the checkpoint before it in the line, 0 for none. ``files``: paths below the job's."""

    candidate: Candidate
    parent: int
    files: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Epoch:
    """``epochs/<n>``. The parent stands here too: the manifest that names it may be the one that is damaged."""

    candidate: Candidate
    parent: int


@dataclass(frozen=True)
class Start:
    """``start-<g>``. ``kept``: from which checkpoint generation g started, and before it what was left; none: fresh."""

    generation: int
    kept: tuple[Candidate, ...] = ()

    @property
    def checkpoint_id(self) -> int:
        return self.kept[0].checkpoint_id if self.kept else 0


@dataclass(frozen=True)
class Observed:
    """Everything in the directory, read after whatever the reader wrote before.

    The marks are read before all else: they are deleted last, so a checkpoint that is read half deleted has its mark.

    ``files``: state files with who wrote them. ``damaged``: those of them that are not what was written.
    """

    generations: frozenset[int] = frozenset()
    starts: Mapping[int, Start | Unreadable] = field(default_factory=dict)
    manifests: Mapping[Candidate, Manifest | Unreadable] = field(default_factory=dict)
    epochs: Mapping[int, Epoch | Unreadable] = field(default_factory=dict)
    committed: frozenset[Candidate] = frozenset()
    retired: frozenset[Mark] = frozenset()
    directories: frozenset[Candidate] = frozenset()
    files: Mapping[str, Candidate] = field(default_factory=dict)
    damaged: frozenset[str] = frozenset()

    def defect(self, candidate: Candidate) -> str:
        """Why nobody can start from a candidate; empty when everything is there."""
        match self.manifests.get(candidate):
            case None:
                return f"{checkpoint_name(*candidate)} has no manifest"
            case Unreadable(reason):
                return f"the manifest of {checkpoint_name(*candidate)} is unreadable: {reason}"
            case Manifest(candidate=told) if told != candidate:
                return f"the manifest of {checkpoint_name(*candidate)} is that of {checkpoint_name(*told)}"
            case Manifest(files=files):
                for path in sorted(files):
                    if path not in self.files:
                        return f"{path} is missing"
                    if path in self.damaged:
                        return f"{path} is damaged"
        return ""


@dataclass(frozen=True)
class History:
    """``line``: the canonical checkpoints that are not retired, newest first. ``trouble``: why it cannot be trusted."""

    start: Start
    line: tuple[Candidate, ...]
    trouble: str

    @property
    def newest_id(self) -> int:
        return self.line[0].checkpoint_id if self.line else 0


def generation_name(generation: int) -> str:
    return f"generation-{generation}"


def start_name(generation: int) -> str:
    return f"start-{generation}"


def epoch_name(checkpoint_id: int) -> str:
    return f"epochs/{checkpoint_id}"


def mark_name(mark: Mark) -> str:
    return f"{checkpoint_name(*mark.candidate)}/RETIRED-{mark.by}"


def history(observed: Observed) -> History:
    """The canonical line. Never raises: what is wrong with the records is its ``trouble``."""
    start = max(
        (start for start in observed.starts.values() if isinstance(start, Start)),
        key=lambda start: start.generation,
        default=Start(0),
    )
    line = (*_claimed(observed, start), *(kept for kept in start.kept if not is_retired(observed, kept, start)))
    return History(start, line, _trouble(observed, start, line[0].checkpoint_id if line else 0))


def is_retired(observed: Observed, candidate: Candidate, start: Start) -> bool:
    """A mark counts unless it is that of a generation before ``start``, which kept the candidate without seeing it."""
    return any(
        mark.candidate == candidate and not (mark.by < start.generation and candidate in start.kept)
        for mark in observed.retired
    )


def _claimed(observed: Observed, start: Start) -> Iterator[Candidate]:
    """What was claimed since ``start``, from the newest to its parent and so on."""
    since = {
        checkpoint_id: epoch
        for checkpoint_id, epoch in observed.epochs.items()
        if isinstance(epoch, Epoch) and epoch.candidate.generation >= start.generation
    }
    at = max((n for n, epoch in since.items() if not is_retired(observed, epoch.candidate, start)), default=0)
    while at in since:
        epoch = since.pop(at)
        if not is_retired(observed, epoch.candidate, start):
            yield epoch.candidate
        at = epoch.parent


def _trouble(observed: Observed, start: Start, newest_id: int) -> str:
    for generation, record in sorted(observed.starts.items()):
        if isinstance(record, Unreadable) and generation >= start.generation:
            return f"{start_name(generation)} is unreadable: {record.reason}"
    for checkpoint_id, epoch in sorted(observed.epochs.items()):
        if isinstance(epoch, Unreadable) and checkpoint_id > newest_id:
            return f"{epoch_name(checkpoint_id)} is unreadable: {epoch.reason}"
    for candidate in sorted(observed.committed):
        if candidate.generation >= start.generation and candidate.checkpoint_id > newest_id:
            return f"{checkpoint_name(*candidate)} was committed, and the record that says so is gone"
    if start.kept and not newest_id:
        return f"all that {start_name(start.generation)} kept is retired, and nothing came after it"
    return ""
