"""Errors of user functions, told in the user's words: operator, function, the user's own line, the record.

Only frames outside Millstream are the user's; the line told is the last one outside installed libraries too, so that a
``json.loads`` that raises is reported where the user calls it. A preview of the record is cut to a few hundred
characters and must never raise itself.
"""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from operator import length_hint
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import millstream
from millstream.core.errors import ErrorPlace, ExternalError, MillstreamError, RecordTypeError, UserCodeError
from millstream.core.graph.specs import ChainedOperator

PREVIEW_CHARACTERS_MAX: Final = 300
NO_RECORD: Final = object()

_OWN_ROOTS: Final = tuple(str(Path(root).resolve()) + os.sep for root in millstream.__path__)
_LIBRARY_ROOTS: Final = tuple({sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib")})


class WrongReturn(Exception):
    """A user's function returned what its operator cannot take. ``str`` goes on from "returned ..."."""

    def __init__(self, returned: Any, expected: str) -> None:
        super().__init__(f"returned {preview_of(returned)} of type {type(returned).__name__}; {expected}")


def wrap_user_error(
    error: BaseException, *, chained: ChainedOperator, function: Any, record: Any = NO_RECORD
) -> MillstreamError:
    """``error`` with its place: a ``UserCodeError``, or a ``RecordTypeError`` for a ``WrongReturn``.

    An error of Millstream stays what it is, and learns its place if it has none yet.
    """
    if isinstance(error, MillstreamError):
        return _placed(error, chained, function, record)
    frames = user_frames(error.__traceback__)
    name = function_name(function)
    file, line = _user_line(frames) or definition_of(function)
    preview = "" if record is NO_RECORD else preview_of(record)
    where = f" ({file}, line {line})" if file else ""
    on_record = f" on the record {preview}" if preview else ""
    if isinstance(error, WrongReturn):
        message = f"operator {chained.name!r}: {name}{where} {error}"
        if preview:
            message += f"\nThe record was {preview}."
        place = ErrorPlace(chained.name, name, file, line, preview)
        wrapped: MillstreamError = RecordTypeError(message + _defined_at(chained), place=place)
    else:
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        message = f"operator {chained.name!r} failed in {name}{where}{on_record}\n{told}"
        if not frames:
            message += _defined_at(chained)
        shown = "".join(traceback.format_list(frames))
        wrapped = UserCodeError(message, place=ErrorPlace(chained.name, name, file, line, preview, f"{shown}{told}"))
    wrapped.__cause__ = error
    return wrapped


def wrap_connector_error(error: Exception, *, chained: ChainedOperator, connector: Any) -> MillstreamError:
    """Of a source or sink: what the operating system refuses is nobody's code, but a trouble outside."""
    if isinstance(error, OSError):
        name = type(connector).__name__
        wrapped = ExternalError(
            f"operator {chained.name!r}: {name} failed: {type(error).__name__}: {error}",
            place=ErrorPlace(operator=chained.name, function=name),
        )
        wrapped.__cause__ = error
        return wrapped
    return wrap_user_error(error, chained=chained, function=connector)


def _placed(error: MillstreamError, chained: ChainedOperator, function: Any, record: Any) -> MillstreamError:
    if not error.place.operator:
        if error.place.function:  # a function of a query, which knows its place but not its operator
            error.place = replace(error.place, operator=chained.name)
        else:
            preview = "" if record is NO_RECORD else preview_of(record)
            frames = user_frames(error.__traceback__)
            file, line = _user_line(frames) or definition_of(function)
            error.place = ErrorPlace(chained.name, function_name(function), file, line, preview)
        if repr(chained.name) not in error.message:
            error.message = f"operator {chained.name!r}: {error.message}"
    return error


def _defined_at(chained: ChainedOperator) -> str:
    return f"\nThe operator is defined at {chained.defined_at}." if chained.defined_at else ""


def user_frames(start: TracebackType | None) -> list[traceback.FrameSummary]:
    """The frames that are not Millstream's, with their source lines; those of libraries only under the user's own."""
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
    return str(name).rpartition("<locals>.")[2].replace("<lambda>", "lambda")


def definition_of(function: Any) -> tuple[str, int]:
    """File and line where the user defines the function; empty and 0 for what is not written in Python."""
    code = getattr(function, "__code__", None)
    if code is None or _is_own(code.co_filename):
        return "", 0
    return code.co_filename, code.co_firstlineno


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


def _user_line(frames: list[traceback.FrameSummary]) -> tuple[str, int] | None:
    for frame in reversed(frames):
        if not frame.filename.startswith(_LIBRARY_ROOTS) and not frame.filename.startswith("<frozen"):
            return frame.filename, frame.lineno or 0
    return None


def _is_own(filename: str) -> bool:
    return filename.startswith(_OWN_ROOTS)
