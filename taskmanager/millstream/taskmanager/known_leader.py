"""The latest leader that this TaskManager knows of: orders of former ones are refused."""

from __future__ import annotations

from collections.abc import Mapping

from millstream.core.errors import FencedError, MillstreamError
from millstream.core.rpc.epoch import epoch_of


class KnownLeader:
    """Learns from every call of a leader, and from its answers. Epochs never go back."""

    def __init__(self) -> None:
        self.epoch = 0
        """The highest so far; 0 where there is no election."""

    def learn(self, epoch: int) -> None:
        self.epoch = max(self.epoch, epoch)

    def admission(self, metadata: Mapping[str, str | bytes]) -> MillstreamError | None:
        """``FencedError`` for a former leader's call; it may have been frozen, and not know yet that it is one."""
        theirs = epoch_of(metadata)
        if theirs < self.epoch:
            return FencedError(
                f"the order comes from the leader of epoch {theirs}; this TaskManager knows that of epoch {self.epoch}"
            )
        self.learn(theirs)
        return None
