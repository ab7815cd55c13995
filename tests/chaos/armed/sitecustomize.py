"""In each process of a cluster under test, before anything else: arms the failpoints that ``CHAOS_FAILPOINTS`` says.

The directory of this file is in ``PYTHONPATH`` while such a cluster runs, and hides that which plants bugs.
"""

import os
import runpy
from pathlib import Path

if "BUGBANK" in os.environ:
    runpy.run_path(str(Path(__file__).parents[2] / "bugbank" / "planted" / "sitecustomize.py"))

if "CHAOS_FAILPOINTS" in os.environ:
    from millstream.core.failpoints import arm

    arm(os.environ["CHAOS_FAILPOINTS"])
