"""Test your own functions without a cluster: drive any operator by hand, in every way a cluster might.

::

    from millstream.core.graph.specs import MapSpec
    from millstream.testing import OperatorHarness

    with OperatorHarness(MapSpec(lambda x: x + 1)) as harness:
        harness.push([1, 2, 3])
        assert harness.values == [2, 3, 4]
"""

from millstream.testing.context import HarnessContext, SentEvent
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import ALL_MODES, RunMode, run_in_all_modes
from millstream.testing.recording import RecordedOutput, TimedValue

__all__ = [
    "ALL_MODES",
    "HarnessContext",
    "OperatorHarness",
    "RecordedOutput",
    "RunMode",
    "SentEvent",
    "TimedValue",
    "run_in_all_modes",
]
