"""A failure stops only the part of a job that records connect with what failed; both parts stay exact."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from millstream.common import WatermarkStrategy
from millstream.datastream import StreamExecutionEnvironment
from millstream.testing import MiniCluster, SequenceSource, committed_records, compare_outputs

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

QUICK: dict[str, Any] = {
    "execution.checkpointing.interval": "100 ms",
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 1000,
    "restart-strategy.fixed-delay.delay": "50 ms",
}


def attempts_of(details: Any) -> dict[str, set[int]]:
    """Of the failing part and of the other one."""
    found: dict[str, set[int]] = defaultdict(set)
    for shown in details.vertices:
        found["bad" if "bad" in shown.vertex.name else "good"] |= {subtask.attempt for subtask in shown.subtasks}
    return dict(found)


def run_two(
    configuration: dict[str, Any], bad: SequenceSource, tmp_path: Path, *, parallelism: int, slots: int, group: str
) -> Any:
    """Two pipelines that share nothing, of which one fails; checks what both have committed."""
    good = SequenceSource(4, 4000, rows_per_second=8000)
    with MiniCluster(1, slots, QUICK | {"io.tmp.dirs": str(tmp_path / "cluster")} | configuration) as cluster:
        env = StreamExecutionEnvironment.get_execution_environment().set_parallelism(parallelism)
        for name, source, sharing in (("bad", bad, group), ("good", good, "default")):
            numbers = env.from_source(source, WatermarkStrategy.no_watermarks(), name).slot_sharing_group(sharing)
            last = numbers.key_by(lambda record: record.key).reduce(lambda left, right: right).name(name)
            out = tmp_path / "out"  # of both: they know their own files
            last.map(lambda record, name=name: (name, *record)).write_csv(str(out), header=False).name(f"{name} files")
        job = cluster.submit(env, "two")
        job.wait()
        details = job.describe()
    for name, source in (("bad", bad), ("good", good)):
        rows = [(int(key), int(number)) for which, key, number in committed_records(tmp_path / "out") if which == name]
        assert not (difference := compare_outputs(source.expected(), rows)), f"{name}: {difference}"
    return details


@pytest.mark.parametrize("backend", ["memory", "rocksdb"])
def test_the_other_part_keeps_its_attempt_in_the_same_slots(tmp_path: Path, backend: str) -> None:
    bad = SequenceSource(4, 4000, rows_per_second=8000).fail_at(500, tmp_path / "failures", times=3)
    settings = {"state.backend.type": backend}
    details = run_two(settings, bad, tmp_path, parallelism=2, slots=2, group="default")
    assert details.restarts >= 2
    assert attempts_of(details) == {"bad": {details.restarts}, "good": {0}}


def test_a_slot_that_dies_takes_only_what_was_in_it(tmp_path: Path) -> None:
    bad = SequenceSource(4, 4000, rows_per_second=8000).fail_at(2000, tmp_path / "failures", kill=True)
    details = run_two({}, bad, tmp_path, parallelism=1, slots=2, group="apart")
    assert attempts_of(details) == {"bad": {1}, "good": {0}} and details.restarts == 1


def test_the_whole_job_where_that_is_asked_for(tmp_path: Path) -> None:
    bad = SequenceSource(4, 4000, rows_per_second=8000).fail_at(2000, tmp_path / "failures")
    settings = {"jobmanager.execution.failover-strategy": "full"}
    details = run_two(settings, bad, tmp_path, parallelism=1, slots=1, group="default")
    assert attempts_of(details) == {"bad": {1}, "good": {1}}
