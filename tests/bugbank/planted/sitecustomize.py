"""In each process of a test under suspicion, before anything else: plants the bug that ``BUGBANK`` names.

The directory of this file is in ``PYTHONPATH`` meanwhile.
"""

import os
import sys
from pathlib import Path

if "BUGBANK" in os.environ:
    sys.path.append(str(Path(__file__).resolve().parents[3]))

    from tests.bugbank.bank import BUGS
    from tests.bugbank.planting import plant

    plant(BUGS[os.environ["BUGBANK"]])
