"""Where in the user's program an API call stands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import millstream

_OWN_ROOTS: Final = tuple(str(Path(root).resolve()) + os.sep for root in millstream.__path__)


def call_site() -> str:
    """``file:line`` of the innermost frame outside Millstream; empty when there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((*_OWN_ROOTS, "<frozen")):
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""
