"""Tables of what is decided from a job's checkpoint directory, and properties over random directories.

A directory is written as words: ``g1`` a generation record, ``s2=3.1,2.1`` the start record of generation 2 with what
it kept, ``f3.1`` state files that generation 1 wrote for checkpoint 3, ``m3.1<2`` these and its manifest with parent 2
(it refers to the shared file of its parent), ``e3.1<2`` its claim, ``c3.1`` its ``COMMITTED``, ``r3.1/2`` the mark of
generation 2 on it, ``k3.1<2`` manifest, claim and ``COMMITTED``. ``!m3.1``, ``!e3``, ``!s2``: that one is unreadable.
``lost:<path>``, ``bad:<path>``: that state file is missing or damaged.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.checkpoint.manifest import MANIFEST_NAME, checkpoint_name
from millstream.core.errors import InvariantViolation
from millstream.jobmanager.checkpointing.garbage import GarbageDecision, collect_garbage
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
    generation_name,
    history,
    mark_name,
    start_name,
)
from millstream.jobmanager.checkpointing.protocol import (
    Authorized,
    ClaimUnclaimed,
    Corrupt,
    Decision,
    FallBackToParent,
    GiveUp,
    Permit,
    Ready,
    ReplayCommit,
    StartFresh,
    StopOrphaned,
    may_abandon,
    may_commit,
    may_start,
    next_checkpoint_id,
    next_generation,
    recovery,
    start_of,
)

WORD = re.compile(r"(!?[gsfmeckr])(\d+)(?:\.(\d+))?(?:<(\d+))?(?:/(\d+))?(?:=(.*))?")
TORN = Unreadable("torn")


def directory(words: str) -> Observed:
    """What is observed of the directory that these words describe."""
    seen = Observed(starts={}, manifests={}, epochs={}, files={})
    generations, committed, retired, damaged = set(), set(), set(), set()
    starts, manifests, epochs, files = dict(seen.starts), dict(seen.manifests), dict(seen.epochs), dict(seen.files)
    for word in words.split():
        if ":" in word:
            kind, path = word.split(":")
            files.pop(path) if kind == "lost" else damaged.add(path)
            continue
        match = WORD.fullmatch(word)
        assert match, word
        kind, number, one = match[1], int(match[2]), Candidate(int(match[2]), int(match[3] or 0))
        parent = int(match[4] or 0)
        if kind == "g":
            generations.add(number)
        elif kind == "s":
            kept = [Candidate(*map(int, name.split("."))) for name in (match[6] or "").split(",") if name]
            starts[number] = Start(number, tuple(kept))
        elif kind == "r":
            retired.add(Mark(one, int(match[5])))
        if kind in ("f", "m", "k"):
            files |= dict.fromkeys(own_files(one), one)
        if kind in ("m", "k"):
            base = [shared for other in manifests if other.checkpoint_id == parent for shared in own_files(other)[1:]]
            manifests[one] = Manifest(one, parent, frozenset((*own_files(one), *base)))
        if kind in ("e", "k"):
            epochs[number] = Epoch(one, parent)
        if kind in ("c", "k"):
            committed.add(one)
        if kind == "!m":
            manifests[one] = TORN
        elif kind == "!e":
            epochs[number] = TORN
        elif kind == "!s":
            starts[number] = TORN
    directories = {*manifests, *committed, *(mark.candidate for mark in retired), *files.values()}
    return Observed(
        frozenset(generations), starts, manifests, epochs, frozenset(committed), frozenset(retired),
        frozenset(directories), files, frozenset(damaged),
    )  # fmt: skip


def own_files(candidate: Candidate) -> tuple[str, str]:
    return f"{checkpoint_name(*candidate)}/state", f"shared/{checkpoint_name(*candidate)}"


def cases(*rows: tuple[str, str, object]) -> list[object]:
    return [pytest.param(words, expected, id=name.replace(" ", "-")) for name, words, expected in rows]


def c(checkpoint_id: int, generation: int) -> Candidate:
    return Candidate(checkpoint_id, generation)


def test_names() -> None:
    assert generation_name(2) == "generation-2" and start_name(2) == "start-2" and epoch_name(7) == "epochs/7"
    assert checkpoint_name(7, 2) == "chk-7-g2" and mark_name(Mark(c(7, 2), 3)) == "chk-7-g2/RETIRED-3"


@pytest.mark.parametrize(("observed", "expected"), [((), 1), ((1,), 2), ((3, 1), 4)])
def test_a_generation_is_above_all_others(observed: tuple[int, ...], expected: int) -> None:
    assert next_generation(observed) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [("", 1), ("f3.1", 4), ("m3.1", 4), ("e5.1", 6), ("!e5", 6), ("s2=4.1", 5), ("c2.1", 3), ("k1.1 r6.1/1", 7)],
)
def test_an_id_that_left_a_trace_is_not_used_again(words: str, expected: int) -> None:
    assert next_checkpoint_id(directory(words)) == expected


RECOVERY = cases(
    ("nothing there", "g1", StartFresh()),
    ("nothing claimed, a torn manifest", "g1 g2 s1 !m1.1", StartFresh()),
    ("only state files", "g1 g2 s1 f1.1", StartFresh()),
    ("committed", "g1 g2 s1 k1.1", Ready(c(1, 1))),
    ("the newest of several", "g1 g2 s1 k1.1 k2.1<1", Ready(c(2, 1))),
    ("claimed, not committed", "g1 g2 s1 k1.1 m2.1<1 e2.1<1", ReplayCommit(c(2, 1))),
    ("the first claimed, not committed", "g1 g2 s1 m1.1 e1.1", ReplayCommit(c(1, 1))),
    ("sealed, not claimed", "g1 g2 s1 k1.1 m2.1<1", ClaimUnclaimed(c(2, 1), 1)),
    ("the first sealed, not claimed", "g1 g2 s1 m1.1", ClaimUnclaimed(c(1, 1), 0)),
    ("a commit is finished before a claim is made", "g1 g2 s1 m1.1 e1.1 m2.1<1", ReplayCommit(c(1, 1))),
    ("unclaimed beside the line", "g1 g2 s1 k1.1 k2.1<1 m3.1<1", Ready(c(2, 1))),
    ("unclaimed and older than the line", "g1 g2 s1 m1.1 k2.1", Ready(c(2, 1))),
    ("unclaimed with a missing file", "g1 g2 s1 k1.1 m2.1<1 lost:chk-2-g1/state", Ready(c(1, 1))),
    ("unclaimed with a damaged file", "g1 g2 s1 k1.1 m2.1<1 bad:shared/chk-2-g1", Ready(c(1, 1))),
    ("unclaimed and given up", "g1 g2 s1 k1.1 m2.1<1 r2.1/1", Ready(c(1, 1))),
    ("unclaimed whose id another generation claimed", "g1 g2 g3 s1 s2 e1.1 m1.2", StartFresh()),
    ("unclaimed heals a damaged parent", "g1 g2 s1 k1.1 k2.1<1 m3.1<2 !m2.1", ClaimUnclaimed(c(3, 1), 2)),
    ("unclaimed and of nonsense", "g1 g2 s1 k3.1 m2.1<3", Ready(c(3, 1))),
    ("two generations wrote one id", "g1 g2 g3 s1 s2=1.1 k1.1 m2.1<1 k2.2<1", Ready(c(2, 2))),
    ("claimed too late", "g1 g2 g3 s1 s2=1.1 k1.1 m2.1<1 e2.1<1", Ready(c(1, 1))),
    ("claimed too late beside a newer one", "g1 g2 g3 s1 s2=1.1 k1.1 k3.2<1 m4.1<1 e4.1<1", Ready(c(3, 2))),
    ("sealed too late", "g1 g2 g3 s1 s2=1.1 k1.1 m2.1<1", Ready(c(1, 1))),
    ("an older start comes too late", "g1 g2 g3 g4 s1 s3=2.1,1.1 k1.1 k2.1<1 s2=1.1", Ready(c(2, 1))),
    ("a start without checkpoints of its own", "g1 g2 g3 s1 s2=2.1,1.1 k1.1 k2.1<1", Ready(c(2, 1))),
    ("kept, not committed", "g1 g2 g3 s1 s2=1.1 m1.1 e1.1", ReplayCommit(c(1, 1))),
    ("a retired one is not the newest", "g1 g2 s1 k1.1 m2.1<1 e2.1<1 r2.1/1", Ready(c(1, 1))),
    ("a mark that comes too late", "g1 g2 g3 s1 s2=1.1 k1.1 r1.1/1", Ready(c(1, 1))),
    ("the mark of an earlier generation on what was not kept", "g1 g2 g3 s1 s2=1.1 k1.1 m2.2<1 r2.2/1", Ready(c(1, 1))),
    ("the newest torn", "g1 g2 s1 k1.1 k2.1<1 !m2.1", FallBackToParent(c(1, 1), "the manifest of chk-2-g1 .* torn")),
    ("its manifest gone", "g1 g2 s1 k1.1 e2.1<1", FallBackToParent(c(1, 1), "no manifest")),
    ("a file gone", "g1 g2 s1 k1.1 k2.1<1 lost:chk-2-g1/state", FallBackToParent(c(1, 1), "chk-2-g1/state is missing")),
    ("a file torn", "g1 g2 s1 k1.1 k2.1<1 bad:shared/chk-2-g1", FallBackToParent(c(1, 1), "chk-2-g1 is damaged")),
    ("two of three damaged", "g1 g2 s1 k1.1 k2.1<1 k3.1<2 !m3.1 !m2.1", FallBackToParent(c(1, 1), "chk-3-g1")),
    ("back to one not committed", "g1 g2 s1 m1.1 e1.1 k2.1<1 !m2.1", FallBackToParent(c(1, 1), "chk-2-g1")),
    ("back over a start", "g1 g2 g3 s1 s2=2.1,1.1 k1.1 k2.1<1 k3.2<2 !m3.2", FallBackToParent(c(2, 1), "chk-3-g2")),
    ("never to one beside the line", "g1 g2 s1 k1.1 k2.1<1 k3.1<1 !m3.1", FallBackToParent(c(1, 1), "chk-3-g1")),
    ("never to a retired one", "g1 g2 s1 k1.1 k2.1 k3.1<2 e2.1<1 r2.1/1 !m3.1", FallBackToParent(c(1, 1), "chk-3-g1")),
    ("the only one damaged", "g1 g2 s1 k1.1 !m1.1", Corrupt("chk-1-g1 .* torn, and no earlier")),
    ("all others retired", "g1 g2 s1 k1.1 k2.1<1 r1.1/1 !m2.1", Corrupt("chk-2-g1 .* torn, and no earlier")),
    ("a shared file of all gone", "g1 g2 s1 k1.1 k2.1<1 lost:shared/chk-1-g1", Corrupt("shared/chk-1-g1 is missing")),
    ("a claim unreadable", "g1 g2 s1 k1.1 m2.1<1 !e2", Corrupt("epochs/2 is unreadable: torn")),
    ("an old claim unreadable", "g1 g2 s1 k1.1 k2.1<1 !e1", Ready(c(2, 1))),
    ("a claim gone", "g1 g2 s1 k1.1 m2.1<1 c2.1", Corrupt("chk-2-g1 was committed, and the record")),
    ("a start unreadable", "g1 g2 g3 s1 !s2 k1.1", Corrupt("start-2 is unreadable: torn")),
    ("an old start unreadable", "g1 g2 g3 !s1 s2=1.1 k1.1", Ready(c(1, 1))),
    ("everything retired", "g1 g2 g3 s1 s2=1.1 k1.1 r1.1/2", Corrupt("all that start-2 kept is retired")),
)  # fmt: skip


@pytest.mark.parametrize(("words", "expected"), RECOVERY)
def test_recovery(words: str, expected: Decision) -> None:
    observed = directory(words)
    highest = max(observed.generations)
    assert_like(recovery(observed, highest), expected)
    assert recovery(observed, highest - 1) == StopOrphaned(f"{generation_name(highest)} leads this job now")
    assert recovery(observed, highest + 1) == StopOrphaned(f"{generation_name(highest + 1)} is gone")


def test_a_manifest_in_the_directory_of_another_is_not_believed() -> None:
    seen = directory("g1 g2 s1 k1.1 k2.1<1")
    moved = replace(seen, manifests={**seen.manifests, c(2, 1): seen.manifests[c(1, 1)]})
    assert_like(recovery(moved, 2), FallBackToParent(c(1, 1), "the manifest of chk-2-g1 is that of chk-1-g1"))


def test_parents_in_a_circle_end() -> None:
    assert history(directory("g1 s1 k1.1<2 k2.1<1")).line == (c(2, 1), c(1, 1))


@pytest.mark.parametrize(
    ("words", "expected"),
    cases(
        ("fresh", "g1", Start(1)),
        ("all of the line", "g1 g2 g3 s1 s2=1.1 k1.1 k2.2 e2.2<1", Start(3, (c(2, 2), c(1, 1)))),
        ("not what came later", "g1 g2 s1 k1.1 k2.1<1 !m2.1", Start(2, (c(1, 1),))),
        ("not what is damaged", "g1 g2 s1 k1.1 k2.1<1 k3.1<2 !m2.1 bad:shared/chk-3-g1", Start(2, (c(1, 1),))),
        ("not what is damaged below", "g1 g2 s1 k1.1 k2.1<1 k3.1<2 !m1.1", Start(2, (c(3, 1), c(2, 1)))),
        ("not what is retired", "g1 g2 s1 k1.1 k2.1<1 r1.1/1", Start(2, (c(2, 1),))),
    ),
)
def test_a_start_keeps_what_can_be_used(words: str, expected: Start) -> None:
    observed = directory(words)
    decision = recovery(observed, max(observed.generations))
    assert getattr(decision, "checkpoint", None) == (expected.kept[0] if expected.kept else None)
    assert start_of(observed, max(observed.generations)) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    cases(
        ("fresh", "g1 s1", Authorized(None)),
        ("kept", "g1 g2 s1 k1.1 s2=1.1", Authorized(c(1, 1))),
        ("without a record", "g1 g2 s1 k1.1", StopOrphaned("start-2 is not there")),
        ("another leads", "g1 g2 g3 s1 s2", StopOrphaned("generation-3 leads")),
    ),
)
def test_may_start(words: str, expected: Permit) -> None:
    assert_like(may_start(directory(words), 2 if "g2" in words else 1), expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    cases(
        ("claimed", "g2 s2 m3.2 e3.2", Authorized(c(3, 2))),
        ("committed again", "g2 s2 k3.2", Authorized(c(3, 2))),
        ("what it started from", "g1 g2 s1 s2=3.1 m3.1 e3.1", Authorized(c(3, 1))),
        ("overtaken by its own next", "g2 s2 m3.2 e3.2 m4.2<3 e4.2<3", Authorized(c(3, 2))),
        ("not claimed", "g2 s2 m3.2", GiveUp("epochs/3 is not a claim that counts")),
        ("an earlier leader woke up and claimed", "g1 g2 s1 s2 m3.1 e3.1 m3.2", GiveUp("epochs/3")),
        ("given up", "g2 s2 m3.2 e3.2 r3.2/2", GiveUp("epochs/3")),
        ("beside the line", "g2 s2 m3.2 e3.2 k4.2", GiveUp("epochs/3")),
        ("another leads", "g2 g3 s2 m3.2 e3.2", StopOrphaned("generation-3 leads")),
        ("its record is gone", "g1 s2 m3.2 e3.2", StopOrphaned("generation-2 is gone")),
        ("not started", "g1 g2 s1 m3.1 e3.1", StopOrphaned("start-2 is not there")),
        ("damaged meanwhile", "g2 s2 m3.2 e3.2 !m3.2", StopOrphaned("chk-3-g2 is unreadable")),
        ("an unreadable claim", "g2 s2 m3.2 !e3", StopOrphaned("epochs/3 is unreadable")),
    ),
)
def test_may_commit(words: str, expected: Permit) -> None:
    assert_like(may_commit(directory(words), 2, 3), expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    cases(
        ("marked", "g2 s2 m3.2 r3.2/2", Authorized(c(3, 2))),
        ("claimed and marked", "g2 s2 m3.2 e3.2 r3.2/2", Authorized(c(3, 2))),
        ("committed", "g2 s2 k3.2 r3.2/2", StopOrphaned("chk-3-g2 is committed")),
        ("another leads", "g2 g3 s2 m3.2 r3.2/2", StopOrphaned("generation-3 leads")),
    ),
)
def test_may_abandon(words: str, expected: Permit) -> None:
    assert_like(may_abandon(directory(words), 2, 3), expected)


def test_nothing_is_abandoned_without_a_mark() -> None:
    with pytest.raises(InvariantViolation, match="chk-3-g2/RETIRED-2"):
        may_abandon(directory("g2 s2 m3.2"), 2, 3)


def assert_like(got: object, expected: object) -> None:
    """Equal, with the reason taken as a pattern."""
    pattern = getattr(expected, "reason", None)
    if pattern is None:
        assert got == expected
        return
    assert type(got) is type(expected), got
    reason = str(getattr(got, "reason", ""))
    assert re.search(pattern, reason), reason
    assert getattr(got, "checkpoint", None) == getattr(expected, "checkpoint", None)


def whole(name: str, *more: str, claim: bool = True) -> list[str]:
    """The deletions of a whole, marked checkpoint, in order."""
    epoch = [f"epochs/{name.split('-')[1]}"] if claim else []
    return [f"{name}/MANIFEST", f"{name}/state", *([f"{name}/COMMITTED"] if claim else []), *epoch, *more, name]


GARBAGE = cases(
    ("nothing to do", "g2 s2 k1.2", ([], [])),
    ("the first round marks", "g2 s2 k1.2 k2.2 e2.2<1", ([Mark(c(1, 2), 2)], [])),
    ("the second deletes", "g2 s2 k1.2 k2.2 r1.2/2",
     ([], [*whole("chk-1-g2", "chk-1-g2/RETIRED-2"), "shared/chk-1-g2"])),
    ("oldest first", "g2 s2 k1.2 k2.2 k3.2 r1.2/2 r2.2/2",
     ([], [*whole("chk-1-g2", "chk-1-g2/RETIRED-2"), *whole("chk-2-g2", "chk-2-g2/RETIRED-2"),
           "shared/chk-1-g2", "shared/chk-2-g2"])),
    ("a file that the next refers to stays", "g2 s2 k1.2 k2.2<1 r1.2/2",
     ([], whole("chk-1-g2", "chk-1-g2/RETIRED-2"))),
    ("a file that one not yet marked refers to stays", "g2 s2 k1.2 k2.2<1 k3.2 r1.2/2",
     ([Mark(c(2, 2), 2)], whole("chk-1-g2", "chk-1-g2/RETIRED-2"))),
    ("a torn one is marked and deleted", "g2 s2 k2.2 k3.2 !m2.2 r2.2/2",
     ([], [*whole("chk-2-g2", "chk-2-g2/RETIRED-2"), "shared/chk-2-g2"])),
    ("under way", "g2 s2 k1.2 f2.2", ([], [])),
    ("sealed, not claimed", "g2 s2 k1.2 m2.2<1", ([], [])),
    ("given up", "g2 s2 k1.2 m2.2<1 r2.2/2",
     ([], [*whole("chk-2-g2", "chk-2-g2/RETIRED-2", claim=False), "shared/chk-2-g2"])),
    ("given up before it was sealed", "g2 s2 f1.2 k2.2", ([], ["chk-1-g2/state", "chk-1-g2", "shared/chk-1-g2"])),
    ("given up and claimed later: the mark stays", "g2 s2 k1.2 m2.2<1 e2.2<1 r2.2/2",
     ([], ["chk-2-g2/MANIFEST", "chk-2-g2/state", "shared/chk-2-g2"])),
    ("state files of an earlier generation", "g1 g2 s1 s2=1.1 k1.1 f2.1",
     ([], ["chk-2-g1/state", "chk-2-g1", "shared/chk-2-g1"])),
    ("a manifest of an earlier generation", "g1 g2 s1 s2=1.1 k1.1 m2.1<1", ([Mark(c(2, 1), 2)], [])),
    ("and marked", "g1 g2 s1 s2=1.1 k1.1 m2.1<1 r2.1/2",
     ([], [*whole("chk-2-g1", "chk-2-g1/RETIRED-2", claim=False), "shared/chk-2-g1"])),
    ("a claim that came too late stays while it is young", "g1 g2 s1 s2=1.1 k1.1 m2.1<1 e2.1<1 r2.1/2",
     ([], ["chk-2-g1/MANIFEST", "chk-2-g1/state", "shared/chk-2-g1"])),
    ("a mark that came too late is not a mark", "g1 g2 s1 s2=2.1,1.1 k1.1 k2.1 r1.1/1", ([Mark(c(1, 1), 2)], [])),
    ("files that a crash left", "g2 s2 e1.2 k2.2",
     ([], ["epochs/1"])),
    ("what is left of files", "g2 s2 k1.2 k2.2 r1.2/2 lost:chk-1-g2/state",
     ([], [path for path in whole("chk-1-g2", "chk-1-g2/RETIRED-2") if "/state" not in path] + ["shared/chk-1-g2"])),
    ("a later generation", "g2 s2 k1.2 k2.2 f3.3 m4.3 r1.2/2",
     ([], [*whole("chk-1-g2", "chk-1-g2/RETIRED-2"), "shared/chk-1-g2"])),
    ("nothing was ever completed", "g1 g2 s1 s2 f1.1 m2.1",
     ([Mark(c(2, 1), 2)], ["chk-1-g1/state", "chk-1-g1", "shared/chk-1-g1"])),
)  # fmt: skip


@pytest.mark.parametrize(("words", "expected"), GARBAGE)
def test_garbage(words: str, expected: tuple[list[Mark], list[str]]) -> None:
    retire, delete = expected
    assert collect_garbage(directory(words), (), (), 2) == GarbageDecision(tuple(retire), tuple(delete))


@pytest.mark.parametrize(
    ("retained", "in_use", "retire", "delete"),
    [
        pytest.param((), (), (2,), (1,), id="only-the-newest"),
        pytest.param((3,), (), (2,), (1,), id="the-newest-is-named"),
        pytest.param((3, 2), (), (), (1,), id="two"),
        pytest.param((3,), (2,), (), (1,), id="a-base-in-use"),
        pytest.param((3,), (4,), (2,), (1,), id="one-under-way"),
    ],
)
def test_garbage_is_what_nobody_wants(
    retained: tuple[int, ...], in_use: tuple[int, ...], retire: tuple[int, ...], delete: tuple[int, ...]
) -> None:
    decision = collect_garbage(directory("g2 s2 k1.2 k2.2 k3.2<2 f4.2 r1.2/2"), retained, in_use, 2)
    assert decision.retire == tuple(Mark(c(wanted, 2), 2) for wanted in retire)
    assert [path for path in decision.delete if path.endswith(MANIFEST_NAME)] == [
        f"chk-{n}-g2/MANIFEST" for n in delete
    ]
    assert not decision.nothing_because


def test_what_is_in_use_stays_though_newer_ones_are_complete() -> None:
    concurrent = directory("g2 s2 f1.2 k2.2")
    assert collect_garbage(concurrent, (2,), (1, 2), 2) == GarbageDecision()
    assert collect_garbage(concurrent, (2,), (2,), 2).delete == ("chk-1-g2/state", "chk-1-g2", "shared/chk-1-g2")


def test_the_base_of_an_earlier_generation_stays() -> None:
    kept = directory("g1 g2 s1 s2=2.1,1.1 k1.1 k2.1")
    assert collect_garbage(kept, (2,), (1,), 2) == GarbageDecision()
    assert collect_garbage(kept, (2,), (), 2).retire == (Mark(c(1, 1), 2),)


def test_a_directory_stays_while_a_file_in_it_is_referred_to() -> None:
    seen = directory("g2 s2 k1.2 k2.2 r1.2/2")
    borrows = Manifest(c(2, 2), 1, frozenset({"chk-1-g2/state"}))
    decision = collect_garbage(replace(seen, manifests={**seen.manifests, c(2, 2): borrows}), (), (), 2)
    assert "chk-1-g2/MANIFEST" in decision.delete
    assert "chk-1-g2" not in decision.delete and "chk-1-g2/state" not in decision.delete


@pytest.mark.parametrize(
    ("words", "reason"),
    cases(
        ("another leads", "g2 g3 s2 k1.2 k2.2 r1.2/2 f1.1", "generation-3 leads"),
        ("not started", "g1 g2 s1 k1.1 k2.1 r1.1/1 f1.1", "start-2 is not there"),
        ("the newest is torn", "g2 s2 k1.2 k2.2 !m2.2 r1.2/2 f1.1", "chk-2-g2 is unreadable"),
        (
            "the newest has lost a file",
            "g2 s2 k1.2 k2.2 r1.2/2 f1.1 lost:shared/chk-2-g2",
            "shared/chk-2-g2 is missing",
        ),
        ("one under way is torn", "g2 s2 k1.2 k2.2 !m3.2 r1.2/2", "chk-3-g2 is unreadable"),
        ("a later generation's is torn", "g2 s2 k1.2 k2.2 !m3.3 r1.2/2", "chk-3-g3 is unreadable"),
        ("a claim is unreadable", "g2 s2 k1.2 k2.2 !e3 r1.2/2", "epochs/3 is unreadable"),
        ("a start is unreadable", "g2 s2 !s3 k1.2 k2.2 r1.2/2", "start-3 is unreadable"),
    ),
)
def test_in_doubt_nothing_is_deleted(words: str, reason: str) -> None:
    decision = collect_garbage(directory(words), (), (), 2)
    assert not decision.retire and not decision.delete
    assert reason in decision.nothing_because


@pytest.mark.parametrize("words", ["g2 s2 k1.2 k2.2<1 k3.2<2 !m2.2", "g2 s2 k1.2 k3.2<1", "g2 s2 k2.2 k3.2<2 r2.2/2"])
def test_a_retained_checkpoint_that_is_not_there_stops_everything(words: str) -> None:
    decision = collect_garbage(directory(words + " f1.1"), (3, 2), (), 2)
    assert not decision.retire and not decision.delete
    assert decision.nothing_because


NUMBERS = st.integers(1, 3)
IDS = st.integers(1, 5)


@st.composite
def directories(draw: st.DrawFn) -> Observed:
    """Two or three generations: a line that goes from one to the next, and whatever late writers add beside it."""
    words: list[str] = []
    line: list[tuple[int, int]] = []
    next_id = 1
    generations = draw(NUMBERS)
    for generation in range(1, generations + 1):
        kept = ",".join(f"{number}.{owner}" for number, owner in reversed(line))
        words += [f"g{generation}", f"s{generation}={kept}"]
        for _ in range(draw(st.integers(0, 3))):
            parent = line[-1][0] if line and line[-1][1] == generation else 0
            words.append(f"k{next_id}.{generation}<{parent}")
            line.append((next_id, generation))
            next_id += 1
    for _ in range(draw(st.integers(0, 6))):
        kind, number, owner = draw(st.sampled_from("fmr")), draw(IDS), draw(st.integers(1, generations))
        if (number, owner) not in line:
            words.append(
                f"r{number}.{owner}/{draw(st.integers(owner, generations))}"
                if kind == "r"
                else f"{kind}{number}.{owner}"
            )
    return directory(" ".join(words))


def after(observed: Observed, path: str) -> Observed:
    """Without one object."""
    assert path.startswith(("chk-", "shared/", "epochs/")), path
    return replace(
        observed,
        manifests={
            one: told for one, told in observed.manifests.items() if f"{checkpoint_name(*one)}/{MANIFEST_NAME}" != path
        },
        epochs={number: epoch for number, epoch in observed.epochs.items() if epoch_name(number) != path},
        committed=frozenset(one for one in observed.committed if f"{checkpoint_name(*one)}/{COMMITTED}" != path),
        retired=frozenset(mark for mark in observed.retired if mark_name(mark) != path),
        directories=frozenset(one for one in observed.directories if checkpoint_name(*one) != path),
        files={name: writer for name, writer in observed.files.items() if name != path},
    )


def further(observed: Observed) -> Decision:
    """What a generation after all others would start from."""
    generation = next_generation(observed.generations)
    return recovery(replace(observed, generations=observed.generations | {generation}), generation)


@settings(max_examples=200, deadline=None)
@given(observed=directories(), wanted=st.integers(0, 3))
def test_deleting_changes_no_recovery_and_ends(observed: Observed, wanted: int) -> None:
    """Whoever starts after any deletion starts from the same; a few rounds leave only what is wanted."""
    me = max(observed.generations)
    retained = [one.checkpoint_id for one in history(observed).line[:wanted]]
    before = further(observed)
    for _ in range(4):
        decision = collect_garbage(observed, retained, (), me)
        assert not decision.nothing_because
        for path in decision.delete:
            observed = after(observed, path)
            assert further(observed) == before
        observed = replace(observed, retired=observed.retired | set(decision.retire))
        assert further(observed) == before
    assert not decision.retire and not decision.delete
    line = history(observed).line
    assert set(retained) <= {one.checkpoint_id for one in line}
    assert not any(observed.defect(one) for one in line if one.checkpoint_id in retained)
    referred = {path for told in observed.manifests.values() if isinstance(told, Manifest) for path in told.files}
    unclaimed = {one for one in observed.files.values() if one not in observed.manifests}
    assert observed.files.keys() <= referred | {path for one in unclaimed for path in own_files(one)}


LATE: list[Callable[[Observed, Candidate], Observed]] = [
    lambda seen, one: replace(seen, files=dict.fromkeys(own_files(one), one) | dict(seen.files)),
    lambda seen, one: replace(seen, manifests={one: Manifest(one, 0)} | dict(seen.manifests)),
    lambda seen, one: replace(seen, epochs={one.checkpoint_id: Epoch(one, 0)} | dict(seen.epochs)),
    lambda seen, one: replace(seen, starts={one.generation: Start(one.generation)} | dict(seen.starts)),
    lambda seen, one: replace(seen, retired=seen.retired | {Mark(kept, one.generation) for kept in kept_by(seen)}),
    lambda seen, one: replace(seen, committed=seen.committed | {one}),
]
"""What a generation that was replaced may still write."""


def kept_by(observed: Observed) -> tuple[Candidate, ...]:
    return history(observed).start.kept


@settings(max_examples=200, deadline=None)
@given(observed=directories(), late=st.lists(st.tuples(st.sampled_from(LATE), IDS, NUMBERS), max_size=8))
def test_nothing_that_a_replaced_generation_writes_changes_a_recovery(
    observed: Observed, late: list[tuple[Callable[[Observed, Candidate], Observed], int, int]]
) -> None:
    """But it may take the id of what nobody has claimed: as if that were not written, as none of it is committed."""
    before, me = observed, max(observed.generations)
    for write, number, generation in late:
        if generation < me:
            observed = write(observed, Candidate(number, generation))
    taken = observed.epochs.keys() - before.epochs.keys()
    left = {one: told for one, told in before.manifests.items() if one.checkpoint_id not in taken}
    assert not any(one.checkpoint_id in taken for one in before.committed)
    assert further(observed) == further(replace(before, manifests=left))


@settings(max_examples=200, deadline=None)
@given(observed=directories(), torn=st.sets(IDS))
def test_whoever_starts_next_starts_from_the_same(observed: Observed, torn: set[int]) -> None:
    """A start record changes nothing but what is void, whatever is damaged."""
    manifests = {one: TORN if one.checkpoint_id in torn else told for one, told in observed.manifests.items()}
    observed = replace(observed, manifests=manifests)
    generation = next_generation(observed.generations)
    observed = replace(observed, generations=observed.generations | {generation})
    decision = recovery(observed, generation)
    if isinstance(decision, ClaimUnclaimed):
        found, parent = decision.checkpoint, decision.parent
        observed = replace(observed, epochs={**observed.epochs, found.checkpoint_id: Epoch(found, parent)})
        decision = recovery(observed, generation)
        assert decision == ReplayCommit(found)
    if isinstance(decision, Corrupt):
        assert torn
        return
    assert isinstance(decision, Ready | ReplayCommit | FallBackToParent | StartFresh)
    start = start_of(observed, generation)
    observed = replace(observed, starts={**observed.starts, generation: start})
    chosen = None if isinstance(decision, StartFresh) else decision.checkpoint
    assert may_start(observed, generation) == Authorized(chosen)
    if chosen:
        assert may_commit(observed, generation, chosen.checkpoint_id) == Authorized(chosen)
        observed = replace(observed, committed=observed.committed | {chosen})
    assert further(observed) == (Ready(chosen) if chosen else StartFresh())
    assert next_checkpoint_id(observed) > max(observed.epochs, default=0)
