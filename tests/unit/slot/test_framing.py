"""Control messages between a TaskManager and its slots."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.core.errors import ExternalError
from millstream.proto.v1 import taskmanager_pb2
from millstream.taskmanager.slot.framing import MESSAGE_BYTES_MAX, Unpacker, pack


def event(number: int, payload: bytes = b"") -> taskmanager_pb2.ToSlot:
    return taskmanager_pb2.ToSlot(event_reply=taskmanager_pb2.EventReply(request_id=number, payload=payload))


@given(payloads=st.lists(st.binary(max_size=300), max_size=8), cuts=st.lists(st.integers(1, 50), min_size=1))
def test_any_cutting_of_the_stream_gives_the_same_messages(payloads: list[bytes], cuts: list[int]) -> None:
    sent = [event(i + 1, payload) for i, payload in enumerate(payloads)]
    stream = b"".join(pack(message) for message in sent)
    unpacker = Unpacker(taskmanager_pb2.ToSlot)
    received, position, turn = [], 0, 0
    while position < len(stream):
        step = cuts[turn % len(cuts)]
        received += unpacker.feed(stream[position : position + step])
        position, turn = position + step, turn + 1
    assert received == sent


def test_a_length_beyond_the_limit_is_refused_before_it_is_waited_for() -> None:
    with pytest.raises(ExternalError, match="claims"):
        Unpacker(taskmanager_pb2.ToSlot).feed(struct.pack(">I", MESSAGE_BYTES_MAX + 1))


@given(st.binary(min_size=1, max_size=200))
def test_garbage_is_a_message_or_an_error_never_a_crash(body: bytes) -> None:
    try:
        Unpacker(taskmanager_pb2.ToSlot).feed(struct.pack(">I", len(body)) + body)
    except ExternalError as error:
        assert "does not parse" in str(error)
