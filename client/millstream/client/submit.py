"""Handing a translated job to whoever runs it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from millstream.client.session import current_session
from millstream.core.errors import JobGraphError

if TYPE_CHECKING:
    from millstream.client.job_client import JobClient
    from millstream.client.translate import TranslatedJob
    from millstream.core.graph.stream_graph import StreamGraph
    from millstream.core.ids import OperatorId
    from millstream.proto.v1.job_graph_pb2 import JobGraph


class Submitter(Protocol):
    """Where ``StreamExecutionEnvironment.execute`` sends a job: a cluster, or whoever only wants to see its plan."""

    def submit(self, translated: TranslatedJob) -> JobClient:
        """Send it and return without waiting."""
        ...


class PlanCaptured(BaseException):
    """Ends a script at its first ``execute`` when only the plan is wanted. Not an ``Exception``: no script hides it."""

    def __init__(self, graph: JobGraph) -> None:
        super().__init__()
        self.graph = graph


class PlanSubmitter:
    """For ``millstream info``: nothing runs."""

    def submit(self, translated: TranslatedJob) -> JobClient:
        raise PlanCaptured(translated.graph)


_override: Submitter | None = None


def set_submitter(submitter: Submitter | None) -> None:
    """Send the jobs of this process to ``submitter`` instead of the session's cluster; None: as before."""
    global _override
    _override = submitter


def submit_graph(graph: StreamGraph, settings: Mapping[str, Any]) -> tuple[JobClient, Mapping[int, OperatorId]]:
    """Translate a program and send it off; the job, and the ids of its operators by node. Raises ``JobGraphError``.

    ``settings``: flattened, durations in milliseconds.
    """
    translated = _translated(graph, settings)
    return default_submitter().submit(translated), translated.operator_ids


def compare_state(graph: StreamGraph, settings: Mapping[str, Any]) -> str:
    """What a program would start with of the savepoint that ``settings`` name, as a table; nothing is deployed."""
    return current_session().state_comparison(_translated(graph, settings).graph)


def _translated(graph: StreamGraph, settings: Mapping[str, Any]) -> TranslatedJob:
    from millstream.client.translate import translate

    try:
        return translate(graph, secrets.token_hex(16), settings)
    except JobGraphError as error:
        raise error.with_traceback(None) from None


def default_submitter() -> Submitter:
    """The cluster the settings name, else an embedded one that lives until the process ends."""
    return _override or current_session()
