"""What a run costs: CPU seconds and memory of a process and all below it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil

_INTERVAL_S = 0.5


class Usage:
    """``with Usage(roots) as usage``: CPU seconds spent in the block and the peak of memory, of ``roots`` and their
    descendants. Memory is sampled and counts shared pages once (PSS). What sampling itself costs is left out."""

    def __init__(self, roots: Iterable[psutil.Process]) -> None:
        self._roots = list(roots)
        self._before: dict[psutil.Process, float] = {}
        self._latest: dict[psutil.Process, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="usage", daemon=True)
        self._sampling_s = 0.0
        self.peak_mb = 0.0

    @property
    def cpu_s(self) -> float:
        spent = sum(spent - self._before.get(process, 0.0) for process, spent in self._latest.items())
        return spent - self._sampling_s

    def __enter__(self) -> Usage:
        self._before = self._read()
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._stop.set()
        self._thread.join()
        self._latest |= self._read()

    def _sample(self) -> None:
        while not self._stop.wait(_INTERVAL_S):
            self._latest |= self._read()
            self.peak_mb = max(self.peak_mb, self._memory_mb())
        self._sampling_s = time.thread_time()

    def _processes(self) -> list[psutil.Process]:
        found: dict[psutil.Process, None] = {}
        for root in self._roots:
            try:
                found |= dict.fromkeys([root, *root.children(recursive=True)])
            except psutil.NoSuchProcess:
                continue
        return list(found)

    def _read(self) -> dict[psutil.Process, float]:
        times: dict[psutil.Process, float] = {}
        for process in self._processes():
            try:
                spent = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            times[process] = spent.user + spent.system
        return times

    def _memory_mb(self) -> float:
        return sum(_pss_kb(process.pid) for process in self._processes()) / 1000


def _pss_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
