"""Names as file names, and writing a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, unquote

from millstream.core.errors import ExternalError


def encoded(name: str) -> str:
    """A name as part of a path: letters, digits, ``_`` and ``-`` stand for themselves."""
    return quote(name, safe="").replace(".", "%2E").replace("~", "%7E")


def decoded(file_name: str) -> str:
    return unquote(file_name)


def write_whole(path: Path, text: str) -> None:
    """A reader sees the file as it was or as it becomes. Raises ``ExternalError``."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ExternalError(f"cannot write {path} of a catalog: {error.strerror}.") from error


def read_text(path: Path) -> str | None:
    """None if there is no such file. Raises ``ExternalError`` for one that cannot be read."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ExternalError(f"cannot read {path} of a catalog: {error}.") from error
