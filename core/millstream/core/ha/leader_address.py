"""Where the next call to the JobManager goes: followed from refusals, the leader's record, and the addresses given."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from millstream.core.config import Configuration
from millstream.core.errors import NotLeaderError, UnavailableError
from millstream.core.ha.leader_finder import LeaderFinder
from millstream.core.ha.settings import addresses, open_finder


class LeaderAddress:
    """The address of the JobManager that leads, as far as is known. Thread-safe."""

    def __init__(self, given: Sequence[str], finder: LeaderFinder | None) -> None:
        """``given``: some addresses of JobManagers; none when only ``finder`` knows."""
        self._given = list(given)
        self._finder = finder
        self._lock = threading.Lock()
        self._current = given[0] if given else ""
        if finder is not None:
            self._look(finder)

    @classmethod
    def of(cls, configuration: Configuration) -> LeaderAddress:
        """As the settings say. Raises ``ConfigError``. May block as long as it takes to connect to ZooKeeper."""
        return cls(addresses(configuration), open_finder(configuration))

    @property
    def known(self) -> str:
        """The same as ``current`` without asking anybody; empty when it is not known."""
        return self._current

    @property
    def can_watch(self) -> bool:
        """Whether ``look`` may find another leader before any call fails."""
        return self._finder is not None

    @property
    def may_move(self) -> bool:
        """Whether the leader may be elsewhere after a failure."""
        return self._finder is not None or len(self._given) > 1

    def current(self) -> str:
        """``host:port``. Raises ``UnavailableError`` when no JobManager has led yet. May block like ``follow``."""
        if not self._current and self._finder is not None:
            with self._lock:
                self._look(self._finder)
        if not self._current:
            raise UnavailableError("no JobManager leads this cluster yet")
        return self._current

    def follow(self, failed: str, error: UnavailableError) -> bool:
        """After a call to ``failed`` ended with ``error``: whether ``current`` is another one now. May block."""
        with self._lock:
            if self._current == failed:
                told = error.leader if isinstance(error, NotLeaderError) else ""
                if told:
                    self._current = told
                elif self._finder is None or not self._look(self._finder):
                    self._go_round()
            return self._current != failed

    def look(self) -> str:
        """``known``, after a look at the leader's record. May block.

        A leader that is frozen answers no call, and refuses none; so who waits for an answer looks now and then.
        """
        with self._lock:
            if self._finder is not None:
                self._look(self._finder)
            return self._current

    def close(self) -> None:
        if self._finder is not None:
            self._finder.close()

    def _look(self, finder: LeaderFinder) -> bool:
        """Go by the leader's record; whether there is one."""
        record = finder.find()
        if record is not None:
            self._current = record.address
        return record is not None

    def _go_round(self) -> None:
        """The next of the addresses given; the first if this one came from elsewhere."""
        if self._given:
            position = self._given.index(self._current) + 1 if self._current in self._given else 0
            self._current = self._given[position % len(self._given)]
