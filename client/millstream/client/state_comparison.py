"""What a job starts with of a savepoint, as people read it: a line a state, before anything is deployed."""

from __future__ import annotations

from millstream.client.cli.text_table import table_lines
from millstream.proto.v1 import jobmanager_pb2 as pb

_DROPS = "--allow-non-restored-state, or execution.state-recovery.ignore-unclaimed-state = true, drops it"


def comparison_text(compared: pb.StateComparison, *, allow_non_restored: bool) -> str:
    """The table. ``allow_non_restored``: state that the job does not have is dropped, not refused."""
    rows = [[one.operator, one.state, _verdict(one, allow_non_restored)] for one in compared.states]
    title = f"State of checkpoint {compared.checkpoint_id} in {compared.location}:"
    return "\n".join([title, *table_lines(["OPERATOR", "STATE", "VERDICT"], rows)])


def _verdict(one: pb.ComparedState, allow_non_restored: bool) -> str:
    match one.verdict:
        case pb.STATE_VERDICT_KEPT:
            return "kept"
        case pb.STATE_VERDICT_NEW:
            return "new, starts empty"
        case pb.STATE_VERDICT_GONE:
            return "no longer in the job: " + ("dropped" if allow_non_restored else f"refused ({_DROPS})")
    return f"refused: it was {one.was} and is now {one.now}"
