"""Each invariant by histories made by hand: one that is as it must be, and for each rule some that break it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from millstream.core.protocol_log import EVENTS
from tests.protocol.check import INVARIANTS, Event, check, check_events, mark

ROOT = Path(__file__).resolve().parents[2]
SOURCE, SINK = "source[0]", "sink[0]"
Change = Callable[["Story"], Any]


class Story:
    """Events one after the other, a second apart."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, process: str, kind: str, job: str = "a", **fields: Any) -> None:
        fields = fields if kind in ("leader.elected", "leader.lost", "test.healed") else {"job": job, **fields}
        self.events.append(Event(float(len(self.events)), process, kind, fields))

    def find(self, kind: str, number: int = 0, **fields: Any) -> int:
        """The position of one of these events."""
        found = [
            position
            for position, event in enumerate(self.events)
            if event.kind == kind and fields.items() <= event.fields.items()
        ]
        return found[number]

    def drop(self, kind: str, number: int = 0, **fields: Any) -> None:
        del self.events[self.find(kind, number, **fields)]

    def change(self, kind: str, number: int = 0, **fields: Any) -> None:
        position = self.find(kind, number)
        old = self.events[position]
        self.events[position] = Event(old.t, old.process, kind, {**old.fields, **fields})

    def insert(self, position: int, process: str, kind: str, **fields: Any) -> None:
        fields = fields if kind in ("leader.elected", "leader.lost", "test.healed") else {"job": "a", **fields}
        self.events.insert(position, Event(0.0, process, kind, fields))

    def move(self, kind: str, to: int, number: int = 0, **fields: Any) -> None:
        event = self.events.pop(self.find(kind, number, **fields))
        self.events.insert(to, event)

    def told(self) -> list[Event]:
        """In the order in which they stand."""
        return [Event(float(t), event.process, event.kind, event.fields) for t, event in enumerate(self.events)]

    # -- what usually happens -------------------------------------------------------------------------------------

    def deploy(self, leader: str, attempt: int) -> None:
        slot = f"slot {attempt}"
        for subtask in (SOURCE, SINK):
            self.add(leader, "subtask.deployed", subtask=subtask, attempt=attempt, taskmanager="t")
        self.add(slot, "subtask.began", subtask=SOURCE, attempt=attempt, reads=[])
        self.add(slot, "subtask.began", subtask=SINK, attempt=attempt, reads=[[0, 0, attempt]])

    def checkpoint(self, leader: str, number: int, attempt: int, generation: int = 1, savepoint: bool = False) -> None:
        slot = f"slot {attempt}"
        place = {"generation": generation, "checkpoint": number}
        self.add(leader, "checkpoint.triggered", **place, savepoint=savepoint, expected=[SOURCE, SINK])
        self.prepare(number, attempt)
        for subtask in (SOURCE, SINK):
            self.add(slot, "snapshot.durable", **place, subtask=subtask, attempt=attempt)
            self.add(leader, "checkpoint.acknowledged", **place, subtask=subtask, attempt=attempt)
        path = f"/savepoint-{number}" if savepoint else f"/checkpoints/a/chk-{number}-g{generation}"
        files = [] if savepoint else [f"chk-{number}-g{generation}/state", f"shared/{number}-g{generation}-rows"]
        parent = {"savepoint": savepoint, "parent": number - 1, "path": path}
        self.add(leader, "checkpoint.sealed", **place, **parent, files=files)
        if not savepoint:
            self.add(leader, "checkpoint.claimed", **place)
        retained = {"savepoint": savepoint, "drain": savepoint, "retained": [number]}
        self.add(leader, "checkpoint.announced", **place, **retained)
        self.add(leader, "checkpoint.committed", **place)

    def prepare(self, number: int, attempt: int) -> None:
        sink = {"operator": "writer", "index": 0, "attempt": attempt}
        self.add(f"slot {attempt}", "sink.prepared", **sink, checkpoint=number, ids=[f"file-{number}-{attempt}"])

    def commit(self, number: int, attempt: int, by: int | None = None) -> None:
        """What ``attempt`` has prepared, by that attempt or by another."""
        by = attempt if by is None else by
        for kind in ("sink.commits", "sink.committed"):
            sink = {"operator": "writer", "index": 0, "attempt": by, "ids": [f"file-{number}-{attempt}"]}
            self.add(f"slot {by}", kind, **sink)

    def end_event_time(self, attempt: int) -> None:
        slot = f"slot {attempt}"
        self.add(slot, "event-time.ended", operator="reader", index=0, attempt=attempt)
        self.add(slot, "event-time.passed", subtask=SINK, attempt=attempt)


def good() -> Story:
    """Two attempts, three checkpoints and a savepoint that ends the job, of two leaders one after the other."""
    story = Story()
    story.add("leader 1", "leader.elected", cluster="c", epoch=1, address="one")
    operators = [["reader", "source"], ["writer", "sink"]]
    story.add("leader 1", "job.began", edges=[[0, "source"]], operators=operators)
    story.add("leader 1", "generation.began", generation=1, kept=[])
    story.add("leader 1", "job.status", status="RUNNING")
    story.deploy("leader 1", 0)
    story.checkpoint("leader 1", 1, 0)
    story.commit(1, 0)
    story.prepare(2, 0)
    story.add("slot 0", "subtask.ended", subtask=SINK, attempt=0, status="FAILED")
    story.add("leader 1", "subtask.left", subtask=SINK, attempt=0, status="SUBTASK_STATUS_FAILED")
    story.add("leader 1", "subtask.left", subtask=SOURCE, attempt=0, status="SUBTASK_STATUS_CANCELED")
    story.add("slot 0", "sink.aborted", operator="writer", index=0, attempt=0, ids=["file-2-0"])
    story.add("leader 1", "restore.began", checkpoint=1, path="/checkpoints/a/chk-1-g1", own=True)
    story.deploy("leader 1", 1)
    story.add("slot 1", "state.restored", subtask=SINK, attempt=1, path="/checkpoints/a/chk-1-g1")
    story.checkpoint("leader 1", 2, 1)
    discarded = ["chk-1-g1/MANIFEST", "chk-1-g1/state", "shared/1-g1-rows", "chk-1-g1"]
    story.add("leader 1", "files.discarded", generation=1, paths=discarded)
    story.add("leader 2", "leader.elected", cluster="c", epoch=2, address="two")
    story.add("leader 2", "job.began", edges=[[0, "source"]], operators=operators)
    story.add("leader 2", "generation.began", generation=2, kept=[[2, 1]])
    story.add("leader 1", "generation.fenced", generation=1, reason="generation-2 leads")
    story.add("leader 1", "leader.lost", epoch=1, reason="fenced")
    story.commit(2, 1)
    story.add("test", "test.healed", within_s=100.0)
    story.checkpoint("leader 2", 3, 1, generation=2)
    story.commit(3, 1)
    story.end_event_time(1)
    story.checkpoint("leader 2", 4, 1, generation=2, savepoint=True)
    story.commit(4, 1)
    for subtask in (SOURCE, SINK):
        story.add("slot 1", "subtask.ended", subtask=subtask, attempt=1, status="FINISHED")
        story.add("leader 2", "subtask.left", subtask=subtask, attempt=1, status="SUBTASK_STATUS_FINISHED")
    story.add("leader 2", "job.status", status="FINISHED")
    story.add("leader 2", "files.discarded", generation=2, paths=[])
    return story


BROKEN: dict[str, list[Change]] = {
    "I1": [
        lambda s: s.insert(1, "leader 9", "leader.elected", cluster="c", epoch=1, address="nine"),
        lambda s: s.change("leader.elected", 1, epoch=0),
        lambda s: s.insert(len(s.events), "leader 9", "generation.began", generation=2, kept=[]),
        lambda s: s.insert(s.find("checkpoint.claimed") + 1, "x", "checkpoint.claimed", generation=0, checkpoint=1),
    ],
    "I2": [
        lambda s: s.move("sink.commits", s.find("checkpoint.claimed")),
        lambda s: s.change("sink.commits", 0, ids=["file-2-0"]),
        lambda s: s.change("sink.commits", 0, ids=["nobody's"]),
        lambda s: s.change("checkpoint.acknowledged", 1, attempt=7),
    ],
    "I3": [
        lambda s: s.change("generation.began", 1, kept=[])
        or s.move("checkpoint.announced", s.find("generation.began", 1) + 1, 1),
    ],
    "I4": [
        lambda s: s.change("checkpoint.acknowledged", 2, attempt=0),
        lambda s: s.move("subtask.left", s.find("checkpoint.acknowledged"), attempt=0, subtask=SOURCE),
    ],
    "I5": [
        lambda s: s.drop("checkpoint.acknowledged"),
        lambda s: s.move("checkpoint.acknowledged", s.find("checkpoint.claimed") + 1),
        lambda s: s.drop("snapshot.durable"),
        lambda s: s.move("snapshot.durable", s.find("checkpoint.acknowledged") + 1),
        lambda s: s.change("restore.began", checkpoint=2),
        lambda s: s.change("generation.began", 1, kept=[[1, 1]])
        or s.insert(s.find("leader.lost"), "leader 2", "restore.began", checkpoint=2, path="p", own=True),
        lambda s: s.insert(3, "b", "restore.began", checkpoint=4, path="/savepoint-4", own=False),
        lambda s: s.insert(
            s.find("checkpoint.claimed", 1), "leader 1", "checkpoint.abandoned", generation=1, checkpoint=2
        ),
    ],
    "I6": [
        lambda s: s.drop("sink.committed", 1),
        lambda s: s.change("sink.aborted", ids=["file-1-0"]),
    ],
    "I7": [
        lambda s: s.change("files.discarded", paths=["chk-2-g1/MANIFEST"]),
        lambda s: s.change("files.discarded", paths=["shared/2-g1-rows"]),
        lambda s: s.change("files.discarded", paths=["chk-2-g1"]),
        lambda s: s.change("files.discarded", paths=[]),
        lambda s: s.change("checkpoint.sealed", 2, files=["shared/1-g1-rows"]),
        lambda s: s.change("checkpoint.announced", 1, retained=[1, 2]),
        lambda s: s.move("files.discarded", s.find("restore.began")),
    ],
    "I8": [
        lambda s: s.insert(s.find("restore.began"), "elsewhere", "subtask.began", subtask=SINK, attempt=0, reads=[]),
        lambda s: s.change("subtask.began", 3, reads=[[0, 0, 0]]),
    ],
    "I9": [
        lambda s: s.insert(
            s.find("leader.lost") + 1, "leader 2", "checkpoint.triggered", generation=2, checkpoint=9, expected=[]
        ),
        lambda s: [
            s.insert(s.find("leader.lost"), "l", "checkpoint.triggered", generation=1, checkpoint=n, expected=[])
            for n in range(20, 32)
        ],
    ],
    "I10": [
        lambda s: s.change("test.healed", within_s=3.0),
    ],
    "I11": [
        lambda s: s.insert(s.find("leader.lost") + 1, "leader 1", "files.discarded", generation=1, paths=["x"]),
        lambda s: s.insert(s.find("leader.lost") + 1, "leader 1", "checkpoint.triggered", generation=1, checkpoint=9),
        lambda s: s.drop("leader.lost")
        or s.insert(
            s.find("generation.fenced") + 1, "leader 1", "checkpoint.committed", generation=1, checkpoint=2
        ),
    ],
    "I12": [
        lambda s: s.insert(
            s.find("event-time.ended"), "slot 1", "event-time.ended", operator="reader", index=0, attempt=1
        ),
        lambda s: s.insert(s.find("event-time.passed"), "slot 1", "event-time.passed", subtask=SINK, attempt=1),
        lambda s: s.drop("event-time.passed"),
        lambda s: s.move("event-time.ended", len(s.events) - 1),
    ],
}  # fmt: skip


CASES = [
    pytest.param(name, change, id=f"{name}-{number}")
    for name, changes in BROKEN.items()
    for number, change in enumerate(changes)
]


def test_a_run_as_it_must_be_breaks_none() -> None:
    assert check_events(good().told()) == []
    assert BROKEN.keys() == INVARIANTS.keys()


@pytest.mark.parametrize(("name", "change"), CASES)
def test_it_is_seen(name: str, change: Change) -> None:
    story = good()
    change(story)
    assert name in {problem.partition(":")[0] for problem in check_events(story.told())}


def test_what_may_happen_is_no_problem() -> None:
    story = good()  # the source has finished before it could answer
    story.drop("checkpoint.acknowledged", 6)
    story.move("subtask.left", story.find("checkpoint.sealed", 3), attempt=1, subtask=SOURCE)
    assert check_events(story.told()) == []
    story = good()  # a leader dies with a checkpoint under way, and after a claim that nobody was told of
    story.insert(
        story.find("leader.elected", 1), "leader 1", "checkpoint.triggered", generation=1, checkpoint=3, expected=[]
    )
    story.drop("checkpoint.announced", 1)
    story.drop("checkpoint.committed", 1)
    story.drop("checkpoint.claimed", 1)
    story.drop("files.discarded")
    assert check_events(story.told()) == []
    story = good()  # one that lost the leadership after a claim tells the subtasks, and the next leader knows of it
    story.drop("files.discarded")
    story.move("checkpoint.announced", story.find("generation.began", 1), 1)
    assert check_events(story.told()) == []


def test_the_story_uses_only_what_is_recorded() -> None:
    assert {event.kind for event in good().events} - {"test.healed"} <= EVENTS.keys()


def write(directory: Path, story: Story) -> None:
    by_process: dict[str, list[str]] = {}
    for event in story.told():
        told = {"t": event.t, "role": "x", "pid": 1, "event": event.kind, **event.fields}
        by_process.setdefault(event.process, []).append(json.dumps(told))
    for process, lines in by_process.items():
        (directory / f"{process}.jsonl").write_text("\n".join(lines) + "\n")


def test_a_directory_is_read(tmp_path: Path) -> None:
    assert check(tmp_path) == [f"{tmp_path} holds no events"]
    write(tmp_path, good())
    assert check(tmp_path) == []
    with (tmp_path / "slot 0.jsonl").open("a") as stream:
        stream.write('{"t": 3.5, "event": "sink.co')
    assert check(tmp_path) == [], "a process was killed while it wrote"
    with (tmp_path / "slot 0.jsonl").open("a") as stream:
        stream.write('\n{"t": 3.5, "event": "subtask.ended", "job": "b"}\n')
    (problem,) = check(tmp_path)
    assert "is no event" in problem


def test_the_command_tells_and_its_exit_status_follows(tmp_path: Path) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tests.protocol", str(tmp_path)]
        return subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False)

    story = good()
    write(tmp_path, story)
    assert run().returncode == 0
    story.drop("checkpoint.acknowledged")
    write(tmp_path, story)
    done = run()
    assert done.returncode == 1 and "I5: " in done.stdout


def test_a_test_can_mark_a_point(tmp_path: Path) -> None:
    mark(tmp_path, "test.healed", within_s=1.0)
    assert check(tmp_path) == []
