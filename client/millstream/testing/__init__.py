"""Test functions and jobs: one operator by hand, in every way a cluster might drive it, or a cluster to disturb.

::

    from millstream.core.graph.specs import MapSpec
    from millstream.testing import OperatorHarness

    with OperatorHarness(MapSpec(lambda x: x + 1)) as harness:
        harness.push([1, 2, 3])
        assert harness.values == [2, 3, 4]
"""

from millstream.core.clock import ManualClock
from millstream.testing.cluster import MiniCluster
from millstream.testing.comparison import OutputDifference, compare_outputs
from millstream.testing.context import HarnessContext, SentEvent
from millstream.testing.failures import DeliberateFailure
from millstream.testing.harness import OperatorHarness
from millstream.testing.modes import ALL_MODES, RESCALING_MODES, RunMode, run_in_all_modes
from millstream.testing.outputs import committed_files, committed_lines, committed_records
from millstream.testing.parallel import ParallelHarness
from millstream.testing.recording import RecordedOutput, TimedValue
from millstream.testing.sequence import SequenceRecord, SequenceSource
from millstream.testing.source_harness import SourceHarness

__all__ = [
    "ALL_MODES",
    "RESCALING_MODES",
    "DeliberateFailure",
    "HarnessContext",
    "ManualClock",
    "MiniCluster",
    "OperatorHarness",
    "OutputDifference",
    "ParallelHarness",
    "RecordedOutput",
    "RunMode",
    "SentEvent",
    "SequenceRecord",
    "SequenceSource",
    "SourceHarness",
    "TimedValue",
    "committed_files",
    "committed_lines",
    "committed_records",
    "compare_outputs",
    "run_in_all_modes",
]
