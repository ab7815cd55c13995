"""Handing a translated job to whoever runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from millstream.client.session import current_session

if TYPE_CHECKING:
    from millstream.client.job_client import JobClient
    from millstream.client.translate import TranslatedJob
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


def default_submitter() -> Submitter:
    """The cluster the settings name, else an embedded one that lives until the process ends."""
    return _override or current_session()
