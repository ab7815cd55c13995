"""Where checkpoints are kept: a directory of this machine, or any location that fsspec knows (``s3://bucket/path``).

Files are there whole or not at all. Paths are relative to the storage's location, with ``/`` between names; ``..`` may
lead out of it, as a manifest leads to the files of earlier checkpoints.
"""

from __future__ import annotations

import functools
import os
import posixpath
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from millstream.core.checkpoint.files import sync_directory, sync_file, write_durably
from millstream.core.errors import ConfigError

Part = bytes | memoryview
P = ParamSpec("P")
R = TypeVar("R")
GONE: Final = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
"""Errors of a storage that say something of the file. Any other may be over in a moment, so nothing follows from it."""


class Storage(Protocol):
    """All methods block, and raise ``OSError``."""

    location: str

    def write(self, path: str, parts: Iterable[Part]) -> None:
        """Create or replace a file; durable on return."""
        ...

    def create(self, path: str, data: bytes) -> bool:
        """Create a file, durable on return; False, and nothing changed, when there is one already."""
        ...

    def take(self, source: Path, path: str) -> None:
        """Put a finished file of this machine, which nobody changes any more, into the storage; durable on return."""
        ...

    def fetch(self, path: str, target: Path) -> None:
        """The reverse: a file that the caller must not change."""
        ...

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Bytes of a file; fewer than ``length`` at its end."""
        ...

    def size(self, path: str) -> int | None:
        """None when there is no such file."""
        ...

    def list(self, path: str = "") -> list[str]:
        """Names in a directory, sorted; none when there is no such directory."""
        ...

    def delete(self, path: str) -> None:
        """Remove a file; it need not exist."""
        ...

    def delete_tree(self, path: str = "") -> None:
        """Remove a directory and all below; it need not exist."""
        ...


class LocalStorage:
    """A directory that all processes of the cluster see under one path."""

    def __init__(self, root: Path) -> None:
        self.location = str(root)
        self._root = root

    def write(self, path: str, parts: Iterable[Part]) -> None:
        target = self._path(path)
        make_directories(target.parent)
        write_durably(target, parts)

    def create(self, path: str, data: bytes) -> bool:
        target = self._path(path)
        make_directories(target.parent)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        write_durably(draft, [data])
        try:
            os.link(draft, target)
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        sync_directory(target.parent)
        return True

    def take(self, source: Path, path: str) -> None:
        target = self._path(path)
        make_directories(target.parent)
        _link_or_copy(source, target)
        sync_file(target)
        sync_directory(target.parent)

    def fetch(self, path: str, target: Path) -> None:
        _link_or_copy(self._path(path), target)

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        with self._path(path).open("rb") as stream:
            stream.seek(offset)
            return stream.read() if length is None else stream.read(length)

    def size(self, path: str) -> int | None:
        try:
            return self._path(path).stat().st_size
        except FileNotFoundError:
            return None

    def list(self, path: str = "") -> list[str]:
        try:
            return sorted(entry.name for entry in os.scandir(self._path(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def delete(self, path: str) -> None:
        self._path(path).unlink(missing_ok=True)

    def delete_tree(self, path: str = "") -> None:
        try:
            shutil.rmtree(self._path(path))
        except FileNotFoundError:
            return

    def _path(self, path: str) -> Path:
        return Path(os.path.normpath(self._root / path))


def _as_os_errors(method: Callable[P, R]) -> Callable[P, R]:
    """Libraries of stores raise errors of their own; here they are all ``OSError``."""

    @functools.wraps(method)
    def guarded(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return method(*arguments, **named)
        except OSError:
            raise
        except Exception as error:
            raise OSError(f"{type(error).__name__}: {error}") from error

    return guarded


class RemoteStorage:
    """A location behind fsspec: an object store makes a file visible whole, when its last byte has arrived."""

    def __init__(self, location: str, settings: Mapping[str, Any]) -> None:
        self.location = location
        self._filesystem, self._root = _connect(location, settings)

    @_as_os_errors
    def write(self, path: str, parts: Iterable[Part]) -> None:
        self._put(self._path(path), b"".join(parts))

    @_as_os_errors
    def create(self, path: str, data: bytes) -> bool:
        target = self._path(path)
        try:
            self._filesystem.pipe_file(target, data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            if self._exists(target):  # the store refused the condition
                return False
            raise error
        return True

    @_as_os_errors
    def take(self, source: Path, path: str) -> None:
        self._filesystem.put_file(str(source), self._path(path))

    @_as_os_errors
    def fetch(self, path: str, target: Path) -> None:
        self._filesystem.get_file(self._path(path), str(target))

    @_as_os_errors
    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        end = None if length is None else offset + length
        if length == 0:
            return b""
        data: bytes = self._filesystem.cat_file(self._path(path), start=offset or None, end=end)
        return data

    @_as_os_errors
    def size(self, path: str) -> int | None:
        try:
            self._filesystem.invalidate_cache()
            return int(self._filesystem.info(self._path(path))["size"])
        except FileNotFoundError:
            return None

    @_as_os_errors
    def list(self, path: str = "") -> list[str]:
        try:
            names = self._filesystem.ls(self._path(path), detail=False, refresh=True)
        except FileNotFoundError:
            return []
        return sorted({posixpath.basename(name.rstrip("/")) for name in names} - {""})

    @_as_os_errors
    def delete(self, path: str) -> None:
        try:
            self._filesystem.rm_file(self._path(path))
        except FileNotFoundError:
            return

    @_as_os_errors
    def delete_tree(self, path: str = "") -> None:
        try:
            self._filesystem.invalidate_cache()
            self._filesystem.rm(self._path(path), recursive=True)
        except FileNotFoundError:
            return

    def _put(self, target: str, data: bytes) -> None:
        self._filesystem.pipe_file(target, data)

    def _exists(self, target: str) -> bool:
        self._filesystem.invalidate_cache()
        return bool(self._filesystem.exists(target))

    def _path(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self._root, path))


S3_SETTINGS: Final = {
    "s3.endpoint": "endpoint_url",
    "s3.access-key": "key",
    "s3.secret-key": "secret",
}


def is_remote(location: str) -> bool:
    """Whether a location is behind fsspec."""
    return "://" in location and not location.startswith("file://")


def open_storage(location: str, settings: Mapping[str, Any]) -> Storage:
    """The storage at a path or URL; ``settings`` are the cluster's, of which those of the store count.

    Raises ``ConfigError`` for what is no location, and when the library for it is missing.
    """
    if not location or "\0" in location:
        raise ConfigError(f"{location!r:.200} is no location for checkpoints: give a path, or a URL")
    if not is_remote(location):
        return LocalStorage(Path(location.removeprefix("file://")))
    return RemoteStorage(location, settings)


def absolute_location(location: str | Path) -> str:
    """As another process means it, whose directory is another: a URL as it is, a path from the root on."""
    text = str(location)
    return text if "://" in text else str(Path(text).absolute())


def location_of(parent: str, *names: str) -> str:
    """The location ``names`` below ``parent``."""
    return "/".join([parent.rstrip("/"), *names])


def make_directories(path: Path) -> None:
    """Create a directory and its parents; their names are durable on return."""
    missing = []
    while not path.is_dir():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        sync_directory(directory.parent)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _connect(location: str, settings: Mapping[str, Any]) -> tuple[Any, str]:
    scheme = location.split("://", 1)[0]
    options: dict[str, Any] = {}
    if scheme in ("s3", "s3a"):
        client = {name: settings[key] for key, name in S3_SETTINGS.items() if settings.get(key)}
        if "endpoint_url" in client:
            options["client_kwargs"] = {"endpoint_url": client.pop("endpoint_url")}
        options.update(client)
    try:
        import fsspec  # type: ignore[import-untyped]

        filesystem, root = fsspec.core.url_to_fs(location, **options)
    except ImportError as error:
        extra = " pip install 'millstream[s3]' brings it." if scheme in ("s3", "s3a") else ""
        raise ConfigError(f"no library for {scheme}:// is installed: {error}.{extra}") from error
    except ValueError as error:
        raise ConfigError(f"{location} is no location for checkpoints: {error}") from error
    return filesystem, root
