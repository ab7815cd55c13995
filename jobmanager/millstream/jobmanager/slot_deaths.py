"""Notices a record that kills the process it is processed in, attempt after attempt. Pure: deaths in, a verdict out.

A process that dies tells nothing of the record, so the rule looks at progress. Between two deaths by a record that
kills, the job cannot get past the record: no checkpoint is completed after anything was read, and the same subtasks are
in the process that dies, in the same way. A slot or a TaskManager that is killed from outside is another matter: the
job goes on, completes a checkpoint, and the count starts anew; a TaskManager that dies is not counted at all. SIGKILL
says less than other ends, since it may come from a person, a script or the kernel, so it takes more of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from millstream.core.ids import SubtaskId
from millstream.core.subtask_names import shown_names
from millstream.jobmanager.restart import SAME_FAILURES_MAX

DEATHS_FROM_OUTSIDE_MAX: Final = 2 * SAME_FAILURES_MAX
FROM_OUTSIDE: Final = frozenset({"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGSTOP"})
"""Ends that somebody else may have brought about."""
LONG_S: Final = 3600.0
"""Deaths further apart do not count together: a job that takes no checkpoints, or reads nothing, shows no progress."""


@dataclass(frozen=True)
class RepeatedDeath:
    """These subtasks were in a process that ended like this ``times`` times without progress."""

    subtasks: tuple[SubtaskId, ...]
    end: str
    times: int

    def describe(self, names: Sequence[str]) -> str:
        """For the message of the job's error; ``names`` are those of ``subtasks``."""
        return (
            f"the process that runs {shown_names(names)} ended {self.times} times by {self.end}, and no "
            f"checkpoint showed progress in between. {self._advice()}"
        )

    def _advice(self) -> str:
        if self.end == "SIGKILL":
            return (
                "If nobody killed it, the machine ran out of memory: look at dmesg, give the TaskManager more memory "
                "or fewer slots, or look for a record that needs very much of it."
            )
        if self.end in FROM_OUTSIDE:
            return "Find out who sends the signal to the slots of the TaskManagers."
        if self.end.startswith("SIG"):
            return (
                "Native code that these operators call crashes, most likely on one record: the log of the TaskManager "
                "has the Python stack of that moment. Repair the function or filter the record."
            )
        return (
            "Most likely one record makes a function of these operators do so: look at the log of the TaskManager, "
            "repair the function or filter the record."
        )


class SlotDeaths:
    """Of one job."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[SubtaskId, str]] = Counter()
        self._progress = 0
        self._last_s = 0.0

    def died(self, subtask: SubtaskId, end: str, progress: int, now_s: float) -> None:
        """The process of ``subtask`` ended: once an attempt.

        ``end`` is the signal's name or the exit code in words, ``progress`` the last checkpoint that was completed
        after its attempt had read something, 0 for none; ``now_s`` are seconds of a monotonic clock.
        """
        if progress != self._progress or now_s - self._last_s > LONG_S:
            self._counts.clear()
        self._progress, self._last_s = progress, now_s
        self._counts[subtask, end] += 1

    def verdict(self) -> RepeatedDeath | None:
        """What has happened too often, if anything has."""
        for (_, end), times in self._counts.most_common():
            if times >= (DEATHS_FROM_OUTSIDE_MAX if end in FROM_OUTSIDE else SAME_FAILURES_MAX):
                same = tuple(sorted(subtask for (subtask, how), n in self._counts.items() if (how, n) == (end, times)))
                return RepeatedDeath(same, end, times)
        return None
