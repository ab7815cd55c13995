"""Which events a subtask makes: one round of them in so many."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from millstream.connectors.nexmark.model import Events

UNBOUNDED_ROWS = 2**62


@dataclass(frozen=True, order=True)
class RoundsSplit:
    """Of rounds of ``round_events`` events each: rounds ``index``, ``index + of``, ... in order.

    ``next`` and ``stop`` (exclusive) count the events of the split, not all events. All splits run side by side in
    event time, each with the proportions of the whole.
    """

    index: int
    of: int
    round_events: int
    next: int
    stop: int

    @property
    def is_finished(self) -> bool:
        return self.next >= self.stop

    def events(self, rows_max: int) -> Events:
        """The numbers of the next events, ascending."""
        places = np.arange(self.next, min(self.next + rows_max, self.stop), dtype=np.int64)
        if self.of == 1:
            return places
        rounds = places // self.round_events
        return (rounds * (self.of - 1) + self.index) * self.round_events + places

    def after(self, rows: int) -> RoundsSplit:
        """What is left after the next ``rows`` events."""
        return replace(self, next=self.next + rows)


def rounds_splits(of: int, round_events: int, events: int | None) -> list[RoundsSplit]:
    """The ``of`` splits of the first ``events`` events; of all numbers for None."""
    splits = []
    for index in range(of):
        stop = UNBOUNDED_ROWS
        if events is not None:
            rounds, rest = divmod(events, round_events)
            stop = len(range(index, rounds, of)) * round_events + (rest if rounds % of == index else 0)
        splits.append(RoundsSplit(index, of, round_events, 0, stop))
    return [split for split in splits if not split.is_finished]
