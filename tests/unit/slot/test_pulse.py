"""When a slot process counts as hanging, and that it gives signs of life while its functions work."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from millstream.taskmanager.pulse import SILENCE_S_MIN, Pulse, state_of
from millstream.taskmanager.slot.beats import start_beating

RUNNING, SLEEPING, STOPPED, TRACED = "R", "S", "T", "t"


def silent_for(rounds: int, timeout_s: float = 10.0) -> Pulse:
    pulse = Pulse(2.0, timeout_s)
    pulse.look(os.getpid())
    for _ in range(rounds):
        pulse.look(os.getpid())
    return pulse


@pytest.mark.parametrize(
    ("rounds", "timeout_s", "state", "end"),
    [
        (4, 10.0, STOPPED, None),
        (5, 10.0, STOPPED, "SIGSTOP"),
        (5, 10.0, RUNNING, None),
        (24, 10.0, RUNNING, None),
        (24, 10.0, SLEEPING, None),
        (25, 10.0, RUNNING, "a hang"),
        (25, 10.0, SLEEPING, "a hang"),
        (1000, 10.0, TRACED, None),
        (40, 100.0, STOPPED, None),
        (40, 100.0, RUNNING, None),
        (50, 100.0, RUNNING, "a hang"),
    ],
)
def test_silence_and_what_becomes_of_it(rounds: int, timeout_s: float, state: str, end: str | None) -> None:
    verdict = silent_for(rounds, timeout_s).verdict(state)
    assert (verdict.end if verdict else None) == end
    if verdict is not None:
        assert f"{rounds * 2} s" in verdict.reason and "killed" in verdict.reason


def test_a_beat_ends_the_silence() -> None:
    pulse = silent_for(24)
    assert pulse.silence_s() == 48 < SILENCE_S_MIN
    pulse.beat()
    pulse.look(os.getpid())
    assert pulse.silence_s() == 0


def test_a_stopped_process_is_recognised() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert state_of(process.pid) == STOPPED
        process.send_signal(signal.SIGCONT)
        os.waitid(os.P_PID, process.pid, os.WCONTINUED)
        assert state_of(process.pid) in "RSD"
        process.kill()
    assert state_of(process.pid) == ""


def test_it_beats_while_a_function_works_without_a_pause() -> None:
    heard, beats = os.pipe2(os.O_NONBLOCK)
    start_beating(beats, 0.01)
    seen = rounds = 0
    while seen < 5 and rounds < 100_000_000:  # no call in here waits, so that the thread runs only if it is let
        rounds += 1
        if rounds % 1000 == 0 and select.select([heard], [], [], 0)[0]:
            seen += len(os.read(heard, 100))
    os.close(heard)  # ends the thread
    assert seen >= 5
