"""How a generation of a job's leader starts, commits and gives up checkpoints while another may still believe it leads.

Pure decisions over what was observed (see ``history``); the caller performs them. One rule makes them safe: *write
first, then look, then act*. Whoever wants to do something that cannot be taken back writes a record that says so,
observes the directory afterwards, and asks for a permit. Of two generations that do this, at least one sees the other.

To start: create ``generation-<g>``, observe, ask ``recovery``. On ``ClaimUnclaimed`` create the epoch record and
observe again. On anything else that names a checkpoint (or on ``StartFresh``) create the ``start`` of ``start_of``,
observe, ask ``may_start``; only then restore, and let sinks drop what others left uncommitted. Then commit the
checkpoint again unless it was ``Ready``.

To complete checkpoint n: seal its manifest, create ``epochs/<n>`` (somebody else's record stays), observe, ask
``may_commit``; commit, write ``COMMITTED``.

To give up a checkpoint whose manifest may exist: create the mark ``RETIRED-<g>``, observe, ask ``may_abandon``; only
then tell the sinks to drop it. Otherwise a later generation could claim what the sinks have dropped.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from millstream.core.checkpoint.manifest import checkpoint_name
from millstream.core.errors import invariant
from millstream.jobmanager.checkpointing.history import (
    Candidate,
    Manifest,
    Mark,
    Observed,
    Start,
    epoch_name,
    generation_name,
    history,
    is_retired,
    mark_name,
    start_name,
)


@dataclass(frozen=True)
class Ready:
    """Canonical, whole and committed: restore it."""

    checkpoint: Candidate


@dataclass(frozen=True)
class ReplayCommit:
    """Canonical and whole, but perhaps not committed everywhere: restore it and commit it again."""

    checkpoint: Candidate


@dataclass(frozen=True)
class ClaimUnclaimed:
    """Whole, and only the claim is missing: create ``epochs/<n>`` for it with this parent, and observe again."""

    checkpoint: Candidate
    parent: int


@dataclass(frozen=True)
class FallBackToParent:
    """What came after this checkpoint is damaged: restore it and commit it again. Later output is produced again."""

    checkpoint: Candidate
    reason: str


@dataclass(frozen=True)
class StartFresh:
    """Nothing was ever completed."""


@dataclass(frozen=True)
class StopOrphaned:
    """Stop this generation at once: write, commit and delete nothing more."""

    reason: str


@dataclass(frozen=True)
class Corrupt:
    """State existed and none of it can be used. A person has to decide."""

    reason: str


@dataclass(frozen=True)
class Authorized:
    """Go on, with exactly this checkpoint (``None``: a fresh start)."""

    checkpoint: Candidate | None


@dataclass(frozen=True)
class GiveUp:
    """This generation leads, but its checkpoint will never count: abandon it and take the next id."""

    reason: str


Decision = Ready | ReplayCommit | ClaimUnclaimed | FallBackToParent | StartFresh | StopOrphaned | Corrupt
Permit = Authorized | GiveUp | StopOrphaned


def next_generation(observed_generations: Collection[int]) -> int:
    """The record to create; when it exists by then, observe again."""
    return max(observed_generations, default=0) + 1


def next_checkpoint_id(observed: Observed) -> int:
    """Above every id that left a trace, whoever left it."""
    candidates = {*observed.manifests, *observed.committed, *observed.directories, *observed.files.values()}
    kept = {start.checkpoint_id for start in observed.starts.values() if isinstance(start, Start)}
    return max({0, *observed.epochs, *kept, *(candidate.checkpoint_id for candidate in candidates)}) + 1


def orphaned(observed: Observed, my_generation: int) -> str:
    """Why a generation does not lead; empty when it does."""
    highest = max(observed.generations, default=0)
    if highest > my_generation:
        return f"{generation_name(highest)} leads this job now"
    if my_generation not in observed.generations:
        return f"{generation_name(my_generation)} is gone"
    return ""


def recovery(observed: Observed, my_generation: int) -> Decision:
    """What to start from, asked after ``generation-<my_generation>`` was created."""
    if lost := orphaned(observed, my_generation):
        return StopOrphaned(lost)
    past = history(observed)
    if past.trouble:
        return Corrupt(past.trouble)
    newest = past.line[0] if past.line else None
    if newest is None or newest in observed.committed:
        unclaimed = _claimable(observed, past.start, past.newest_id)
        if unclaimed is not None:
            return ClaimUnclaimed(unclaimed, past.newest_id)
    if newest is None:
        return StartFresh()
    reason = observed.defect(newest)
    if not reason:
        return Ready(newest) if newest in observed.committed else ReplayCommit(newest)
    for older in past.line[1:]:
        if not observed.defect(older):
            return FallBackToParent(older, reason)
    return Corrupt(f"{reason}, and no earlier checkpoint can be used")


def start_of(observed: Observed, my_generation: int) -> Start:
    """The ``start`` record after a decision, from the same observation: with it all else in the directory is void."""
    return Start(my_generation, tuple(kept for kept in history(observed).line if not observed.defect(kept)))


def may_start(observed: Observed, my_generation: int) -> Permit:
    """Asked after ``start-<my_generation>`` was created; before that nothing may be restored or dropped."""
    if lost := _not_leading(observed, my_generation):
        return StopOrphaned(lost)
    kept = history(observed).start.kept
    return Authorized(kept[0] if kept else None)


def may_commit(observed: Observed, my_generation: int, checkpoint_id: int) -> Permit:
    """Asked after ``epochs/<checkpoint_id>`` was created, or found."""
    if lost := _not_leading(observed, my_generation):
        return StopOrphaned(lost)
    past = history(observed)
    if past.trouble:
        return StopOrphaned(past.trouble)
    for candidate in past.line:
        if candidate.checkpoint_id == checkpoint_id:
            defect = observed.defect(candidate)
            return StopOrphaned(defect) if defect else Authorized(candidate)
    return GiveUp(
        f"{epoch_name(checkpoint_id)} is not a claim that counts: it is absent, retired or of an earlier leader"
    )


def may_abandon(observed: Observed, my_generation: int, checkpoint_id: int) -> Permit:
    """Asked after the mark of the checkpoint that ``my_generation`` wrote; before that the sinks must not drop it."""
    if lost := _not_leading(observed, my_generation):
        return StopOrphaned(lost)
    candidate = Candidate(checkpoint_id, my_generation)
    mark = Mark(candidate, my_generation)
    invariant(mark in observed.retired, f"{mark_name(mark)} does not exist when the checkpoint is abandoned")
    if candidate in observed.committed:
        return StopOrphaned(f"{checkpoint_name(*candidate)} is committed and cannot be given up")
    return Authorized(candidate)


def _not_leading(observed: Observed, my_generation: int) -> str:
    if lost := orphaned(observed, my_generation):
        return lost
    if history(observed).start.generation != my_generation:
        return f"{start_name(my_generation)} is not there"
    return ""


def _claimable(observed: Observed, start: Start, newest_id: int) -> Candidate | None:
    """A whole checkpoint that directly follows the line and that nobody has claimed or given up."""
    found = [
        candidate
        for candidate, manifest in observed.manifests.items()
        if isinstance(manifest, Manifest)
        and candidate.checkpoint_id > newest_id
        and candidate.checkpoint_id not in observed.epochs
        and candidate.generation >= start.generation
        and manifest.parent == newest_id
        and not is_retired(observed, candidate, start)
        and not observed.defect(candidate)
    ]
    return max(found, default=None)
