"""Exactly-once through everything that can go wrong: a short selection of what ``python -m tests.chaos`` does for long.

A failure tells its seed and the command that repeats it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from millstream.core.failpoints import FAILPOINTS
from tests.chaos.cluster import ChaosCluster
from tests.chaos.job import Load, steps_missed
from tests.chaos.rounds import Round
from tests.chaos.variants import ACTIONS, VARIANTS, faults_for, parse_fault

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SELECTION = [
    ("aligned", 1, "slot,taskmanager,freeze,slot"),
    ("unaligned", 2, "slot,freeze,slot"),
    ("timeout-rocksdb", 3, "slot,taskmanager,slot"),
    ("concurrent-rocksdb", 4, "slot,taskmanager"),
    ("concurrent", 5, "freeze,slot,freeze-slot"),
    ("aligned-pressure", 6, "slot,slot"),
    ("regions", 9, "slot,taskmanager,slot,freeze"),
    ("rescaling-rocksdb", 7, "rescale,slot,rescale-live,rescale"),
    ("rescaling-unaligned", 8, "rescale-live,slot,rescale,rescale-live"),
]
FAILPOINT_VARIANTS = ["aligned", "timeout-rocksdb"]
"""Take the failpoints in turn."""


@pytest.mark.parametrize(("variant", "seed", "faults"), SELECTION, ids=[f"{v}-{s}" for v, s, _ in SELECTION])
def test_no_record_is_lost_or_doubled(chaos: ChaosCluster, variant: str, seed: int, faults: str) -> None:
    outcome = Round(chaos, VARIANTS[variant], seed, [parse_fault(fault) for fault in faults.split(",")]).run()
    assert not outcome.problem, outcome


@pytest.mark.parametrize("variant", FAILPOINT_VARIANTS)
def test_a_fault_at_each_step_of_a_checkpoint_and_of_a_commit(chaos: ChaosCluster, variant: str) -> None:
    names = list(FAILPOINTS)[FAILPOINT_VARIANTS.index(variant) :: len(FAILPOINT_VARIANTS)]
    outcome = Round(chaos, VARIANTS[variant], 1, [parse_fault(f"failpoint:{name}") for name in names]).run()
    assert not outcome.problem, outcome
    assert len(outcome.faults) == len(names)


def test_the_same_seed_means_the_same_faults() -> None:
    for variant in VARIANTS.values():
        assert faults_for(variant, 3, 20) == faults_for(variant, 3, 20) != faults_for(variant, 4, 20)
    assert [str(parse_fault(text)) for text in ("slot", "failpoint:files.write")] == ["slot", "failpoint:files.write"]
    for wrong in ("fire", "failpoint", "failpoint:no.such", "slot:files.write"):
        with pytest.raises(ValueError, match="no fault"):
            parse_fault(wrong)
    assert ACTIONS.keys() == FAILPOINTS.keys()


def test_a_gap_and_a_repeated_record_are_seen(tmp_path: Path) -> None:
    counts, _ = Load(tmp_path, keys=2, records_per_key=10).expected()
    assert steps_missed(counts) == []
    assert steps_missed(counts[:4] + counts[5:]) == [(0, 5, 6, 15)]
    assert steps_missed([*counts, counts[3]]) == [(0, 3, 4, 6)]
