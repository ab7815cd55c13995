"""The program's own modules, shipped with the job without being asked for.

A module is local when its file lies below the script's directory or the working directory and is no part of an
installed package. Installed packages must be installed where the TaskManagers run.
"""

from __future__ import annotations

import io
import sys
import sysconfig
import types
import zipfile
from pathlib import Path
from typing import Final

import millstream
from millstream.core.errors import UserError

ARCHIVE_BYTES_MAX: Final = 256 * 1024 * 1024
DATA_FILE_BYTES_MAX: Final = 1024 * 1024
_SKIPPED_DIRECTORIES: Final = frozenset({"__pycache__", ".git", ".venv", "node_modules"})


def local_modules() -> list[types.ModuleType]:
    """Imported modules that belong to the program, except ``__main__``, which travels by value."""
    roots = _local_roots()
    foreign = _foreign_roots()
    found = []
    for name, module in sorted(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name in ("__main__", "__mp_main__") or not file or not isinstance(module, types.ModuleType):
            continue
        path = Path(file).resolve()
        if any(path.is_relative_to(root) for root in roots) and not any(path.is_relative_to(r) for r in foreign):
            found.append(module)
    return found


def archive(modules: list[types.ModuleType]) -> bytes:
    """A zip with the modules at their import paths; empty bytes when there are none. The same input, the same bytes."""
    files: dict[str, Path] = {}
    for module in modules:
        path = Path(module.__file__ or "").resolve()
        parts = module.__name__.split(".")
        if path.name == "__init__.py":
            files |= _package_files("/".join(parts), path.parent)
        else:
            files["/".join(parts) + path.suffix] = path
            for depth in range(1, len(parts)):  # the packages around it
                package = sys.modules.get(".".join(parts[:depth]))
                init = getattr(package, "__file__", None)
                if init:
                    files["/".join(parts[:depth]) + "/__init__.py"] = Path(init)
    if not files:
        return b""
    if sum(path.stat().st_size for path in files.values()) > ARCHIVE_BYTES_MAX:
        raise UserError(
            f"the program's local modules take more than {ARCHIVE_BYTES_MAX >> 20} MiB. Install large packages where "
            f"the TaskManagers run instead of keeping them beside the script."
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as stream:
        for name in sorted(files):
            stream.writestr(zipfile.ZipInfo(name), files[name].read_bytes())
    return buffer.getvalue()


def _package_files(prefix: str, directory: Path) -> dict[str, Path]:
    """Python files and small data files of a package."""
    files: dict[str, Path] = {}
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        if not path.is_file() or _SKIPPED_DIRECTORIES.intersection(relative.parts):
            continue
        if path.suffix == ".py" or path.stat().st_size <= DATA_FILE_BYTES_MAX:
            files[f"{prefix}/{relative.as_posix()}"] = path
    return files


def _local_roots() -> list[Path]:
    roots = [Path.cwd()]
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    if main:
        roots.append(Path(main).resolve().parent)
    # A script in the root directory or in /usr does not make the whole machine local.
    return [root for root in roots if len(root.parts) > 2 or root == Path("/app")]


def _foreign_roots() -> list[Path]:
    paths = {Path(path).resolve() for path in sysconfig.get_paths().values() if path}
    paths |= {Path(sys.prefix).resolve() / "lib", Path(sys.base_prefix).resolve() / "lib", Path(sys.prefix).resolve()}
    paths |= {Path(root).resolve() for root in millstream.__path__}
    return [path for path in paths if len(path.parts) > 2]
