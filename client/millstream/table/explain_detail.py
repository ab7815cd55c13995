"""What ``explain`` tells besides the plans (``pyflink.table.ExplainDetail``)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING

from millstream.datastream.call_site import refuse

if TYPE_CHECKING:
    from millstream.sql.planner.planner import PlannedJob
    from millstream.sql.session.sql_session import SqlSession


class ExplainDetail(enum.Enum):
    """One more thing to show."""

    ESTIMATED_COST = "ESTIMATED_COST"
    """What state each operator keeps."""
    CHANGELOG_MODE = "CHANGELOG_MODE"
    """Which changes each operator sends."""
    PLAN_ADVICE = "PLAN_ADVICE"
    """What will go wrong one day."""
    JSON_EXECUTION_PLAN = "JSON_EXECUTION_PLAN"
    """The operators of the job as JSON."""
    STATE_RECOVERY = "STATE_RECOVERY"
    """What the job would start with of the savepoint that ``execution.state-recovery.path`` names."""

    @staticmethod
    def text(session: SqlSession, planned: PlannedJob, details: Iterable[ExplainDetail]) -> str:
        """The plans of a job as text."""
        from millstream.client.queries.runner import explained

        chosen = set(details)
        for detail in chosen:
            if not isinstance(detail, ExplainDetail):
                raise refuse(f"explain takes ExplainDetail, not {detail!r:.60}.")
        return explained(session, planned, {detail.value for detail in chosen})
