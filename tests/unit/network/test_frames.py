"""Frames survive any cut of the stream; damage is noticed; nothing large is allocated on the word of a header."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.taskmanager.network.frames import (
    FLAG_LZ4,
    FLAG_MORE,
    FLAG_PLAIN,
    HEADER,
    Frame,
    FrameError,
    FrameKind,
    FrameParser,
    crc32c,
    pack_header,
)

SEGMENT = 64 * 1024

numbers = st.integers(0, 2**32 - 1)
payloads = st.one_of(
    st.binary(max_size=300), st.integers(0, SEGMENT).map(lambda size: bytes(range(256)) * (size // 256 + 1))
).map(lambda data: data[:SEGMENT])
data_frames = st.builds(
    Frame,
    st.just(FrameKind.DATA),
    st.sampled_from([0, FLAG_MORE, FLAG_LZ4, FLAG_PLAIN, FLAG_MORE | FLAG_PLAIN]),
    numbers,
    numbers,
    numbers,
    payloads,
)
other_frames = st.builds(
    Frame, st.sampled_from([kind for kind in FrameKind if kind is not FrameKind.DATA]), st.just(0), numbers, numbers,
    numbers, st.binary(max_size=300),
)  # fmt: skip


def packed(frame: Frame) -> bytes:
    payload = bytes(frame.payload)
    return pack_header(frame.kind, frame.channel, frame.sequence, frame.number, (payload,), frame.flags) + payload


@given(frames=st.lists(data_frames | other_frames, max_size=6), seed=st.integers())
def test_frames_survive_any_cut(frames: list[Frame], seed: int) -> None:
    stream = b"".join(map(packed, frames))
    generator = random.Random(seed)
    parser = FrameParser(SEGMENT)
    got: list[Frame] = []
    while stream:
        size = generator.choice([1, 3, 27, 28, 29, 500, 5_000, 20_000, 200_000])
        got += parser.feed(stream[:size])
        stream = stream[size:]
    assert [frame._replace(payload=bytes(frame.payload)) for frame in got] == frames


def test_payload_parts_are_one_payload() -> None:
    parts = [b"abc", memoryview(b"defg"), b"", b"h"]
    header = pack_header(FrameKind.DATA, 1, 2, 3, parts)
    (frame,) = FrameParser(SEGMENT).feed(header + b"abcdefgh")
    assert bytes(frame.payload) == b"abcdefgh"


@given(frames=st.lists(data_frames | other_frames, min_size=1, max_size=3), data=st.data())
def test_any_flipped_bit_is_noticed(frames: list[Frame], data: st.DataObject) -> None:
    """In a header always, in a payload wherever it is checked."""
    frames = [frame._replace(flags=frame.flags & ~FLAG_PLAIN) for frame in frames]
    stream = bytearray(b"".join(map(packed, frames)))
    position = data.draw(st.integers(0, len(stream) - 1))
    stream[position] ^= 1 << data.draw(st.integers(0, 7))
    parser = FrameParser(SEGMENT)
    with pytest.raises(FrameError):
        parser.feed(stream)


@given(st.binary(min_size=HEADER.size, max_size=4096))
def test_random_bytes_are_no_frames(noise: bytes) -> None:
    with pytest.raises(FrameError):
        FrameParser(SEGMENT).feed(noise)


def forged(kind: int, length: int) -> bytes:
    """A header that checks out but lies."""
    honest = pack_header(kind & 0x0F or 1, 1, 0, 0)
    fields = list(HEADER.unpack(honest))
    fields[2], fields[5] = kind, length
    start = HEADER.pack(*fields)[:-4]
    return start + crc32c(start).to_bytes(4, "little")


def test_length_beyond_a_segment_is_refused_unallocated() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FrameError, match="claims 4294967295 bytes"):
            FrameParser(SEGMENT).feed(forged(1, 2**32 - 1))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [0x00, 0x09, 0x0F, FrameKind.CREDIT | FLAG_MORE, FrameKind.CONTROL | FLAG_LZ4])
def test_unknown_kinds_and_flags_are_refused(kind: int) -> None:
    with pytest.raises(FrameError, match="unknown kind"):
        FrameParser(SEGMENT).feed(forged(kind, 0))


def test_other_versions_are_named() -> None:
    header = bytearray(pack_header(FrameKind.DATA, 1, 0, 0))
    header[2] = 9
    with pytest.raises(FrameError, match="data-plane version 9"):
        FrameParser(SEGMENT).feed(header)


def test_received_payloads_cannot_be_changed_by_readers() -> None:
    payload = bytes(SEGMENT)
    (frame,) = FrameParser(SEGMENT).feed(pack_header(FrameKind.DATA, 1, 0, 0, (payload,)) + payload)
    assert isinstance(frame.payload, memoryview) and frame.payload.readonly
