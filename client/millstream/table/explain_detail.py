"""What ``explain`` tells besides the plans (``pyflink.table.ExplainDetail``)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import TYPE_CHECKING

from millstream.datastream.call_site import refuse

if TYPE_CHECKING:
    from millstream.sql.planner.planner import PlannedJob


class ExplainDetail(enum.Enum):
    """One more thing to show."""

    ESTIMATED_COST = "ESTIMATED_COST"
    """What state each operator keeps."""
    CHANGELOG_MODE = "CHANGELOG_MODE"
    """Which changes each operator sends."""
    PLAN_ADVICE = "PLAN_ADVICE"
    """What will go wrong one day."""

    @staticmethod
    def text(planned: PlannedJob, details: Iterable[ExplainDetail]) -> str:
        """The plans of a job as text."""
        chosen = set(details)
        for detail in chosen:
            if not isinstance(detail, ExplainDetail):
                raise refuse(f"explain takes ExplainDetail, not {detail!r:.60}.")
        return planned.explain(
            changelog_mode=ExplainDetail.CHANGELOG_MODE in chosen,
            state=ExplainDetail.ESTIMATED_COST in chosen,
            advice=ExplainDetail.PLAN_ADVICE in chosen,
        )
