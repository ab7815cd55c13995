"""A fixed set of seeds and a fresh one pass, and a seed repeats what it did."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
FIXED: Final = 1
SEEDS: Final = 12
FINDERS: Final = (8, 160, 374, 1058, 3274, 5200, 6684, 8801, 9982, 20229)
"""Seeds that once failed, each because of something else."""
DEADLINE_S: Final = 900


def simulate(*arguments: str) -> str:
    """The output of ``python -m tests.sim``, which must pass; a failure shows the seeds and how to repeat them."""
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "tests.sim", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE_S)
    assert ended.returncode == 0, f"{' '.join(command[1:])}:\n{ended.stdout[-6000:]}\n{ended.stderr[-3000:]}"
    return ended.stdout


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S)
def test_fixed_seeds_pass() -> None:
    simulate("--seed", str(FIXED), "--seeds", str(SEEDS))


@pytest.mark.parametrize("seed", FINDERS)
def test_seeds_that_have_found_something_pass(seed: int) -> None:
    simulate("--seed", str(seed), "--seeds", "1")


@pytest.mark.slow
@pytest.mark.timeout(DEADLINE_S)
def test_fresh_seeds_pass() -> None:
    simulate("--seed", str(random.SystemRandom().randrange(10**9)), "--seeds", str(SEEDS))


@pytest.mark.timeout(DEADLINE_S)
def test_a_seed_repeats_what_it_did() -> None:
    traces = [re.findall(r"^trace .*$", simulate("--seed", "7", "--seeds", "3", "--trace"), re.M) for _ in range(2)]
    assert len(traces[0]) == 3
    assert traces[0] == traces[1]
