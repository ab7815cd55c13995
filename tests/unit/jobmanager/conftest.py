"""Puts this directory on the path, for ``plans``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
