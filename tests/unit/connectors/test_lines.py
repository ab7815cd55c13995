"""Byte ranges of a line file: every line is read exactly once, however the file is cut and whatever the chunk size."""

import gzip
import itertools
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.connectors.files import lines as lines_module
from millstream.connectors.files.lines import LineChunks
from millstream.connectors.files.split import FileSplit

LINES = st.lists(st.text(alphabet="ab\u00e9 ", max_size=12), max_size=40)


def read_split(split: FileSplit, rows: int = 3) -> list[bytes]:
    chunks = LineChunks(split)
    found = []
    while (chunk := chunks.next(rows)) is not None:
        offset, data = chunk
        assert data, "a chunk must not be empty"
        assert offset + len(data) == chunks.position
        found.append(data)
    chunks.close()
    return found


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    lines=LINES,
    cuts=st.lists(st.integers(0, 400), max_size=4),
    last_newline=st.booleans(),
    chunk_bytes=st.integers(1, 64),
)
def test_ranges_partition_the_lines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[str],
    cuts: list[int],
    last_newline: bool,
    chunk_bytes: int,
) -> None:
    monkeypatch.setattr(lines_module, "FIRST_CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(lines_module, "READ_BYTES_MIN", chunk_bytes)
    content = "\n".join(lines).encode() + (b"\n" if lines and last_newline else b"")
    file = tmp_path / "lines.txt"
    file.write_bytes(content)
    edges = sorted({0, len(content), *[min(cut, len(content)) for cut in cuts]})
    read = b"".join(
        data
        for start, stop in itertools.pairwise(edges)
        for data in read_split(FileSplit(str(file), start, stop, start))
    )
    assert read == content


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(lines=LINES.filter(bool), stop_after=st.integers(0, 10))
def test_a_position_continues_where_it_stopped(tmp_path: Path, lines: list[str], stop_after: int) -> None:
    file = tmp_path / "lines.txt"
    content = ("\n".join(lines) + "\n").encode()
    file.write_bytes(content)
    first = LineChunks(FileSplit(str(file), 0, len(content), 0))
    before = []
    for _ in range(stop_after):
        chunk = first.next(3)
        if chunk is None:
            break
        before.append(chunk[1])
    first.close()
    rest = read_split(FileSplit(str(file), 0, len(content), first.position))
    assert b"".join(before + rest) == content


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".zst", zstandard.ZstdCompressor().compress)],
)
def test_compressed_files_are_read_whole(tmp_path: Path, suffix: str, compress: object) -> None:
    content = b"".join(b"line %d\n" % i for i in range(50_000))
    file = tmp_path / f"lines.txt{suffix}"
    file.write_bytes(compress(content))  # type: ignore[operator]
    assert b"".join(read_split(FileSplit(str(file), 0, None, 0), 1000)) == content
    middle = content.index(b"line 40000\n")
    assert b"".join(read_split(FileSplit(str(file), 0, None, middle), 1000)) == content[middle:]
