"""In each process of a cluster under test, before anything else: arms the failpoints that ``CHAOS_FAILPOINTS`` says.

The directory of this file is in ``PYTHONPATH`` while such a cluster runs.
"""

import os

if "CHAOS_FAILPOINTS" in os.environ:
    from millstream.core.failpoints import arm

    arm(os.environ["CHAOS_FAILPOINTS"])
