"""The figures of a race as Markdown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from race.measuring import Course, Recovery
from race.schedule import KINDS

HEAD = """| fault | system | timeouts | faults | noticed s, median / p95 / max | first output s | restarted |
|---|---|---|---|---|---|---|"""


def table(courses: Sequence[Course]) -> str:
    """A line for each kind of fault, system and choice of timeouts."""
    recoveries = [recovery for course in courses for recovery in course.recoveries]
    runs = dict.fromkeys((recovery.system, recovery.timeouts) for recovery in recoveries)
    lines = [HEAD]
    for kind in KINDS:
        for system, timeouts in runs:
            of = [r for r in recoveries if (r.kind, r.system, r.timeouts) == (kind, system, timeouts)]
            if of:
                lines.append(_line(kind, system, timeouts, of))
    return "\n".join(lines)


def _line(kind: str, system: str, timeouts: str, of: list[Recovery]) -> str:
    restarted = sum(recovery.restarted for recovery in of)
    noticed = _spread([recovery.noticed_s for recovery in of])
    output = _spread([recovery.output_s for recovery in of])
    return f"| {kind} | {system} | {timeouts} | {len(of)} | {noticed} | {output} | {restarted} of {len(of)} |"


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    p95 = ordered[math.ceil(0.95 * len(ordered)) - 1]
    return f"{statistics.median(ordered):.2f} / {p95:.2f} / {ordered[-1]:.2f}"


def verdicts(courses: Sequence[Course]) -> str:
    """What each run committed: rows, and those that are missing, doubled or wrong."""
    lines = []
    for course in courses:
        first = course.recoveries[0]
        counts = ", ".join(f"{count:,} {what}" for what, count in course.verdict.items())
        faults = f"{len(course.recoveries)} faults, load {course.load}"
        lines.append(f"{first.system}, {first.timeouts}: {faults}; {counts}")
    return "\n".join(lines)
