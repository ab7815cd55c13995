"""Every interleaving of leaders that share a checkpoint directory, within small bounds.

A leader can be paused between any two steps, also between two deletions, and go on after another took over; one that
crashes is one that never goes on. In every reachable state a further leader would have to find the right checkpoint.
Observing is one step, save that the marks are read in a step before the rest when a leader starts.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import pytest

from millstream.core.checkpoint.manifest import MANIFEST_NAME, checkpoint_name
from millstream.jobmanager.checkpointing import garbage, protocol
from millstream.jobmanager.checkpointing.history import (
    COMMITTED,
    Candidate,
    Epoch,
    Manifest,
    Mark,
    Observed,
    Start,
    Unreadable,
    epoch_name,
    history,
    mark_name,
)

RUNNING = {"idle", "write-manifest", "claim", "ask-commit", "commit", "write-committed"}
"""The steps beside which a leader collects garbage."""


class Disk(NamedTuple):
    generations: frozenset[int] = frozenset()
    starts: frozenset[Start] = frozenset()
    manifests: frozenset[Manifest] = frozenset()
    broken: frozenset[Candidate] = frozenset()
    epochs: frozenset[Epoch] = frozenset()
    committed: frozenset[Candidate] = frozenset()
    retired: frozenset[Mark] = frozenset()
    files: frozenset[tuple[str, Candidate]] = frozenset()


class Leader(NamedTuple):
    """``at``: its next step. ``base``: what it restored or last committed. ``collecting``: its decision."""

    generation: int
    at: str = "read-marks"
    marks: frozenset[Mark] = frozenset()
    claim: Epoch | None = None
    start: Start | None = None
    replay: bool = False
    last_id: int = 0
    base: Candidate | None = None
    current: Candidate | None = None
    collecting: tuple[Mark | str, ...] = ()


class World(NamedTuple):
    """``parents``, ``claimed``, ``commits`` and ``dropped``: what really happened, for the checks alone."""

    disk: Disk = Disk()
    leaders: tuple[Leader, ...] = ()
    parents: frozenset[tuple[Candidate, Candidate | None]] = frozenset()
    claimed: frozenset[Candidate] = frozenset()
    commits: frozenset[Candidate] = frozenset()
    dropped: frozenset[Candidate] = frozenset()
    damages: int = 0
    abandons: int = 0


class Bounds(NamedTuple):
    """``collects``: whether the leaders collect garbage at all."""

    generations: int
    checkpoints: int
    damages: int = 0
    abandons: int = 0
    collects: bool = True


@cache
def observe(disk: Disk) -> Observed:
    manifests: dict[Candidate, Manifest | Unreadable] = {manifest.candidate: manifest for manifest in disk.manifests}
    manifests.update({candidate: Unreadable("torn") for candidate in disk.broken if candidate in manifests})
    return Observed(
        generations=disk.generations,
        starts={start.generation: start for start in disk.starts},
        manifests=manifests,
        epochs={epoch.candidate.checkpoint_id: epoch for epoch in disk.epochs},
        committed=disk.committed,
        retired=disk.retired,
        files=dict(disk.files),
    )


def steps(world: World, bounds: Bounds) -> Iterator[World]:
    disk, leaders = world.disk, world.leaders
    if len(disk.generations) < bounds.generations:
        generation = protocol.next_generation(disk.generations)
        opened = disk._replace(generations=disk.generations | {generation})
        yield world._replace(disk=opened, leaders=(*leaders, Leader(generation)))
    if world.damages < bounds.damages:
        for candidate in history(observe(disk)).line[:1]:
            yield world._replace(disk=disk._replace(broken=disk.broken | {candidate}), damages=world.damages + 1)
    for place, leader in enumerate(leaders):
        for after, became in (*proceed(world, leader, bounds), *(collect(world, leader) if bounds.collects else ())):
            rest = (became,) if became else ()
            yield after._replace(leaders=(*leaders[:place], *rest, *leaders[place + 1 :]))


def proceed(world: World, me: Leader, bounds: Bounds) -> Iterator[tuple[World, Leader | None]]:
    """The next step of one leader; afterwards it is ``None`` when it stopped."""
    disk = world.disk
    match me.at:
        case "read-marks":
            yield world, me._replace(at="read-rest", marks=disk.retired)
        case "read-rest":
            yield world, decide(world, me)
        case "claim-found":
            assert me.claim
            yield claim(world, me.claim), me._replace(at="read-marks", claim=None)
        case "write-start":
            assert me.start
            yield world._replace(disk=disk._replace(starts=disk.starts | {me.start})), me._replace(at="ask-start")
        case "ask-start":
            yield start(world, me)
        case "idle" if me.last_id < bounds.checkpoints:
            current = Candidate(me.last_id + 1, me.generation)
            written = disk._replace(files=disk.files | {(path, current) for path in own_files(current)})
            after = world._replace(disk=written, parents=world.parents | {(current, me.base)})
            yield after, me._replace(at="write-manifest", current=current, last_id=current.checkpoint_id)
        case "write-manifest":
            assert me.current
            manifest = Manifest(me.current, id_of(me.base), references(me.current, me.base))
            yield world._replace(disk=disk._replace(manifests=disk.manifests | {manifest})), me._replace(at="claim")
            if world.abandons < bounds.abandons:
                after = world._replace(disk=disk._replace(manifests=disk.manifests | {manifest}))
                yield after._replace(abandons=world.abandons + 1), me._replace(at="write-mark")
        case "claim":
            assert me.current
            yield claim(world, Epoch(me.current, id_of(me.base))), me._replace(at="ask-commit")
        case "ask-commit":
            yield world, permit(world, me)
        case "commit":
            assert me.current
            yield commit(world, me.current), me._replace(at="write-committed")
        case "write-committed":
            assert me.current
            after = world._replace(disk=disk._replace(committed=disk.committed | {me.current}))
            yield after, me._replace(at="idle", base=me.current, current=None)
        case "write-mark":
            assert me.current
            marked = disk._replace(retired=disk.retired | {Mark(me.current, me.generation)})
            yield world._replace(disk=marked), me._replace(at="ask-abandon")
        case "ask-abandon":
            assert me.current
            if isinstance(
                protocol.may_abandon(observe(disk), me.generation, me.current.checkpoint_id), protocol.StopOrphaned
            ):
                yield world, None
            else:
                yield world._replace(dropped=world.dropped | {me.current}), me._replace(at="idle", current=None)


def decide(world: World, me: Leader) -> Leader | None:
    observed = replace(observe(world.disk), retired=me.marks)
    me = me._replace(marks=frozenset(), last_id=protocol.next_checkpoint_id(observed) - 1)
    match protocol.recovery(observed, me.generation):
        case protocol.StopOrphaned():
            return None
        case protocol.Corrupt(reason):
            assert world.damages, reason
            return None
        case protocol.ClaimUnclaimed(found, parent):
            return me._replace(at="claim-found", claim=Epoch(found, parent))
        case decision:
            begin = protocol.start_of(observed, me.generation)
            replay = isinstance(decision, protocol.ReplayCommit | protocol.FallBackToParent)
            return me._replace(at="write-start", start=begin, replay=replay)


def start(world: World, me: Leader) -> tuple[World, Leader | None]:
    """What the sinks prepared for others than the checkpoint and its ancestors is dropped."""
    match protocol.may_start(observe(world.disk), me.generation):
        case protocol.Authorized(base):
            kept = {base, *ancestors(world, base)}
            dropped = world.dropped | {candidate for candidate, _ in world.parents if candidate not in kept}
            after = world._replace(dropped=dropped)
            if me.replay:
                return after, me._replace(at="ask-commit", start=None, base=base, current=base)
            return after, me._replace(at="idle", start=None, base=base)
    return world, None


def permit(world: World, me: Leader) -> Leader | None:
    assert me.current
    match protocol.may_commit(observe(world.disk), me.generation, me.current.checkpoint_id):
        case protocol.Authorized(checkpoint):
            assert checkpoint == me.current, "the permit is for another checkpoint"
            return me._replace(at="commit")
        case protocol.GiveUp():
            return me._replace(at="write-mark")
    return None


def claim(world: World, epoch: Epoch) -> World:
    if any(other.candidate.checkpoint_id == epoch.candidate.checkpoint_id for other in world.disk.epochs):
        return world
    claimed = world.disk._replace(epochs=world.disk.epochs | {epoch})
    return world._replace(disk=claimed, claimed=world.claimed | {epoch.candidate})


def commit(world: World, checkpoint: Candidate) -> World:
    """Idempotent. Output is exactly once when all that was committed is one line."""
    assert checkpoint in world.claimed, f"{checkpoint} is committed before it is claimed"
    if checkpoint in world.commits:
        return world
    same_id = {other for other in world.commits if other.checkpoint_id == checkpoint.checkpoint_id}
    assert not same_id - world.disk.broken, f"{checkpoint} and {same_id} are both committed"
    if checkpoint not in world.disk.broken:
        assert checkpoint not in world.dropped, f"{checkpoint} is committed after the sinks dropped it"
        beside = world.commits - world.disk.broken - ancestors(world, checkpoint)
        assert not beside, f"{checkpoint} is committed beside {beside}"
        skipped = ancestors(world, checkpoint) - world.commits - world.disk.broken
        assert not skipped, f"{checkpoint} is committed, and {skipped} never was"
    return world._replace(commits=world.commits | {checkpoint})


def collect(world: World, me: Leader) -> Iterator[tuple[World, Leader]]:
    """The collector runs beside the checkpoints of its leader, one mark or deletion a step."""
    if me.collecting:
        step, *rest = me.collecting
        if isinstance(step, Mark):
            disk = world.disk._replace(retired=world.disk.retired | {step})
        else:
            disk = without(world.disk, step)
        yield world._replace(disk=disk), me._replace(collecting=tuple(rest))
    elif me.at in RUNNING:
        retained = frozenset({me.base.checkpoint_id} if me.base else ())
        decision = garbage_of(world.disk, retained, me.generation)
        if decision.retire or decision.delete:
            yield world, me._replace(collecting=(*decision.retire, *decision.delete))


@cache
def garbage_of(disk: Disk, retained: frozenset[int], generation: int) -> garbage.GarbageDecision:
    """The collector is not told what is under way: it may have begun while the directory was read."""
    return garbage.collect_garbage(observe(disk), retained, (), generation)


@cache
def without(disk: Disk, path: str) -> Disk:
    return Disk(
        generations=disk.generations,
        starts=disk.starts,
        manifests=frozenset(m for m in disk.manifests if f"{checkpoint_name(*m.candidate)}/{MANIFEST_NAME}" != path),
        broken=disk.broken,
        epochs=frozenset(epoch for epoch in disk.epochs if epoch_name(epoch.candidate.checkpoint_id) != path),
        committed=frozenset(c for c in disk.committed if f"{checkpoint_name(*c)}/{COMMITTED}" != path),
        retired=frozenset(mark for mark in disk.retired if mark_name(mark) != path),
        files=frozenset(file for file in disk.files if file[0] != path),
    )


def own_files(candidate: Candidate) -> tuple[str, str]:
    return f"{checkpoint_name(*candidate)}/state", shared_file(candidate)


def shared_file(candidate: Candidate) -> str:
    return f"shared/{checkpoint_name(*candidate)}"


def references(candidate: Candidate, base: Candidate | None) -> frozenset[str]:
    """Its own files and the shared one of its base."""
    return frozenset((*own_files(candidate), *([shared_file(base)] if base else [])))


def id_of(candidate: Candidate | None) -> int:
    return candidate.checkpoint_id if candidate else 0


def ancestors(world: World, candidate: Candidate | None) -> set[Candidate]:
    parents = dict(world.parents)
    found: set[Candidate] = set()
    while candidate and (candidate := parents[candidate]):
        found.add(candidate)
    return found


@cache
def next_start(disk: Disk) -> protocol.Decision:
    """What a further leader would do; also: whoever could be restored is whole."""
    generation = protocol.next_generation(disk.generations)
    observed = observe(disk._replace(generations=disk.generations | {generation}))
    past = history(observed)
    for candidate in past.line:
        if isinstance(observed.manifests.get(candidate), Manifest):
            assert not observed.defect(candidate), f"{candidate} is canonical and has lost a file"
    assert len({epoch.candidate.checkpoint_id for epoch in disk.epochs}) == len(disk.epochs)
    decision = protocol.recovery(observed, generation)
    if not isinstance(decision, protocol.StartFresh | protocol.Corrupt | protocol.StopOrphaned):
        assert not observed.defect(decision.checkpoint)
    return decision


def check(world: World) -> None:
    """The leader still has what it builds on, and the start of a further one loses nothing that was committed."""
    for me in world.leaders:
        if (
            me.at in RUNNING
            and me.base
            and me.base not in world.disk.broken
            and me.generation == len(world.disk.generations)
        ):
            defect = observe(world.disk).defect(me.base)
            assert not defect, f"generation {me.generation} builds on {me.base}, but {defect}"
    decision = next_start(world.disk)
    assert not isinstance(decision, protocol.StopOrphaned)
    sound = world.commits - world.disk.broken
    if isinstance(decision, protocol.Corrupt):
        assert world.damages, decision.reason
    elif isinstance(decision, protocol.StartFresh):
        assert not sound, f"{sound} is forgotten"
    else:
        assert decision.checkpoint not in world.dropped or world.damages, f"{decision} was dropped by the sinks"
        lost = sound - ancestors(world, decision.checkpoint) - {decision.checkpoint}
        assert not lost, f"{decision} forgets {lost}"


def search(bounds: Bounds) -> int:
    """The number of states; raises with the way to the first bad one."""
    first = World()
    came_from: dict[World, World | None] = {first: None}
    queue = deque([first])
    while queue:
        world = queue.popleft()
        try:
            check(world)
            for after in steps(world, bounds):
                if after not in came_from:
                    came_from[after] = world
                    queue.append(after)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{way_to(world, came_from)}") from error
    return len(came_from)


def way_to(world: World, came_from: dict[World, World | None]) -> str:
    """The next steps of the leaders in every state on the way."""
    lines: list[str] = []
    at: World | None = world
    while at:
        lines.append(" | ".join(f"{me.generation}: {me.at} {me.collecting[:1] or ''}" for me in at.leaders))
        at = came_from[at]
    return "\n".join(reversed(lines))


@pytest.fixture(autouse=True)
def without_cycles() -> Iterator[None]:
    """A search makes millions of tuples and no cycle; looking for cycles takes most of its time."""
    gc.freeze()
    gc.disable()
    yield
    for cached in (observe, next_start, garbage_of, without):
        cached.cache_clear()
    gc.enable()
    gc.unfreeze()


@pytest.mark.parametrize(
    "bounds",
    [
        pytest.param(Bounds(generations=2, checkpoints=3), id="a-leader-replaced-at-any-step"),
        pytest.param(Bounds(generations=2, checkpoints=2, abandons=1), id="a-checkpoint-given-up"),
        pytest.param(Bounds(generations=2, checkpoints=2, damages=1), id="the-newest-manifest-damaged"),
        pytest.param(Bounds(generations=3, checkpoints=2, collects=False), id="a-second-replacement"),
    ],
)
def test_no_interleaving_loses_or_repeats_a_commit(bounds: Bounds) -> None:
    states = search(bounds)
    print(f"{states} states")
    assert states > 5_000, "the bounds leave nothing to search"
