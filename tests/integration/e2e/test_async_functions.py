"""Asynchronous functions from SQL text: with a crash in between, every row is answered once, in order."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

ROWS = 6000
FUNCTIONS = """
import asyncio


async def later(n: int) -> int:
    await asyncio.sleep(0.002)
    return 2 * n
"""
JOB = """
SET 'pipeline.name' = 'asked';
SET 'parallelism.default' = '1';
SET 'execution.checkpointing.interval' = '200 ms';
SET 'restart-strategy.type' = 'fixed-delay';
SET 'restart-strategy.fixed-delay.attempts' = '100';
SET 'restart-strategy.fixed-delay.delay' = '100 ms';
SET 'table.exec.async-scalar.max-concurrent-operations' = '20';
CREATE FUNCTION later AS 'functions.later' LANGUAGE PYTHON;
CREATE TABLE g (n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '2000',
  'fields.n.kind' = 'sequence', 'fields.n.start' = '1', 'fields.n.end' = '{rows}');
CREATE TABLE answers (a BIGINT) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{out}');
INSERT INTO answers SELECT later(n) FROM g WHERE later(n) > 0;
"""


def answers_in(out: Path) -> list[int]:
    found: list[int] = []
    for file in out.glob("part-*"):
        with file.open(newline="") as stream:
            found.extend(int(row[0]) for row in csv.reader(stream))
    return found


def slots_that_write(out: Path, parent: int) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(parent).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(Path(file.path).is_relative_to(out) for file in process.open_files()):
                found.append(process)
    return found


def test_no_row_is_lost_or_answered_twice_in_a_crash(shell: Any, until: Callable[..., Any]) -> None:
    out = shell.directory / "out"
    (shell.directory / "functions.py").write_text(FUNCTIONS)
    (shell.directory / "job.sql").write_text(JOB.format(rows=ROWS, out=out))
    with shell.start("sql", "--local", "-f", "job.sql") as process:
        try:
            until(lambda: len(answers_in(out)) > ROWS // 10, "committed answers")
            until(lambda: slots_that_write(out, process.pid), "a slot that writes answers")[0].kill()
            _, err = process.communicate(timeout=150)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert sorted(answers_in(out)) == [2 * n for n in range(1, ROWS + 1)]
