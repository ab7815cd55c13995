"""Processes that contend for a file lease are killed and frozen at random: never do two believe that they lead."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from millstream.core.ha.leader_files import epochs_in
from tests.integration.jobmanager.jobmanagers import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 0.4
CONTENDERS = 4
FAULTS = 10


class Contenders:
    """Their processes and what they noted."""

    def __init__(self, directory: Path) -> None:
        self.lease = directory / "lease"
        self._notes = directory / "notes"
        self._notes.mkdir()
        self.running: list[subprocess.Popen[bytes]] = []
        self._started = 0

    def start(self) -> None:
        notes = str(self._notes / str(self._started))
        self._started += 1
        command = [sys.executable, "-m", "tests.integration.ha.contender", str(self.lease), str(TIMEOUT_S), notes]
        self.running.append(subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL))

    def epoch(self) -> int:
        return max(epochs_in(self.lease), default=0)

    def leader(self) -> subprocess.Popen[bytes]:
        """The process that made the newest record."""
        text = (self.lease / f"leader-{self.epoch()}").read_text()
        return next(process for process in self.running if f'"pid": {process.pid}}}' in text)

    def end(self) -> None:
        for process in self.running:
            for number in (signal.SIGCONT, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, number)
            process.wait()

    def notes(self) -> dict[int, dict[str, list[tuple[float, str]]]]:
        """By epoch and event, the times with the file they are from."""
        found: dict[int, dict[str, list[tuple[float, str]]]] = defaultdict(lambda: defaultdict(list))
        for file in self._notes.iterdir():
            for line in file.read_text().splitlines():
                event, epoch, at_s = line.split()
                found[int(epoch)][event].append((float(at_s), file.name))
        return found


def check(notes: dict[int, dict[str, list[tuple[float, str]]]]) -> None:
    """One leader an epoch, and no belief in one after a later one has begun."""
    began: float | None = None
    for epoch in sorted(notes, reverse=True):
        events = notes[epoch]
        leaders = {name for found in events.values() for _, name in found}
        assert len(leaders) == 1, f"epoch {epoch} had the leaders {leaders}"
        last_s = max((at_s for at_s, _ in events["believes"]), default=0.0)
        if began is not None:
            assert last_s < began, f"epoch {epoch}: its leader believed {last_s - began:.3f} s after a later one began"
        if events["led"]:
            began = events["led"][0][0] if began is None else min(began, events["led"][0][0])


@pytest.mark.parametrize("seed", [1, 2])
def test_no_two_believe_that_they_lead(tmp_path: Path, seed: int) -> None:
    choices = random.Random(seed)
    contenders = Contenders(tmp_path)
    try:
        for _ in range(CONTENDERS):
            contenders.start()
        for _ in range(FAULTS):
            wait_until(lambda: contenders.epoch() > 0, "the first leader")
            epoch = contenders.epoch()
            if choices.random() < 0.7:  # else it is struck while it takes over
                wait_until(lambda e=epoch: contenders.notes()[e]["believes"] or contenders.epoch() > e, "it leads")
            leader = contenders.leader()
            if choices.random() < 0.5:
                leader.kill()
                leader.wait()
                contenders.running.remove(leader)
                contenders.start()
                wait_until(lambda e=epoch: contenders.epoch() > e, f"the leader after {epoch}; seed {seed}")
            else:
                os.kill(leader.pid, signal.SIGSTOP)
                wait_until(lambda e=epoch: contenders.epoch() > e, f"the leader after {epoch}; seed {seed}")
                os.kill(leader.pid, signal.SIGCONT)
    finally:
        contenders.end()
    notes = contenders.notes()
    assert sum(bool(events["believes"]) for events in notes.values()) >= FAULTS / 2
    check(notes)
