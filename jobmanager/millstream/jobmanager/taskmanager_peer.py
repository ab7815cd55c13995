"""Orders to a TaskManager: only of the leader, and refused by one that knows a later leader."""

from __future__ import annotations

from typing import Any

from millstream.core.clock import Clock
from millstream.core.errors import FencedError
from millstream.core.rpc.channel import DEADLINE_S, Peer, RetryPolicy
from millstream.core.rpc.secret import ClusterSecret
from millstream.jobmanager.ha.leadership import Leadership


class TaskManagerPeer(Peer):
    """Its calls raise ``FencedError`` when this process does not lead; the first one that is told so loses for all."""

    def __init__(self, address: str, secret: ClusterSecret | None, clock: Clock, leadership: Leadership) -> None:
        super().__init__(address, secret, clock)
        self._leadership = leadership

    async def call(
        self,
        method: Any,
        request: Any,
        deadline_s: float = DEADLINE_S,
        retry: RetryPolicy | None = None,
        epoch: int = 0,
    ) -> Any:
        """``epoch`` is that of the leadership."""
        self._leadership.check()
        try:
            return await super().call(method, request, deadline_s, retry, self._leadership.epoch)
        except FencedError as error:
            self._leadership.lose(str(error))
            raise
