"""The contract of a line format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from millstream.connectors.files.malformed import DecodedChunk


class LineDecoder(ABC):
    """Decodes chunks of one file. Belongs to one split."""

    @abstractmethod
    def decode(self, chunk: bytes, at_file_start: bool) -> DecodedChunk:
        """The values of ``chunk`` (whole lines) and the lines that do not parse, numbered within the chunk."""


class LineFormat(ABC):
    """Describes a line format. Picklable."""

    splittable: bool = True
    """Whether a file may be cut at any newline."""
    emits_columns: bool = False
    """Whether its batches are Arrow batches, which are worth making larger than those of Python rows."""

    @abstractmethod
    def create_decoder(self, path: str) -> LineDecoder: ...

    @property
    def produced_type(self) -> Any:
        """TypeInformation of the values, or None."""
        return None

    def column_types(self) -> Mapping[str, type] | None:
        """Python types of the columns that ``columnar`` would make; None when it cannot."""
        return None

    def columnar(self) -> LineFormat:
        """The same format with Arrow batches instead of Python rows, wherever the values fit the columns."""
        raise RuntimeError(f"{type(self).__name__} has no columns")


def split_lines(chunk: bytes) -> list[bytes]:
    """Lines without their ends (``\\n`` or ``\\r\\n``); no empty line after the last newline."""
    lines = chunk.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if b"\r" in chunk:
        lines = [line.removesuffix(b"\r") for line in lines]
    return lines
