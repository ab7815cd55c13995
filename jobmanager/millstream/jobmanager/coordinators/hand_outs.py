"""What the coordinator of a source hands out, and what of it may not have arrived. Pure.

A journal record says where the enumerator stands, which splits may not have reached their readers, and how far each
reader's numbers go. It is written before any of these splits is sent, so a new leader that starts from the last record
neither loses a split nor hands one out again under another number. An enumerator's state may be large: where splits
can be taken out of it again, most records have only those that were handed out since.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from millstream.core.source_events import ADD_SPLITS, numbered
from millstream.proto.v1 import job_store_pb2

APPENDED_MAX: Final = 64
"""Hand-outs until the state is copied again."""


class HandOut(NamedTuple):
    """An event for the reader of a subtask."""

    subtask: int
    kind: str
    payload: bytes


class HandOuts:
    """Of one attempt of a source's vertex."""

    def __init__(self, parallelism: int) -> None:
        self.unsent: deque[HandOut] = deque()
        """In order; whoever sends one removes it when it has arrived."""
        self._numbers = [0] * parallelism
        self._kept: tuple[Sequence[int], bytes] | None = None
        self._since: list[bytes] = []
        """Handed out since the last record that has the state."""

    @classmethod
    def of_journal(cls, journal: job_store_pb2.SourceJournal) -> HandOuts:
        """As a former leader left them."""
        made = cls(len(journal.numbers))
        made.unsent.extend(HandOut(unsent.subtask, ADD_SPLITS, unsent.payload) for unsent in journal.unsent)
        made._numbers = list(journal.numbers)
        made._kept = (tuple(journal.numbers), journal.enumerator)
        return made

    def add(self, outgoing: Iterable[HandOut]) -> None:
        """Splits get their numbers."""
        for subtask, kind, payload in outgoing:
            if kind == ADD_SPLITS:
                self._numbers[subtask] += 1
                self._since.append(payload)
                payload = numbered(self._numbers[subtask], payload)
            self.unsent.append(HandOut(subtask, kind, payload))

    def may_append(self) -> bool:
        """Whether the next record can do without the enumerator's state, if splits can be taken out of that."""
        return self._kept is not None and len(self._since) <= APPENDED_MAX

    def to_append(self, attempt: int) -> job_store_pb2.SourceJournal | None:
        """What to write before anything is sent; None when the last record tells as much."""
        assert self._kept is not None
        numbers, state = self._kept
        if tuple(self._numbers) == numbers:
            return None
        self._kept = (tuple(self._numbers), state)
        journal = self._journal(attempt)
        journal.appended = True
        journal.handed_out.extend(self._since)
        return journal

    def to_keep(self, attempt: int, enumerator: bytes) -> job_store_pb2.SourceJournal | None:
        """The same with the enumerator's state."""
        now = (tuple(self._numbers), enumerator)
        if now == self._kept:
            return None
        self._kept = now
        self._since = []
        journal = self._journal(attempt)
        journal.enumerator = enumerator
        return journal

    def _journal(self, attempt: int) -> job_store_pb2.SourceJournal:
        journal = job_store_pb2.SourceJournal(attempt=attempt, numbers=self._numbers)
        for subtask, kind, payload in self.unsent:
            if kind == ADD_SPLITS:
                journal.unsent.add(subtask=subtask, payload=payload)
        return journal
