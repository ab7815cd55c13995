"""Local modules of a program, shipped with its jobs without being asked for.

Local is what lies below the script's directory or the current one and is neither installed nor part of Python. Of a
package all Python files travel and its small data files; of plain modules, those that were imported and those that
shipped code imports inside functions, found by reading the source. In the archive a module lies where its name says,
so that workers find it with one entry in ``sys.path``, wherever it came from here.
"""

from __future__ import annotations

import ast
import io
import os
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Final

from millstream.core.errors import ConfigError

DATA_FILE_BYTES_MAX: Final = 1024 * 1024
ARCHIVE_BYTES_MAX: Final = 64 * 1024 * 1024
FILES_MAX: Final = 10_000
_SKIPPED_DIRECTORIES: Final = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages", "venv"})
_FIXED_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""Equal sources give equal archives, which are uploaded once."""


class ModuleArchive:
    """What of ``modules`` is local, and the files to ship. ``search_path``: ``sys.path``; ``script``: the main file."""

    def __init__(
        self, modules: Mapping[str, ModuleType], roots: Sequence[Path], search_path: Sequence[str], script: Path | None
    ) -> None:
        self._roots = [root.resolve() for root in roots]
        self._script = script
        self._search_path = [
            directory
            for directory in dict.fromkeys(Path(entry or os.curdir).resolve() for entry in search_path)
            if directory.is_dir() and self._is_local(directory)
        ]
        self.modules: list[ModuleType] = []
        """Local modules that the program has imported."""
        self.not_importable: list[ModuleType] = []
        """Those that their name does not lead to from any entry of the search path."""
        self._files: dict[str, Path] = {}
        for name, module in sorted(modules.items()):
            if name == "__main__" or name.split(".")[0] == "millstream":
                continue
            file = _source_file(module)
            if file is None or not self._is_local(file):
                continue
            self.modules.append(module)
            if self._add_module(name) != file:
                self.not_importable.append(module)

    @staticmethod
    def of_this_process() -> ModuleArchive:
        """For the program that runs in this process."""
        script = _source_file(sys.modules["__main__"])
        roots = [Path.cwd(), *([script.parent] if script is not None else [])]
        return ModuleArchive(dict(sys.modules), roots, sys.path, script)

    @cached_property
    def files(self) -> dict[str, Path]:
        """Names in the archive with the files behind them."""
        unread = [*self._files.values(), *([self._script] if self._script is not None else [])]
        read: set[Path] = set()
        while unread:
            file = unread.pop()
            if file in read or file.suffix != ".py":
                continue
            read.add(file)
            before = set(self._files)
            for name in imported_names(file):
                self._add_module(name)
            unread += [self._files[name] for name in self._files.keys() - before]
        return dict(sorted(self._files.items()))

    def zipped(self) -> bytes:
        """The archive; empty without files. ``ConfigError`` if it would be too large."""
        if not self.files:
            return b""
        buffer = io.BytesIO()
        total_bytes = 0
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, file in self.files.items():
                data = file.read_bytes()
                total_bytes += len(data)
                if total_bytes > ARCHIVE_BYTES_MAX or len(self.files) > FILES_MAX:
                    raise self._too_large()
                archive.writestr(zipfile.ZipInfo(name, _FIXED_TIME), data, zipfile.ZIP_DEFLATED)
        return buffer.getvalue()

    def _is_local(self, file: Path) -> bool:
        return not _is_installed(file) and any(file.is_relative_to(root) for root in self._roots)

    def _add_module(self, name: str) -> Path | None:
        """Put the module ``name``, or the whole package it is in, into the archive; its file if there is one."""
        parts = name.split(".")
        if parts[0] in sys.stdlib_module_names or parts[0] == "millstream":
            return None
        for directory in self._search_path:
            found = self._find(directory, parts)
            if found is not None:
                return found
        return None

    def _find(self, directory: Path, parts: list[str]) -> Path | None:
        for depth in range(1, len(parts) + 1):
            place = directory.joinpath(*parts[:depth])
            if (place / "__init__.py").is_file() and self._is_local(place):
                self._add_package(place, "/".join(parts[:depth]))
                rest = place.joinpath(*parts[depth:])
                candidates = (rest / "__init__.py", rest.with_name(rest.name + ".py"))
                return next((file for file in candidates if file.is_file()), None)
            if not place.is_dir():
                file = place.with_name(place.name + ".py")
                if depth == len(parts) and file.is_file() and self._is_local(file):
                    self._files["/".join(parts) + ".py"] = file
                    return file
                return None
            file = place.with_name(place.name + ".py")
            if depth == len(parts) and file.is_file() and self._is_local(file):
                self._files["/".join(parts) + ".py"] = file
                return file
        return None

    def _add_package(self, directory: Path, name: str) -> None:
        if f"{name}/__init__.py" in self._files:
            return
        for file in _package_files(directory):
            self._files[f"{name}/{file.relative_to(directory).as_posix()}"] = file

    def _too_large(self) -> ConfigError:
        by_size = sorted(self.files.values(), key=lambda file: file.stat().st_size, reverse=True)
        largest = ", ".join(f"{file} ({file.stat().st_size:,} bytes)" for file in by_size[:3])
        return ConfigError(
            f"the local modules of this program are too large to ship: {len(self.files):,} files (at most "
            f"{FILES_MAX:,}) or more than {ARCHIVE_BYTES_MAX:,} bytes; the largest are {largest}. Keep data outside "
            f"of packages and read it by path, or install the package where the TaskManagers run."
        )


def imported_names(file: Path) -> set[str]:
    """Dotted names that absolute imports in ``file`` may load, those inside functions included."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return set()
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names if alias.name != "*")
    return names


def _package_files(directory: Path) -> Iterator[Path]:
    for parent, directories, names in os.walk(directory):
        directories[:] = sorted(d for d in directories if d not in _SKIPPED_DIRECTORIES and not d.startswith("."))
        for name in sorted(names):
            file = Path(parent, name)
            if name.startswith(".") or file.suffix == ".pyc" or not file.is_file():
                continue
            if file.suffix == ".py" or file.stat().st_size <= DATA_FILE_BYTES_MAX:
                yield file


def _source_file(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return _source_path(file) if isinstance(file, str) else None


@lru_cache(FILES_MAX)
def _source_path(file: str) -> Path | None:
    """Remembered: a process has hundreds of modules, and each job that it submits asks for all of them."""
    path = Path(file).resolve()
    return path if path.suffix == ".py" else None


@lru_cache(FILES_MAX)
def _is_installed(file: Path) -> bool:
    """Whether it belongs to Python or to a package that was installed; remembered as well."""
    return bool(_SKIPPED_DIRECTORIES.intersection(file.parts)) or any(file.is_relative_to(path) for path in _INSTALLED)


_INSTALLED: Final = tuple(
    Path(path).resolve()
    for path in {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
