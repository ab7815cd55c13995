"""Every error arrives as what it was: class, message, place, blame."""

from __future__ import annotations

import pytest

from millstream.core import errors
from millstream.core.errors import Blame, ErrorPlace, ExternalError, MillstreamError, Retry, UserError
from millstream.core.rpc.error_info import from_proto, to_proto
from millstream.proto.v1 import common_pb2

CLASSES = sorted(
    (kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MillstreamError)),
    key=lambda kind: kind.__name__,
)
PLACE = ErrorPlace("map", "double", "job.py", 12, "{'x': 1}", "Traceback ...")
BLAMES = {
    Blame.USER: common_pb2.BLAME_USER,
    Blame.EXTERNAL: common_pb2.BLAME_EXTERNAL,
    Blame.INTERNAL: common_pb2.BLAME_INTERNAL,
}


def sent(error: BaseException) -> tuple[common_pb2.ErrorInfo, MillstreamError]:
    """The message as its receiver decodes it, and the error it makes of it."""
    info = common_pb2.ErrorInfo.FromString(to_proto(error).SerializeToString())
    return info, from_proto(info)


def test_the_tree_was_found() -> None:
    assert {"ConfigError", "InvariantViolation", "TaskManagerLostError"} <= {kind.__name__ for kind in CLASSES}


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_arrives_as_its_class_with_its_place(kind: type[MillstreamError]) -> None:
    info, arrived = sent(kind("what to do: größer", place=PLACE))
    assert type(arrived) is kind and str(arrived) == "what to do: größer" and arrived.place == PLACE
    assert info.kind == kind.__name__ and info.blame == BLAMES[kind.blame]
    assert info.retryable == (kind.retry is Retry.BACKOFF)


def test_a_class_outside_the_tree_arrives_as_the_nearest_inside() -> None:
    class DiskError(ExternalError):
        pass

    class NarrowerError(DiskError):
        pass

    info, arrived = sent(NarrowerError("disk"))
    assert type(arrived) is ExternalError and info.kind == "ExternalError"


def test_an_unknown_name_becomes_the_base_class() -> None:
    arrived = from_proto(common_pb2.ErrorInfo(kind="ErrorOfTheFuture", message="m", line=3))
    assert type(arrived) is MillstreamError and str(arrived) == "m" and arrived.place.line == 3


@pytest.mark.parametrize("name", ["Blame", "ErrorPlace", "invariant", "annotations", "BaseException", ""])
def test_a_name_that_is_no_error_becomes_the_base_class(name: str) -> None:
    assert type(from_proto(common_pb2.ErrorInfo(kind=name))) is MillstreamError


def test_a_foreign_error_arrives_as_internal_with_its_traceback() -> None:
    try:
        {}["missing"]
    except KeyError as error:
        info, arrived = sent(error)
    assert type(arrived) is MillstreamError and info.blame == common_pb2.BLAME_INTERNAL and not info.retryable
    assert str(arrived) == "unexpected KeyError: 'missing'"
    assert "test_error_info.py" in arrived.place.user_traceback


@pytest.mark.parametrize(
    "error", [UserError("x" * 100_000, place=ErrorPlace(user_traceback="y" * 100_000)), ValueError("x" * 100_000)]
)
def test_a_huge_error_is_cut(error: Exception) -> None:
    info, _ = sent(error)
    assert info.ByteSize() < 40_000 and info.message.endswith("x")
