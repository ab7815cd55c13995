"""Which objects of a job's checkpoint directory may go. Pure; see ``history`` for the objects.

A checkpoint goes in two rounds. First it is marked ``RETIRED``; then, after the directory was *observed again* and the
generation still leads, what is marked is deleted. A later generation that does not see the mark keeps the checkpoint,
and the observation after the mark sees that generation: nothing is deleted under its feet, however long a leader pauses
between two deletions. So the caller alternates: observe, ``collect_garbage``, create the marks and delete, in order.

Savepoints are not among the objects, so nothing here reaches them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from millstream.core.checkpoint.manifest import MANIFEST_NAME, checkpoint_name
from millstream.jobmanager.checkpointing.history import (
    COMMITTED,
    Candidate,
    Epoch,
    History,
    Manifest,
    Mark,
    Observed,
    epoch_name,
    history,
    is_retired,
    mark_name,
    start_name,
)
from millstream.jobmanager.checkpointing.protocol import orphaned


@dataclass(frozen=True)
class GarbageDecision:
    """Marks to create and paths to delete, both in this order. ``nothing_because``: why nothing may go at all."""

    retire: tuple[Mark, ...] = ()
    delete: tuple[str, ...] = ()
    nothing_because: str = ""


def collect_garbage(
    observed: Observed, retained_ids: Collection[int], in_use_ids: Collection[int], my_generation: int
) -> GarbageDecision:
    """``in_use_ids``: checkpoints under way, the base of each, and whatever is being restored or copied.

    Asked or not, the newest canonical checkpoint is retained, and what this generation wrote for a later one and did
    not give up is taken for under way: it may have begun while the directory was read.
    """
    past = history(observed)
    if stop := orphaned(observed, my_generation) or past.trouble:
        return GarbageDecision(nothing_because=stop)
    if past.start.generation != my_generation:
        return GarbageDecision(nothing_because=f"{start_name(my_generation)} is not there")
    canonical = {candidate.checkpoint_id: candidate for candidate in past.line}
    if lost := sorted(set(retained_ids) - canonical.keys()):
        return GarbageDecision(nothing_because=f"the retained checkpoint {lost[0]} is not there")
    wanted = {*retained_ids, *in_use_ids, past.newest_id}
    needed = {candidate for candidate in past.line if candidate.checkpoint_id in wanted}
    unfinished = {
        candidate
        for candidate in _candidates(observed) - needed
        if candidate.generation > my_generation
        or (candidate.generation == my_generation and candidate.checkpoint_id in in_use_ids)
        or (
            candidate.generation == my_generation
            and candidate.checkpoint_id > past.newest_id
            and not is_retired(observed, candidate, past.start)
        )
    }
    for candidate in sorted(needed | (unfinished & observed.manifests.keys())):
        if defect := observed.defect(candidate):
            return GarbageDecision(nothing_because=defect)
    return _collected(observed, past, needed, unfinished, my_generation)


def _collected(
    observed: Observed, past: History, needed: set[Candidate], unfinished: set[Candidate], my_generation: int
) -> GarbageDecision:
    """``needed``: whole, with all they refer to. ``unfinished``: written for them may be what no manifest names yet."""
    others = _candidates(observed) - needed - unfinished
    condemned = {
        candidate
        for candidate in others
        if candidate not in observed.manifests or is_retired(observed, candidate, past.start)
    }
    retire = tuple(Mark(candidate, my_generation) for candidate in sorted(others - condemned))
    referred = {
        path
        for candidate, manifest in observed.manifests.items()
        if candidate not in condemned and isinstance(manifest, Manifest)
        for path in manifest.files
    }
    doomed = {
        path: writer for path, writer in observed.files.items() if path not in referred and writer not in unfinished
    }
    floor = min((candidate.checkpoint_id for candidate in needed), default=0)
    delete: list[str] = []
    for candidate in sorted(condemned):
        delete.extend(_parts(observed, candidate, doomed, floor))
    rest = sorted((writer, path) for path, writer in doomed.items() if path not in delete)
    return GarbageDecision(retire, (*delete, *(path for _, path in rest)))


def _candidates(observed: Observed) -> set[Candidate]:
    """All that left something in the directory, or only a claim."""
    claimed = {epoch.candidate for epoch in observed.epochs.values() if isinstance(epoch, Epoch)}
    marked = {mark.candidate for mark in observed.retired}
    return {
        *observed.manifests, *observed.committed, *observed.directories, *observed.files.values(), *claimed, *marked
    }  # fmt: skip


def _parts(observed: Observed, candidate: Candidate, doomed: Collection[str], floor: int) -> Iterator[str]:
    """The manifest first, so that it never looks whole; the mark last, so that it never looks wanted.

    A claim stays while it is younger than something needed (the way from the newest to the oldest leads over it), and
    the mark stays with it: without one, the claim would count.
    """
    directory = checkpoint_name(*candidate)
    inside = sorted(path for path in observed.files if path.startswith(f"{directory}/"))
    if candidate in observed.manifests:
        yield f"{directory}/{MANIFEST_NAME}"
    yield from (path for path in inside if path in doomed)
    if candidate in observed.committed:
        yield f"{directory}/{COMMITTED}"
    epoch = observed.epochs.get(candidate.checkpoint_id)
    if isinstance(epoch, Epoch) and epoch.candidate == candidate:
        if candidate.checkpoint_id >= floor:
            return
        yield epoch_name(candidate.checkpoint_id)
    yield from sorted(mark_name(mark) for mark in observed.retired if mark.candidate == candidate)
    if candidate in observed.directories and all(path in doomed for path in inside):
        yield directory
