"""How many rows a step takes, by what steps cost."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.taskmanager.task.pace import ROWS_FIRST, ROWS_MAX, STEP_TARGET_S, ProcessorWait, StepPace

NO_WAIT = ProcessorWait(Path("/nonexistent"))


def settle(seconds_a_row: float) -> StepPace:
    pace = StepPace(NO_WAIT)
    for _ in range(64):
        pace.observe(pace.rows, pace.rows * seconds_a_row)
    return pace


@given(cost_s=st.floats(1e-9, 10.0))
def test_steps_settle_near_the_target(cost_s: float) -> None:
    pace = settle(cost_s)
    assert 1 <= pace.rows <= ROWS_MAX
    if pace.rows > 1:
        assert pace.rows * cost_s <= STEP_TARGET_S
    if pace.rows < ROWS_MAX:
        assert pace.rows * 4 * cost_s >= STEP_TARGET_S / 2


def test_a_slow_function_is_noticed_after_one_step_and_a_fast_one_forgives_soon() -> None:
    pace = settle(1e-7)
    pace.observe(2000, 20.0)
    assert pace.rows == 2
    for _ in range(10):
        pace.observe(pace.rows, pace.rows * 1e-7)
    assert pace.rows == 2048


def test_small_batches_and_empty_steps_say_nothing_about_large_ones() -> None:
    pace = StepPace(NO_WAIT)
    for _ in range(50):
        pace.observe(3, 1e-6)
        pace.observe(0, 5.0)
    assert pace.rows == ROWS_FIRST


def test_time_in_which_others_had_the_processor_does_not_count(tmp_path: Path) -> None:
    schedstat = tmp_path / "schedstat"
    schedstat.write_text("5 1000000000 7")
    pace = StepPace(ProcessorWait(schedstat))
    pace.rows = 4096
    pace.observe(4096, 2 * STEP_TARGET_S)
    assert pace.rows == 2048  # nothing is known of the time before
    schedstat.write_text(f"5 {1_000_000_000 + int(1.5e9 * STEP_TARGET_S)} 7")
    pace.observe(2048, 2 * STEP_TARGET_S)
    assert pace.rows == 2048
    pace.observe(2048, 2 * STEP_TARGET_S)
    assert pace.rows == 1024


@pytest.mark.parametrize("text", [None, "", "x y z"])
def test_a_kernel_that_does_not_count_waits_tells_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "schedstat").write_text(text)
    assert ProcessorWait(tmp_path / "schedstat").waited_s() == 0.0
