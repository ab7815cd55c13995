"""What a user sees of an error: the message and their own frames, never ours."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

import millstream
from millstream.core.errors import MillstreamError

PRODUCT_FOLDERS = tuple(f"{folder}/" for folder in millstream.__path__)
"""The ``millstream`` folders: one in a wheel, one a component in an editable install."""


def error_text(error: MillstreamError) -> str:
    """The message, and the frames of the user's function where one raised."""
    frames = error.place.user_traceback.rstrip()
    parts = [f"error: {error}"] + ([frames] if frames and frames not in str(error) else [])
    return "\n".join(parts)


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


def install_hook() -> None:
    """For scripts run by plain ``python``: Millstream's own errors end them with the message instead of our stack."""
    if sys.excepthook is not sys.__excepthook__:
        return

    def report(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
        if isinstance(error, MillstreamError):
            sys.stderr.write(error_text(error) + "\n")
        else:
            sys.__excepthook__(kind, error, frames)

    sys.excepthook = report
