"""A cluster records what it does, and what it has recorded holds: through failures, a failover and a last savepoint."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from millstream.core.api.job import JobStatus
from millstream.core.protocol_log import VARIABLE
from millstream.testing import MiniCluster
from tests.chaos.job import Load
from tests.chaos.variants import CLUSTER
from tests.protocol.check import check
from tests.protocol.history import History, mark, read

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

WAIT_S = 90.0
EXPECTED = {
    "leader.elected", "generation.began", "job.began", "job.status", "subtask.deployed", "subtask.left",
    "checkpoint.triggered", "checkpoint.acknowledged", "checkpoint.sealed", "checkpoint.claimed",
    "checkpoint.announced", "checkpoint.committed", "restore.began", "files.discarded", "subtask.began",
    "snapshot.durable", "state.restored", "event-time.ended", "event-time.passed", "sink.prepared", "sink.commits",
    "sink.committed",
}  # fmt: skip


def test_what_a_cluster_records_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    monkeypatch.setenv(VARIABLE, str(log))
    load = Load(tmp_path, pressure=True)
    settings = {**CLUSTER, "io.tmp.dirs": str(tmp_path / "cluster")}
    with MiniCluster(2, 2, settings, jobmanagers=2) as mini:
        job = mini.submit(load.environment(2, {}), "recorded")
        mini.wait_for_checkpoint(job, WAIT_S)
        mini.kill_slot(0)
        mini.wait_for_checkpoint(job, WAIT_S)
        mini.kill_jobmanager(mini.leader())
        mini.wait_for_checkpoint(job, WAIT_S)
        mark(log, "test.healed", within_s=WAIT_S)
        mini.wait_for_checkpoint(job, WAIT_S)
        load.finish.touch()
        job.stop_with_savepoint(True, str(tmp_path / "savepoints")).result()
        ended = job.wait_until_ended([], WAIT_S)
    assert ended is not None and JobStatus(ended.summary.status) is JobStatus.FINISHED, ended
    assert check(log) == []
    events, _ = read(log)
    kinds = Counter(event.kind for event in events)
    assert kinds.keys() >= EXPECTED
    (recorded,) = History(events).jobs.values()
    assert recorded.status() == "FINISHED" and recorded.generation(events[-1].t) == 2
    assert any(event["drain"] for event in recorded.of("checkpoint.announced"))
