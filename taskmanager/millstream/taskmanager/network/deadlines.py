"""Actions at points of monotonic time: time-outs, retries, grace periods. Run by ``on_time`` of the environment."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Deadline:
    """One planned action; ``cancel`` makes it void."""

    __slots__ = ("action", "when_s")

    def __init__(self, when_s: float, action: Callable[[], None]) -> None:
        self.when_s = when_s
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        self.action = None


class Deadlines:
    """A heap of actions by monotonic seconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Deadline]] = []
        self._number = 0

    def at(self, when_s: float, action: Callable[[], None]) -> Deadline:
        deadline = Deadline(when_s, action)
        self._number += 1
        heapq.heappush(self._heap, (when_s, self._number, deadline))
        return deadline

    def run_due(self, now_s: float) -> None:
        """Run what is due, in order of time; cheap when nothing is."""
        heap = self._heap
        while heap and heap[0][0] <= now_s:
            deadline = heapq.heappop(heap)[2]
            action, deadline.action = deadline.action, None
            if action is not None:
                action()

    def next_s(self) -> float | None:
        """Monotonic seconds of the next action that was not cancelled."""
        heap = self._heap
        while heap and heap[0][2].action is None:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def __len__(self) -> int:
        return sum(deadline.action is not None for _, _, deadline in self._heap)
