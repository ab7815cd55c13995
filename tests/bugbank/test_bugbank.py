"""The bank itself: every bug can still be planted, and some are, of those that are noticed within seconds.

``python -m tests.bugbank`` plants all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.bugbank.bank import BUGS
from tests.bugbank.bug import ROOT, VARIABLE, Bug, Catcher, Edit
from tests.bugbank.running import PLANTED, Suspects, run

BUGS_MIN = 20
HARMLESS = Edit("millstream.core.keys", '"""The stable hash of keys', '"""A stable hash of keys')
LOST = Edit("millstream.core.keys", "what is not there", "anything")


def test_there_are_enough_of_them_and_each_has_a_story_and_a_catcher() -> None:
    assert len(BUGS) >= BUGS_MIN
    for bug in BUGS.values():
        assert bug.story.endswith(".") and bug.catchers and bug.edits, bug.name


@pytest.mark.parametrize("name", list(BUGS))
def test_it_can_be_planted(name: str) -> None:
    assert BUGS[name].planted()


def test_it_is_planted_in_processes_that_are_told_so_and_in_no_other() -> None:
    bug = BUGS["a-damaged-state-file-is-believed"]
    program = "import inspect, sys\nfrom millstream.core.checkpoint import manifest\n"
    program += "storage = type('Storage', (), {'location': '/x'})()\n"
    program += "manifest.checked(memoryview(b'abc'), storage, 'path', 0, 1)"
    environment = {**os.environ, "PYTHONPATH": str(PLANTED)}

    def status(**more: str) -> int:
        command = [sys.executable, "-c", program]
        return subprocess.run(
            command, cwd=ROOT, env={**environment, **more}, capture_output=True, check=False
        ).returncode

    assert status() == 1
    assert status(**{VARIABLE: bug.name}) == 0
    assert status() == 1, "what is compiled and kept is that without the bug"


def test_a_catcher_that_fails_for_another_reason_or_without_the_bug_catches_nothing() -> None:
    fails = Catcher("fails", ("-c", "import sys; print('boom'); sys.exit(1)"), "boom")
    other = Catcher("other", ("-c", "import sys, os; sys.exit('bad luck' if 'BUGBANK' in os.environ else 0)"), "boom")
    finds = Catcher("finds", ("-c", "import sys, os; sys.exit('boom' if 'BUGBANK' in os.environ else 0)"), "boom")
    never = Catcher("never", ("-c", "pass"), "boom")

    def verdict(*catchers: Catcher) -> Catcher | None:
        return Suspects().judge(Bug("a-damaged-state-file-is-believed", "x", (HARMLESS,), catchers)).catcher

    assert verdict(fails) is verdict(other) is verdict(never) is None
    assert verdict(never, finds) is finds
    unknown = Suspects().judge(Bug("lost", "x", (LOST,), (finds,)))
    assert unknown.catcher is None and "what is not there" in unknown.told, "the bug cannot be planted any more"


def test_one_that_does_not_end_has_failed() -> None:
    hangs = Catcher("hangs", ("-c", "import threading; threading.Event().wait()"), "still running", timeout_s=0.5)
    done = run(hangs, None)
    assert done.failed and done.told


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [bug.name for bug in BUGS.values() if bug.in_ci])
def test_it_is_caught(name: str, suspects: Suspects) -> None:
    verdict = suspects.judge(BUGS[name])
    assert verdict.catcher is not None, f"{verdict.told}\nAgain: python -m tests.bugbank --bug {name}"


@pytest.fixture(scope="module")
def suspects() -> Suspects:
    return Suspects()
