"""The bugs by name. A new one goes into the file of the part of the product that it is in."""

from __future__ import annotations

from typing import Final

from tests.bugbank.bank import barriers, checkpoints, cluster, network, sinks, sources, state
from tests.bugbank.bug import Bug

BUGS: Final[dict[str, Bug]] = {
    bug.name: bug for part in (barriers, checkpoints, sinks, state, sources, network, cluster) for bug in part.BUGS
}
