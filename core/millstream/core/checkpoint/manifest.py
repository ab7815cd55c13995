"""The manifest of a checkpoint: written last, checked before it is believed.

``MANIFEST`` is ``b"MSCK" | u32 format | u32 length | u32 CRC-32C | CheckpointManifest``, little-endian.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError

from millstream.core.checkpoint.files import crc32c, read_section, write_durably
from millstream.core.errors import DamagedStateError
from millstream.core.keys import KEY_HASH_VERSION
from millstream.proto.v1 import checkpoint_pb2

FORMAT_VERSION: Final = 1
MANIFEST_NAME: Final = "MANIFEST"
_HEAD: Final = struct.Struct("<4sIII")
_MARK: Final = b"MSCK"
_BYTES_MAX: Final = 1 << 30
_STATE_FILE: Final = re.compile(r"[\w-][\w.-]*")


def checkpoint_directory(job_directory: Path, checkpoint_id: int) -> Path:
    """Where the files of one checkpoint of a job are."""
    return job_directory / f"chk-{checkpoint_id}"


def write_manifest(directory: Path, manifest: checkpoint_pb2.CheckpointManifest) -> Path:
    """Make the checkpoint in ``directory`` exist."""
    manifest.format_version = FORMAT_VERSION
    manifest.key_hash_version = KEY_HASH_VERSION
    body = manifest.SerializeToString()
    path = directory / MANIFEST_NAME
    directory.mkdir(parents=True, exist_ok=True)
    write_durably(path, [_HEAD.pack(_MARK, FORMAT_VERSION, len(body), crc32c(body)), body])
    return path


def read_manifest(directory: Path) -> checkpoint_pb2.CheckpointManifest:
    """The manifest of the checkpoint in ``directory``. Raises ``DamagedStateError`` that says what is wrong with it."""
    path = directory if directory.name == MANIFEST_NAME else directory / MANIFEST_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DamagedStateError(
            f"there is no checkpoint in {path.parent}: it has no {MANIFEST_NAME}. Either the path is wrong, or the "
            f"checkpoint was never completed."
        ) from None
    except OSError as error:
        raise DamagedStateError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) < _HEAD.size or data[:4] != _MARK:
        raise DamagedStateError(f"{path} is not the manifest of a checkpoint")
    _, version, length, checksum = _HEAD.unpack_from(data)
    if version != FORMAT_VERSION:
        raise DamagedStateError(
            f"{path} has format {version}; this release reads format {FORMAT_VERSION}. Use the release that wrote it."
        )
    body = data[_HEAD.size :]
    if len(body) != length or length > _BYTES_MAX:
        raise DamagedStateError(f"{path} is torn: it holds {len(body)} bytes of {length}")
    if crc32c(body) != checksum:
        raise DamagedStateError(f"{path} is damaged: its checksum does not fit")
    try:
        manifest = checkpoint_pb2.CheckpointManifest.FromString(body)
    except DecodeError as error:
        raise DamagedStateError(f"{path} is damaged: {error}") from error
    if manifest.key_hash_version != KEY_HASH_VERSION:
        raise DamagedStateError(
            f"{path} distributes keys by hash version {manifest.key_hash_version}, this release by {KEY_HASH_VERSION}"
        )
    for vertex in manifest.vertices:
        for subtask in vertex.subtasks:
            if subtask.path and not _STATE_FILE.fullmatch(subtask.path):
                raise DamagedStateError(f"{path} names the state file {subtask.path!r}, which is not in its directory")
    return manifest


def check_files(directory: Path, manifest: checkpoint_pb2.CheckpointManifest) -> None:
    """Raise ``DamagedStateError`` that names the first state file that is missing or too short."""
    for vertex in manifest.vertices:
        for subtask in vertex.subtasks:
            if not subtask.path:
                continue
            path = directory / subtask.path
            try:
                size = path.stat().st_size
            except OSError as error:
                raise DamagedStateError(
                    f"the state file {path} of {vertex.name!r}, subtask {subtask.index}, is missing: {error.strerror}"
                ) from error
            if size != subtask.length:
                raise DamagedStateError(
                    f"the state file {path} of {vertex.name!r}, subtask {subtask.index}, is torn: it holds {size} "
                    f"bytes of {subtask.length}"
                )


def check_contents(directory: Path, manifest: checkpoint_pb2.CheckpointManifest) -> None:
    """Read all state files. Raises ``DamagedStateError`` that names the first that is not what was written."""
    check_files(directory, manifest)
    for vertex in manifest.vertices:
        for subtask in vertex.subtasks:
            if subtask.path:
                read_section(directory / subtask.path, 0, subtask.length, subtask.crc32c)
