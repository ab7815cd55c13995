"""SQL whose state is larger than memory is exact through a crash."""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

KEYS = 40_000
FIRST_ROWS = """
SET 'pipeline.name' = 'firsts';
SET 'parallelism.default' = '2';
SET 'execution.checkpointing.interval' = '300 ms';
SET 'restart-strategy.type' = 'fixed-delay';
SET 'restart-strategy.fixed-delay.attempts' = '100';
SET 'restart-strategy.fixed-delay.delay' = '100 ms';
SET 'state.backend.type' = 'rocksdb';
CREATE TABLE g (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '5000',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '{rows}');
CREATE TABLE firsts (k BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{out}');
INSERT INTO firsts SELECT k FROM (
  SELECT k, name, ROW_NUMBER() OVER (PARTITION BY k, name ORDER BY PROCTIME()) AS nth
  FROM (SELECT MOD(n, {keys}) AS k, CONCAT(REPEAT('x', 300), CAST(MOD(n, {keys}) AS STRING)) AS name FROM g)
) WHERE nth = 1;
"""


def keys_of(out: Path) -> Counter[int]:
    found: Counter[int] = Counter()
    for file in out.glob("part-*"):
        with file.open(newline="") as stream:
            found.update(int(key) for (key,) in csv.reader(stream))
    return found


def with_rows_in(work: Path, parent: int) -> list[psutil.Process]:
    """The slots that have files of the directory open."""
    found = []
    for process in psutil.Process(parent).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(Path(file.path).is_relative_to(work) for file in process.open_files()):
                found.append(process)
    return found


def test_keys_on_disk_are_known_after_a_crash(shell: Any, until: Callable[..., Any]) -> None:
    """Each key comes three times, and counts once; when a slot dies, most of the keys it has seen are on disk."""
    out, work = shell.directory / "out", shell.directory / "work"
    (shell.directory / "job.sql").write_text(FIRST_ROWS.format(out=out, rows=3 * KEYS, keys=KEYS))
    settings = ("taskmanager.memory.managed.size=4mb", f"state.backend.rocksdb.localdir={work}")
    options = [part for setting in settings for part in ("-D", setting)]
    with shell.start("sql", "--local", *options, "-f", "job.sql") as process:
        try:
            until(lambda: sum(keys_of(out).values()) > KEYS // 2, "committed results")
            with_rows_in(work, process.pid)[0].kill()
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert keys_of(out) == Counter(range(KEYS))


def test_settings_of_a_started_cluster_count(
    shell: Any, start_cluster: Callable[..., Any], until: Callable[..., Any]
) -> None:
    """A job that sets none of them has its state in RocksDB, where the cluster says; soon, for the budget is small."""
    out, work = shell.directory / "out", shell.directory / "work"
    text = FIRST_ROWS.format(out=out, rows=3 * KEYS, keys=KEYS).replace("SET 'state.backend.type' = 'rocksdb';", "")
    (shell.directory / "job.sql").write_text(text)
    settings = (
        "state.backend.type=rocksdb",
        "taskmanager.memory.managed.size=4mb",
        f"state.backend.rocksdb.localdir={work}",
    )
    start_cluster(1, 2, *(part for setting in settings for part in ("-D", setting)))
    shell.run("sql", "-f", "job.sql").expect(0)
    until(lambda: list(work.rglob("CURRENT")), "a database where the cluster keeps its files")
    shell.run("cancel", "firsts").expect(0)
