"""Puts this directory on the path, for ``leaders``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
