"""Errors over the wire: ``ErrorInfo`` in trailing metadata, class by name, place and blame kept."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final

from millstream.core import errors
from millstream.core.errors import Blame, ErrorPlace, MillstreamError, NotLeaderError, Retry
from millstream.proto.v1 import common_pb2

if TYPE_CHECKING:
    from millstream.proto.v1 import checkpoint_pb2, jobmanager_pb2

ERROR_KEY: Final = "millstream-error-bin"
_TEXT_MAX: Final = 16_384

_BLAMES: Final = {
    Blame.USER: common_pb2.BLAME_USER,
    Blame.EXTERNAL: common_pb2.BLAME_EXTERNAL,
    Blame.INTERNAL: common_pb2.BLAME_INTERNAL,
}
_CLASSES: Final = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, MillstreamError)
}


def to_proto(error: BaseException) -> common_pb2.ErrorInfo:
    """``error`` as it travels. One that is no Millstream error becomes an internal one with its traceback."""
    if not isinstance(error, MillstreamError):
        trace = "".join(traceback.format_exception(error))[-_TEXT_MAX:]
        return common_pb2.ErrorInfo(
            kind="MillstreamError",
            message=f"unexpected {type(error).__name__}: {error}"[:_TEXT_MAX],
            blame=common_pb2.BLAME_INTERNAL,
            user_traceback=trace,
        )
    place = error.place
    kind = next(base.__name__ for base in type(error).__mro__ if base.__name__ in _CLASSES)
    return common_pb2.ErrorInfo(
        kind=kind,
        message=error.message[:_TEXT_MAX],
        blame=_BLAMES[error.blame],
        retryable=error.retry is Retry.BACKOFF,
        operator=place.operator,
        function=place.function,
        file=place.file,
        line=place.line,
        record=place.record,
        user_traceback=place.user_traceback[:_TEXT_MAX],
        leader=error.leader if isinstance(error, NotLeaderError) else "",
    )


def from_proto(info: common_pb2.ErrorInfo) -> MillstreamError:
    """The error; of class ``MillstreamError`` when this release does not know its kind."""
    kind = _CLASSES.get(info.kind, MillstreamError)
    place = ErrorPlace(info.operator, info.function, info.file, info.line, info.record, info.user_traceback)
    if kind is NotLeaderError:
        return NotLeaderError(info.message, place=place, leader=info.leader)
    return kind(info.message, place=place)


def error_in(report: jobmanager_pb2.ReportSubtaskRequest | checkpoint_pb2.CheckpointReport) -> MillstreamError | None:
    """What a subtask reports to have gone wrong; None when nothing has."""
    return from_proto(report.error) if report.HasField("error") else None
