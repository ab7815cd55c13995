"""The epoch of the leader, as metadata of calls between JobManager and TaskManagers.

The leader's calls carry its own: a TaskManager refuses those of one that it knows to be a former leader. The calls of a
TaskManager carry that of the leader it registered at: what it says is not meant for another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

EPOCH_KEY: Final = "millstream-leader-epoch"


def epoch_of(metadata: Mapping[str, str | bytes]) -> int:
    """0 where there is no election, and for calls that do not depend on the leader."""
    text = str(metadata.get(EPOCH_KEY, "0"))
    return int(text) if text.isdecimal() and len(text) < 20 else 0
