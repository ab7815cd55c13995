"""Exactly-once through everything that can go wrong: a short selection of what ``python -m tests.chaos`` does for long.

A failure tells its seed and the command that repeats it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from millstream.core.config.options import OPTIONS
from millstream.core.failpoints import FAILPOINTS
from tests.chaos.cluster import ChaosCluster, impossible
from tests.chaos.failpoints import ONE_JOBMANAGER, actions, reachable
from tests.chaos.faults import KINDS, Need, faults_for, parse_fault, possible
from tests.chaos.job import Load, rows_out_of_order, steps_missed
from tests.chaos.progress import Recovery
from tests.chaos.report import Report
from tests.chaos.rounds import Outcome, Round
from tests.chaos.variants import OF_A_CLUSTER, OF_A_JOB, VARIANTS, cluster_settings, job_settings

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SELECTION = [
    ("aligned", 1, "slot,taskmanager,freeze"),
    ("unaligned", 2, "slot,leader"),
    ("timeout-rocksdb", 3, "taskmanager,slot"),
    ("concurrent-rocksdb", 4, "slot,freeze-leader"),
    ("aligned-pressure", 6, "jobmanagers,freeze-slot"),
    ("regions", 9, "slot,leader+,slot"),
    ("aligned-rocksdb", 10, "reset,blackhole"),
    ("timeout", 11, "reset-data,mute"),
    ("unaligned-rocksdb", 12, "disk-full,upload"),
    ("sql", 13, "slot,leader"),
    ("rescaling-rocksdb", 7, "rescale,leader,rescale-live"),
    ("rescaling-unaligned", 8, "rescale-live,slot"),
]
FAILPOINT_VARIANTS = ["aligned", "timeout-rocksdb", "regions"]
"""Take the failpoints in turn."""


@pytest.mark.parametrize(("variant", "seed", "faults"), SELECTION, ids=[f"{v}-{s}" for v, s, _ in SELECTION])
def test_no_record_is_lost_or_doubled(chaos: ChaosCluster, variant: str, seed: int, faults: str) -> None:
    wanted = [parse_fault(fault) for fault in faults.split(",")]
    kinds = possible([*chaos.capabilities, Need.RESCALES])
    if missing := [fault.kind for fault in wanted if fault.kind not in kinds]:
        pytest.skip(f"no {', '.join(missing)} here: {impossible()}")
    outcome = Round(chaos, VARIANTS[variant], seed, wanted, plain=True).run()
    assert not outcome.problem, outcome


@pytest.mark.parametrize("variant", FAILPOINT_VARIANTS)
def test_a_fault_at_each_step_of_a_checkpoint_a_commit_and_a_takeover(chaos: ChaosCluster, variant: str) -> None:
    anywhere = reachable(standby=True, overtaking=False)
    names = anywhere[FAILPOINT_VARIANTS.index(variant) :: len(FAILPOINT_VARIANTS)]
    if VARIANTS[variant].overtakes:
        names += [name for name in FAILPOINTS if name not in anywhere]
    outcome = Round(chaos, VARIANTS[variant], 1, [parse_fault(f"failpoint:{name}") for name in names], plain=True).run()
    assert not outcome.problem, outcome
    assert len(outcome.faults) == len(names)


def test_an_error_at_each_step_of_a_jobmanager_that_has_to_live(lone: ChaosCluster) -> None:
    faults = [parse_fault(f"failpoint:{name}") for name in ONE_JOBMANAGER]
    outcome = Round(lone, VARIANTS["aligned"], 1, faults, plain=True).run()
    assert not outcome.problem, outcome
    assert len(outcome.faults) == len(faults)


def test_the_same_seed_means_the_same_faults_and_settings() -> None:
    everything = [Need.STANDBY, Need.DISK]
    for variant in VARIANTS.values():
        assert faults_for(variant, 3, 20, everything) == faults_for(variant, 3, 20, everything)
        assert faults_for(variant, 3, 20, everything) != faults_for(variant, 4, 20, everything)
        settings = [job_settings(variant, seed) for seed in range(20)]
        assert settings == [job_settings(variant, seed) for seed in range(20)]
        assert all(all(held[key] == value for key, value in variant.settings.items()) for held in settings)
        assert settings.count(settings[0]) < 20
    assert cluster_settings(3) == cluster_settings(3) != cluster_settings(4)
    for key in {**OF_A_JOB, **OF_A_CLUSTER}:
        assert key in OPTIONS


def test_faults_are_drawn_from_those_that_are_possible() -> None:
    rescaling = VARIANTS["rescaling"]
    assert {fault.kind for fault in faults_for(rescaling, 1, 2000, [Need.STANDBY, Need.DISK])} == set(KINDS)
    assert {fault.kind for fault in faults_for(VARIANTS["aligned"], 1, 2000, [])} == {
        name for name, kind in KINDS.items() if not kind.needs
    }


def test_a_fault_is_read_as_it_is_written() -> None:
    for text in ("slot", "freeze-short+", "failpoint:files.write"):
        assert str(parse_fault(text)) == text
    for wrong in ("fire", "failpoint", "failpoint:no.such", "slot:files.write"):
        with pytest.raises(ValueError, match="no fault"):
            parse_fault(wrong)
    names = list(FAILPOINTS)
    of_jobmanagers = names[names.index("enumerators.copied") :]
    assert [name for name in of_jobmanagers if name in reachable(standby=False)] == [
        name for name in of_jobmanagers if name in ONE_JOBMANAGER
    ], "what only a standby makes happen, and what a lone JobManager survives"
    for standby in (True, False):
        assert actions(standby).keys() == FAILPOINTS.keys()


def test_a_gap_and_a_repeated_record_are_seen(tmp_path: Path) -> None:
    counts, _ = Load(tmp_path, keys=2, records_per_key=10).expected()
    assert steps_missed(counts) == []
    assert steps_missed(counts[:4] + counts[5:]) == [(0, 5, 6, 15)]
    assert steps_missed([*counts, counts[3]]) == [(0, 3, 4, 6)]
    (tmp_path / "part-0.csv").write_text("0,1,2,1\n1,0,1,0\n0,2,3,3\n")
    assert rows_out_of_order(tmp_path) == []
    (tmp_path / "part-1.csv").write_text("0,2,3,3\n0,1,2,1\n0,3,4,6\n")
    assert rows_out_of_order(tmp_path) == [(0, 1, 2, 1)]


def test_the_verdict_counts_what_the_rounds_have_seen() -> None:
    report = Report(7)
    good = Outcome("aligned", 7, Counter({"slot": 2, "failpoint:files.write": 1}), records=10)
    good.recoveries = [Recovery("slot", 0.1, seconds / 10) for seconds in range(1, 21)]
    report.add(good)
    assert [*report.lines()][-1].startswith(
        "PASSED: 1 rounds, 0 failed; 3 faults: failpoint 1, slot 2; 10 records checked, 0 lost, 0 doubled, 0 reordered"
    )
    report.add(Outcome("aligned", 8, Counter({"slot": 1}), records=9, lost=1, problem="lost", command="again"))
    *rest, last = report.lines()
    assert last.startswith("FAILED: 2 rounds, 1 failed; 4 faults") and "19 records checked, 1 lost" in last
    assert "failed: again" in rest
    seen = report.as_json()
    assert seen["times"]["slot"]["output_s"] == {"p50": 1.0, "p95": 1.9, "max": 2.0}
    assert seen["failpoints"]["covered"] == ["files.write"]
