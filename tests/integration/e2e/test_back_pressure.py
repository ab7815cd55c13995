"""A slow consumer slows its source, and memory stays bounded however much there is to send."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

RECORDS = 10_000_000
GROWTH_BYTES_MAX = 150 * 1024 * 1024

JOB = """
import time
from pathlib import Path
from millstream.core.elements.batch import ObjectBatch
from millstream.core.api.sink import Sink, SinkWriter

class Slow(Sink):
    '''Takes batches, but rests now and then until the file "go" exists.'''
    def create_writer(self, context):
        return SlowWriter(context.subtask_index)

class SlowWriter(SinkWriter):
    def __init__(self, index):
        self.index, self.rows, self.total = index, 0, 0
    def write(self, batch):
        while self.rows > 100_000 and not Path("{directory}/go").exists():
            Path("{directory}/stuck").touch()
            time.sleep(0.02)
        values = batch.values
        self.rows += len(values)
        self.total += sum(values)
    def flush(self):
        Path(f"{directory}/result-{{self.index}}").write_text(f"{{self.rows}} {{self.total}}")

env.from_sequence(1, {records}).rebalance().sink_to(Slow()).set_parallelism(2)
env.execute("slow")
"""


def slot_memory(shell: Any) -> dict[int, int]:
    """Resident bytes of every process of the test's cluster."""
    found = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get("HOME") == shell.environment["HOME"]:
                found[process.pid] = process.memory_info().rss
        except psutil.Error:
            continue
    return found


def test_ten_million_records_through_a_slow_consumer(shell: Any, until: Callable[..., Any]) -> None:
    script = shell.script(JOB.format(records=RECORDS, directory=shell.directory))
    with shell.start("run", "--local", "-p", "2", script) as process:
        try:
            until((shell.directory / "stuck").exists, "the consumer to be slow")
            before = slot_memory(shell)
            grown = 0
            for _ in range(40):
                psutil.cpu_percent(interval=0.05)
                grown = max([grown, *(now - before.get(pid, now) for pid, now in slot_memory(shell).items())])
            assert grown < GROWTH_BYTES_MAX, f"a process grew by {grown / 1e6:.0f} MB while the consumer stood still"
            assert not list(shell.directory.glob("result-*")), "the source ran ahead to its end"
            (shell.directory / "go").touch()
            peak = 0
            while process.poll() is None:
                peak = max([peak, *(now - before.get(pid, now) for pid, now in slot_memory(shell).items())])
                psutil.cpu_percent(interval=0.05)
            _, err = process.communicate(timeout=100)
        finally:
            process.kill()
    assert process.returncode == 0, err
    assert peak < GROWTH_BYTES_MAX, f"a process grew by {peak / 1e6:.0f} MB"
    results = [Path(file).read_text().split() for file in shell.directory.glob("result-*")]
    assert sum(int(rows) for rows, _ in results) == RECORDS
    assert sum(int(total) for _, total in results) == RECORDS * (RECORDS + 1) // 2
