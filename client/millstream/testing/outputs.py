"""Reads what a file sink has committed: files that were renamed to their final names, nothing that is being written."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from millstream.core.errors import MalformedRecordError


def committed_files(path: str | Path) -> list[Path]:
    """The committed part files in the directory ``path``, by name; none if it does not exist yet."""
    directory = Path(path)
    if not directory.is_dir():
        return []
    return sorted(file for file in directory.iterdir() if file.is_file() and not file.name.startswith("."))


def committed_lines(path: str | Path) -> list[str]:
    """The lines of all committed files, file by file, without their ends."""
    return [line for file in committed_files(path) for line in file.read_text("utf-8").split("\n")[:-1]]


def committed_records(path: str | Path, file_format: str | None = None) -> list[Any]:
    """The records of all committed files, file by file.

    ``file_format``: ``"text"`` for lines; ``"csv"`` for a tuple of strings a row, and ``"csv with header"`` for a dict;
    ``"json"`` for a value a line; ``"parquet"`` for dicts. None: as each file's suffix says, CSV without header.
    Raises ``MalformedRecordError`` for a file that is not of its format.
    """
    if file_format is not None and file_format not in _READERS:
        raise ValueError(f"committed_records knows the formats {', '.join(map(repr, _READERS))}, not {file_format!r}")
    records: list[Any] = []
    for file in committed_files(path):
        name = file_format or _SUFFIXES.get(file.suffix)
        if name is None:
            raise ValueError(f"committed_records cannot tell the format of {file} by its suffix: give file_format")
        try:
            records += _READERS[name](file)
        except (ValueError, csv.Error) as error:
            raise MalformedRecordError(f"{file} is not {name}: {error}") from error
    return records


def _text(file: Path) -> list[Any]:
    return list(file.read_text("utf-8").split("\n")[:-1])


def _csv(file: Path) -> list[Any]:
    with file.open(newline="", encoding="utf-8") as stream:
        return [tuple(row) for row in csv.reader(stream)]


def _csv_with_header(file: Path) -> list[Any]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _json(file: Path) -> list[Any]:
    return [json.loads(line) for line in _text(file)]


def _parquet(file: Path) -> list[Any]:
    import pyarrow.parquet

    rows: list[Any] = pyarrow.parquet.read_table(file).to_pylist()  # pyarrow's own errors are ValueErrors
    return rows


_READERS: Final[dict[str, Callable[[Path], list[Any]]]] = {
    "text": _text,
    "csv": _csv,
    "csv with header": _csv_with_header,
    "json": _json,
    "parquet": _parquet,
}
_SUFFIXES: Final = {".txt": "text", ".csv": "csv", ".ndjson": "json", ".parquet": "parquet"}
