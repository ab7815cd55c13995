"""What happens to rows that do not parse: fail the job, skip and count, or send to a side output."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from millstream.connectors.files.compression import open_binary
from millstream.core.errors import ErrorPlace, MalformedRecordError

if TYPE_CHECKING:
    import pyarrow as pa

FAIL: Final = "fail"
SKIP: Final = "skip"
_PREVIEW_CHARACTERS: Final = 200


@dataclass(frozen=True)
class MalformedRow:
    """One row that did not parse, as it goes to the side output."""

    path: str
    line: int
    """Counts from 1."""
    text: str
    reason: str


@dataclass(frozen=True)
class BadLine:
    """A row a format could not decode: ``index`` lines after the first of the chunk."""

    index: int
    text: str
    reason: str


@dataclass(frozen=True)
class MalformedPolicy:
    """``action`` is ``"fail"``, ``"skip"``, or the id of the side output that takes ``MalformedRow`` records.
    ``advice``: what the error message of ``"fail"`` ends with."""

    action: str = FAIL
    advice: str = 'Correct the file, or read it with on_malformed="skip" or on_malformed=OutputTag(...).'

    def apply(self, path: str, offset: int, bad: list[BadLine]) -> list[MalformedRow]:
        """Raise for ``fail``; else the rows for the side output (empty for ``skip``).

        ``offset`` is where the chunk starts, from which line numbers are counted only now that they are needed.
        """
        if not bad or self.action == SKIP:
            return []
        first_line = count_lines(path, offset) + 1
        if self.action == FAIL:
            raise malformed_error(path, first_line + bad[0].index, bad[0], self.advice)
        return [MalformedRow(path, first_line + line.index, line.text, line.reason) for line in bad]


@dataclass
class DecodedChunk:
    """What a format made of a chunk of lines."""

    values: list[object]
    bad: list[BadLine] = field(default_factory=list)
    records: pa.RecordBatch | None = None
    """The values as columns, from a columnar format; ``values`` is empty then."""
    nulled: int = 0
    """Values that did not parse and became NULL."""


def malformed_error(path: str, line: int, bad: BadLine, advice: str) -> MalformedRecordError:
    preview = bad.text if len(bad.text) <= _PREVIEW_CHARACTERS else bad.text[:_PREVIEW_CHARACTERS] + "..."
    return MalformedRecordError(
        f"{path}, line {line}: {bad.reason}\n  {preview}\n{advice}",
        place=ErrorPlace(file=path, line=line, record=preview),
    )


def count_lines(path: Path | str, stop: int) -> int:
    """Newlines before byte ``stop`` of the uncompressed content."""
    lines = 0
    with open_binary(path) as stream:
        while stop > 0:
            piece = stream.read(min(stop, 1 << 20))
            if not piece:
                break
            lines += piece.count(b"\n")
            stop -= len(piece)
    return lines
