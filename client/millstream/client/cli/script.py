"""Running a user's script the way ``python SCRIPT ARGS`` does, and showing what it raises without our frames."""

from __future__ import annotations

import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import millstream.client
import millstream.core

PRODUCT_FOLDERS = tuple(str(Path(package.__path__[0]).parent) for package in (millstream.client, millstream.core))
"""The ``millstream`` folders of the client and of core: one folder in a wheel, two in an editable install."""


def run_script(script: str, arguments: Sequence[str]) -> None:
    """As ``__main__``, with ``sys.argv`` and ``sys.path[0]`` as Python sets them."""
    path = Path(script).absolute()
    sys.argv = [script, *arguments]
    sys.path[0] = str(path if path.is_dir() or path.suffix in (".zip", ".pyz") else path.resolve().parent)
    runpy.run_path(str(path), run_name="__main__")


def user_traceback(error: BaseException) -> str:
    """What Python would print for ``error``, with the user's frames only."""
    report = traceback.TracebackException.from_exception(error, compact=True)
    pending: list[traceback.TracebackException | None] = [report]
    while pending:
        current = pending.pop()
        if current is not None:
            current.stack = traceback.StackSummary.from_list([f for f in current.stack if is_user_frame(f.filename)])
            pending += [current.__cause__, current.__context__, *(current.exceptions or ())]
    return "".join(report.format())


def is_user_frame(filename: str) -> bool:
    """Neither Millstream's nor the machinery that runs a script."""
    if filename.startswith(PRODUCT_FOLDERS):
        return False
    return not (filename.startswith("<frozen ") or filename.endswith(("/runpy.py", "/bin/millstream")))
