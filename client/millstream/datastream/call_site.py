"""Where in the user's program an API call stands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import millstream
from millstream.core.errors import JobGraphError

_OWN_ROOTS: Final = tuple(str(Path(root).resolve()) + os.sep for root in millstream.__path__)


def call_site() -> str:
    """``file:line`` of the innermost frame outside Millstream, the file relative to the working directory if below it.

    Empty when there is none.
    """
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((*_OWN_ROOTS, "<frozen")):
            below = str(Path.cwd()) + os.sep
            return f"{name.removeprefix(below)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return ""


def refuse(message: str) -> JobGraphError:
    """An error about the user's program, with the line it stands on."""
    where = call_site()
    return JobGraphError(f"{where}: {message}" if where else message)
