"""Errors of user functions, told in the user's words: operator, function, the user's own line, the record.

Only frames outside Millstream are the user's. A preview of the record is cut to a few hundred characters and must never
raise itself.
"""

from __future__ import annotations

import linecache
import os
import traceback
from collections.abc import Callable, Iterator
from operator import length_hint
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import millstream
from millstream.core.errors import ErrorPlace, MillstreamError, UserCodeError
from millstream.core.graph.specs import ChainedOperator

PREVIEW_CHARACTERS_MAX: Final = 300
NO_RECORD: Final = object()

_OWN_ROOTS: Final = tuple(str(Path(root).resolve()) + os.sep for root in millstream.__path__)


def wrap_user_error(
    error: BaseException, *, chained: ChainedOperator, function: Any, record: Any = NO_RECORD
) -> MillstreamError:
    """``error`` with its place. An error of Millstream passes unchanged: it has its own words."""
    if isinstance(error, MillstreamError):
        return error
    frames = user_frames(error.__traceback__)
    name = function_name(function)
    if frames:
        file, line = frames[-1].filename, frames[-1].lineno or 0
    else:
        file, line = _definition(function)
    preview = "" if record is NO_RECORD else preview_of(record)
    where = f" ({file}, line {line})" if file else ""
    on_record = f" on the record {preview}" if preview else ""
    message = f"operator {chained.name!r} failed in {name}{where}{on_record}\n{type(error).__name__}: {error}"
    if chained.defined_at and not frames:
        message += f"\nThe operator is defined at {chained.defined_at}."
    shown = "".join(traceback.format_list(frames))
    wrapped = UserCodeError(
        message,
        place=ErrorPlace(chained.name, name, file, line, preview, f"{shown}{type(error).__name__}: {error}"),
    )
    wrapped.__cause__ = error
    return wrapped


def user_frames(start: TracebackType | None) -> list[traceback.FrameSummary]:
    """The frames that are not Millstream's, with their source lines."""
    linecache.checkcache()
    return [frame for frame in traceback.extract_tb(start) if not _is_own(frame.filename)]


def preview_of(record: Any) -> str:
    """``repr`` of a record, cut."""
    try:
        text = repr(record)
    except Exception as error:  # a user's __repr__ may do anything
        return f"<{type(record).__name__}, whose repr raises {type(error).__name__}>"
    return text if len(text) <= PREVIEW_CHARACTERS_MAX else text[:PREVIEW_CHARACTERS_MAX] + "..."


def function_name(function: Any) -> str:
    """What the user calls the function."""
    name = getattr(function, "__qualname__", None)
    if name is None:
        return type(function).__qualname__
    return str(name).removeprefix("<locals>.").replace("<lambda>", "lambda")


def call_each(
    function: Callable[[Any], Any], values: list[Any], chained: ChainedOperator, described: Any = None
) -> list[Any]:
    """``[function(v) for v in values]``, with the record named when it raises."""
    pending = iter(values)
    try:
        return [function(value) for value in pending]
    except Exception as error:
        record = current(values, pending)
        raise wrap_user_error(error, chained=chained, function=described or function, record=record) from error


def current(values: list[Any], pending: Iterator[Any]) -> Any:
    """The element of ``values`` that ``pending``, an iterator over it, returned last."""
    index = len(values) - length_hint(pending) - 1
    return values[index] if 0 <= index < len(values) else NO_RECORD


def _is_own(filename: str) -> bool:
    return filename.startswith((*_OWN_ROOTS, "<frozen"))


def _definition(function: Any) -> tuple[str, int]:
    code = getattr(function, "__code__", None)
    if code is None or _is_own(code.co_filename):
        return "", 0
    return code.co_filename, code.co_firstlineno
