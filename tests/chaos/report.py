"""What many rounds have shown: counts, quantiles, the verdict, and all of it as JSON."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from millstream.core.failpoints import FAILPOINTS
from tests.chaos.rounds import Outcome

SURE: Final = 3
"""A fault that never failed in N tries fails, at 95 % confidence, in fewer than 3/N of them."""


class Report:
    """``add`` each round as it ends."""

    def __init__(self, seed: int) -> None:
        self.outcomes: list[Outcome] = []
        self.seconds = 0.0
        self._seed = seed

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.problem]

    def faults(self) -> Counter[str]:
        """By kind."""
        counts: Counter[str] = Counter()
        for outcome in self.outcomes:
            for fault, count in outcome.faults.items():
                counts[fault.partition(":")[0]] += count
        return counts

    def failpoints(self) -> list[str]:
        """Those that acted."""
        names = {fault.partition(":")[2] for outcome in self.outcomes for fault in outcome.faults}
        return [name for name in FAILPOINTS if name in names]

    def times(self) -> dict[str, dict[str, Any]]:
        """By kind of fault, of those that came alone: seconds until it was noticed, and until new output."""
        recoveries = [recovery for outcome in self.outcomes for recovery in outcome.recoveries]
        kinds = sorted({recovery.kind for recovery in recoveries})
        found = {}
        for kind in kinds:
            own = [recovery for recovery in recoveries if recovery.kind == kind]
            found[kind] = {
                "faults": len(own),
                "detected_s": quantiles(r.detected_s for r in own if r.detected_s is not None),
                "output_s": quantiles(recovery.output_s for recovery in own),
            }
        return found

    def as_json(self) -> dict[str, Any]:
        faults = self.faults()
        return {
            "commit": _commit(),
            "seed": self._seed,
            "machine": {
                "cores": len(os.sched_getaffinity(0)),
                "system": f"{platform.system()} {platform.release()}",
                "python": platform.python_version(),
            },
            "minutes": round(self.seconds / 60, 1),
            "rounds": len(self.outcomes),
            "failed": [outcome.command for outcome in self.failed],
            "faults": dict(sorted(faults.items())),
            "faults_total": faults.total(),
            "bound": SURE / faults.total() if faults.total() else None,
            "restarts": sum(outcome.restarts for outcome in self.outcomes),
            "checkpoints": sum(outcome.checkpoints for outcome in self.outcomes),
            "checkpoints_verified": sum(outcome.verified for outcome in self.outcomes),
            "times": self.times(),
            "records": sum(outcome.records for outcome in self.outcomes),
            "lost": sum(outcome.lost for outcome in self.outcomes),
            "doubled": sum(outcome.doubled for outcome in self.outcomes),
            "reordered": sum(outcome.reordered for outcome in self.outcomes),
            "failpoints": {"covered": self.failpoints(), "there_are": len(FAILPOINTS)},
        }

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(self.as_json(), indent=2) + "\n")

    def lines(self) -> Iterator[str]:
        """The times, commands of failed rounds, and the verdict as the last one."""
        seen = self.as_json()
        for kind, times in seen["times"].items():
            yield f"{kind}: noticed after {_told(times['detected_s'])}, new output after {_told(times['output_s'])}"
        yield f"{len(seen['failpoints']['covered'])} of {len(FAILPOINTS)} failpoints acted"
        for command in seen["failed"]:
            yield f"failed: {command}"
        by_kind = ", ".join(f"{kind} {count}" for kind, count in seen["faults"].items()) or "none"
        bound = "" if self.failed or seen["bound"] is None else f"; a fault loses records in < {seen['bound']:.2%}"
        yield (
            f"{'FAILED' if self.failed else 'PASSED'}: {seen['rounds']} rounds, {len(self.failed)} failed; "
            f"{seen['faults_total']} faults: {by_kind}; {seen['records']} records checked, {seen['lost']} lost, "
            f"{seen['doubled']} doubled, {seen['reordered']} reordered; "
            f"{seen['checkpoints_verified']} checkpoints verified{bound}"
        )


def quantiles(values: Iterable[float]) -> dict[str, float] | None:
    """Median, 95 % and maximum; None without values."""
    found = sorted(values)
    if not found:
        return None

    def at(share: float) -> float:
        return round(found[max(0, math.ceil(share * len(found)) - 1)], 3)

    return {"p50": at(0.5), "p95": at(0.95), "max": at(1.0)}


def _told(times: dict[str, float] | None) -> str:
    if times is None:
        return "- s"
    return f"{times['p50']:.2f} s (95 %: {times['p95']:.2f} s, at most {times['max']:.2f} s)"


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
