"""From what the user names (a file, a directory, a glob) to the files to read."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import Final

from millstream.core.errors import ExternalError

FILES_MAX: Final = 1_000_000


def list_files(paths: list[str]) -> list[Path]:
    """All regular files named by ``paths``, each once, sorted.

    A directory stands for all files below it. Names that start with ``.`` or ``_`` inside a directory or a glob are
    left out: unfinished output is named so. Raises ``ExternalError`` when a path names nothing or cannot be read.
    """
    found: dict[Path, None] = {}
    for path in paths:
        for file in _expand(path):
            found[file] = None
            if len(found) > FILES_MAX:
                raise ExternalError(f"{path!r} names more than {FILES_MAX} files; read it in parts")
    return sorted(found)


def _expand(path: str) -> list[Path]:
    root = Path(path).expanduser().absolute()
    if root.is_file():
        return [root]
    if root.is_dir():
        return [file for file in root.rglob("*") if file.is_file() and not _hidden(file.relative_to(root))]
    if glob.has_magic(path):
        matches = [Path(match).absolute() for match in glob.glob(str(Path(path).expanduser()), recursive=True)]
        files = [file for file in matches if file.is_file() and not _hidden(Path(file.name))]
        if files:
            return files
        raise ExternalError(f"no file matches {path!r}")
    raise ExternalError(f"cannot read {path!r}: there is no such file or directory on this machine")


def _hidden(relative: Path) -> bool:
    return any(part.startswith((".", "_")) for part in relative.parts)
