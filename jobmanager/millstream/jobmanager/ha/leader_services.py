"""The leader's services in a server that runs before its process leads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import grpc

from millstream.core.errors import FencedError, MillstreamError, NotLeaderError, UnavailableError
from millstream.core.rpc.epoch import epoch_of
from millstream.jobmanager.ha.leadership import LeaderElection, Leadership

if TYPE_CHECKING:
    _Handler = grpc.GenericRpcHandler[Any, Any]
else:
    _Handler = grpc.GenericRpcHandler  # generic in its stubs only


class LeaderServices(_Handler):
    """Added to the server before it starts; ``open`` brings the services. Until then, and when the leadership is lost,
    ``admission`` refuses every call."""

    def __init__(self, election: LeaderElection) -> None:
        self._election = election
        self._own_address = ""
        self._leadership: Leadership | None = None
        self._handlers: list[_Handler] = []

    def stand_by(self, own_address: str) -> None:
        """``own_address`` is where this process serves; callers need not be sent there."""
        self._own_address = own_address

    def open(self, leadership: Leadership, add: Callable[[Any], None]) -> None:
        """``add`` adds the services to what it takes for a server."""
        add(self)
        self._leadership = leadership

    def admission(self, metadata: Mapping[str, str | bytes]) -> MillstreamError | None:
        """``NotLeaderError`` for every call while this process does not lead; ``UnavailableError`` for what a
        TaskManager has to say to a former leader."""
        leadership, meant_for = self._leadership, epoch_of(metadata)
        try:
            if leadership is not None:
                if meant_for > leadership.epoch:
                    leadership.lose(f"a TaskManager has registered at the leader of epoch {meant_for}")
                leadership.check()
                if 0 < meant_for < leadership.epoch:
                    return UnavailableError(
                        f"the TaskManager registered at the leader of epoch {meant_for}, this one's is "
                        f"{leadership.epoch}: it has to register first"
                    )
                return None
        except FencedError:
            pass
        record = self._election.find()
        leader = record.address if record is not None and record.address != self._own_address else ""
        known = f"the one at {leader} does" if leader else "it is not known which one does"
        return NotLeaderError(f"the JobManager at {self._own_address} does not lead; {known}", leader=leader)

    # -- as gRPC's generated code and its server see it ---------------------------------------------------------------

    def add_generic_rpc_handlers(self, handlers: tuple[_Handler, ...]) -> None:
        self._handlers += handlers

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """The same again, for servers that look them up by name."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        found = (handler.service(handler_call_details) for handler in self._handlers)
        return next((handler for handler in found if handler is not None), None)
