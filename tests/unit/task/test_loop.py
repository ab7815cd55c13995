"""How steps of tasks, the snapshots that are being taken of them, and the network share the time."""

from __future__ import annotations

from typing import Any, cast

import pytest

from millstream.core.clock import ManualClock
from millstream.taskmanager.task.loop import SNAPSHOT_S_MAX, SOURCE_REST_S, TaskLoop
from millstream.taskmanager.task.phase import TaskPhase
from millstream.taskmanager.task.time_account import TimeAccount, Waiting


class QuietNetwork:
    """Reactor and network in which nothing happens; ``looks`` counts."""

    def __init__(self) -> None:
        self.looks = 0

    def poll(self, timeout_s: float | None) -> int:
        assert timeout_s == 0, "a look between two steps does not wait"
        self.looks += 1
        return 0

    def on_time(self, now_s: float) -> None:
        pass


def new_loop(clock: ManualClock) -> tuple[TaskLoop, QuietNetwork]:
    network = cast("Any", QuietNetwork())
    return TaskLoop(network, network, clock, cast("Any", None)), network


class TimedTask:
    """A task whose steps and slices take a known time, and do nothing else."""

    def __init__(self, clock: ManualClock, step_ms: int, slices: int, is_source: bool = False) -> None:
        self.phase = TaskPhase.RUNNING
        self.is_source = is_source
        self.stepped_s = float("-inf")
        self.steps = 0
        self.time = TimeAccount(since_s=0.0)
        self.slices_left = slices
        self._clock = clock
        self._step_ms = step_ms

    def is_runnable(self, now_ms: int) -> bool:
        return self._step_ms > 0

    def step(self, now_ms: int) -> None:
        self._clock.advance(self._step_ms)
        self.steps += 1

    def account(self, started_s: float, ended_s: float) -> None:
        self.stepped_s = ended_s
        self.time.step(started_s, ended_s)

    def waiting(self) -> Waiting:
        return Waiting.INPUT

    def next_flush_s(self) -> None:
        return None

    def advance_checkpoints(self) -> bool:
        if not self.slices_left:
            return False
        self._clock.advance(1)
        self.slices_left -= 1
        return True


@pytest.mark.parametrize(("step_ms", "taken"), [(0, 1), (1, 1), (5, 5), (50, round(SNAPSHOT_S_MAX * 1000))])
def test_slices_take_as_long_as_the_step(step_ms: int, taken: int) -> None:
    clock = ManualClock(0)
    loop, _ = new_loop(clock)
    task = TimedTask(clock, step_ms, slices=100)
    loop.tasks.append(cast("Any", task))
    assert loop.step()
    assert abs(100 - task.slices_left - taken) <= (taken > 1)  # seconds are floats
    assert task.time.busy_s == pytest.approx(step_ms / 1000)
    for _ in range(100):
        loop.step()
    assert task.slices_left == 0
    assert loop.step() == (step_ms > 0)


def test_looks_at_the_network_after_each_long_step_of_a_round() -> None:
    clock = ManualClock(0)
    loop, network = new_loop(clock)
    loop.tasks += [cast("Any", TimedTask(clock, step_ms, slices=0)) for step_ms in (20, 0, 5)]
    loop.step()
    loop.step()
    assert network.looks == 4


def test_a_source_lets_the_others_go_on_first_for_a_while() -> None:
    """It would else make small batches as fast as they are processed, and those that wait would go on waiting."""
    clock = ManualClock(0)
    loop, _ = new_loop(clock)
    source, other = TimedTask(clock, 1, 0, is_source=True), TimedTask(clock, 1, 0)
    loop.tasks += [cast("Any", source), cast("Any", other)]
    for _ in range(60):
        assert loop.step()
    rounds = round(SOURCE_REST_S * 1000) + 1  # of 1 ms while the source rests, and one with its own step
    assert abs(source.steps - 60 // rounds) <= 2
    assert other.steps == 60
    other.phase = TaskPhase.FINISHED
    alone = TimedTask(clock, 1, 0, is_source=True)
    loop.tasks = [cast("Any", alone)]
    for _ in range(10):
        assert loop.step()
    assert alone.steps >= 9, "nobody else has work"
