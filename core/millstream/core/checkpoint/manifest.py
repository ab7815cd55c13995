"""The manifest of a checkpoint: written last, checked before it is believed.

``MANIFEST`` is a ``CheckpointManifest`` behind the head of ``framing``, with the mark ``MSCK``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from typing import Final

from google.protobuf.message import DecodeError

from millstream.core.checkpoint.files import crc32c
from millstream.core.checkpoint.framing import Framing
from millstream.core.checkpoint.storage import GONE, Storage, location_of
from millstream.core.errors import CheckpointError, DamagedStateError
from millstream.core.keys import KEY_HASH_VERSION
from millstream.proto.v1 import checkpoint_pb2

FORMAT_VERSION: Final = 2
MANIFEST_NAME: Final = "MANIFEST"
SHARED: Final = "shared"
"""The directory of a job for files that several checkpoints refer to."""

_FRAMING: Final = Framing(b"MSCK", FORMAT_VERSION, "the manifest of a checkpoint")
_CHECKPOINT: Final = re.compile(r"chk-(\d+)-g(\d+)")
_STATE_FILE: Final = re.compile(rf"(\.\./{SHARED}/)?[\w-][\w.=-]*(/[\w-][\w.=-]*)?")


def checkpoint_name(checkpoint_id: int, generation: int) -> str:
    """The directory of a checkpoint as one generation of the job's leader wrote it, below that of the job."""
    return f"chk-{checkpoint_id}-g{generation}"


def write_manifest(storage: Storage, manifest: checkpoint_pb2.CheckpointManifest, directory: str = "") -> None:
    """Make the checkpoint in ``directory`` exist. ``OSError`` when the storage refuses."""
    manifest.format_version = FORMAT_VERSION
    manifest.key_hash_version = KEY_HASH_VERSION
    body = manifest.SerializeToString()
    storage.write(_in(directory, MANIFEST_NAME), _FRAMING.seal(body))


def read_manifest(storage: Storage, directory: str = "") -> checkpoint_pb2.CheckpointManifest:
    """The manifest of the checkpoint in ``directory``.

    Raises ``DamagedStateError`` that says what is wrong with it, ``CheckpointError`` when the storage does not answer.
    """
    place = location_of(storage.location, directory) if directory else storage.location
    path = location_of(place, MANIFEST_NAME)
    try:
        data = storage.read(_in(directory, MANIFEST_NAME))
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedStateError(
            f"there is no checkpoint in {place}: it has no {MANIFEST_NAME}. Either the path is wrong, or the "
            f"checkpoint was never completed."
        ) from None
    except OSError as error:
        raise unreadable(path, error) from error
    manifest = parse_manifest(data, path)
    own = _CHECKPOINT.fullmatch(posixpath.basename(place.rstrip("/")))
    if own is not None and (int(own[1]), int(own[2])) != (manifest.checkpoint_id, manifest.generation):
        other = checkpoint_name(manifest.checkpoint_id, manifest.generation)
        raise DamagedStateError(f"{path} is that of another checkpoint, {other}")
    for vertex in manifest.vertices:
        for subtask in vertex.subtasks:
            for file in subtask.files:
                if not _STATE_FILE.fullmatch(file.path):
                    raise DamagedStateError(f"{path} names the state file {file.path!r}, which is not in its directory")
    return manifest


def parse_manifest(data: bytes, path: str) -> checkpoint_pb2.CheckpointManifest:
    """The manifest of its bytes; ``path`` is for messages. Raises ``DamagedStateError``."""
    body = _FRAMING.open(data, path)
    try:
        manifest = checkpoint_pb2.CheckpointManifest.FromString(body)
    except DecodeError as error:
        raise DamagedStateError(f"{path} is damaged: {error}") from error
    if manifest.key_hash_version != KEY_HASH_VERSION:
        raise DamagedStateError(
            f"{path} distributes keys by hash version {manifest.key_hash_version}, this release by {KEY_HASH_VERSION}"
        )
    return manifest


def state_files(manifest: checkpoint_pb2.CheckpointManifest) -> Iterator[tuple[str, checkpoint_pb2.StateFile]]:
    """``(whose it is, file)`` of all files that a manifest refers to; the owner's name is for messages."""
    for vertex in manifest.vertices:
        for subtask in vertex.subtasks:
            for file in subtask.files:
                yield f"{vertex.name!r}, subtask {subtask.index}", file


def check_files(storage: Storage, directory: str, manifest: checkpoint_pb2.CheckpointManifest) -> None:
    """Raise ``DamagedStateError`` that names the first state file that is missing or too short."""
    for owner, file in state_files(manifest):
        path = _in(directory, file.path)
        told = f"the state file {location_of(storage.location, path)} of {owner}"
        try:
            size = storage.size(path)
        except OSError as error:
            raise unreadable(f"{told},", error) from error
        if size is None:
            raise DamagedStateError(f"{told}, is missing")
        if size != file.length:
            raise DamagedStateError(f"{told}, is torn: it holds {size} bytes of {file.length}")


def unreadable(what: str, error: OSError) -> CheckpointError:
    """What it means that a storage does not give a file: gone is gone, but another error may be over in a moment."""
    kind = DamagedStateError if isinstance(error, GONE) else CheckpointError
    return kind(f"{what} cannot be read: {error.strerror or error}")


def check_contents(storage: Storage, directory: str, manifest: checkpoint_pb2.CheckpointManifest) -> None:
    """Read all state files. Raises ``DamagedStateError`` that names the first that is not what was written."""
    check_files(storage, directory, manifest)
    for _, file in state_files(manifest):
        read_checked(storage, _in(directory, file.path), 0, file.length, file.crc32c)


def read_checked(storage: Storage, path: str, offset: int, length: int, checksum: int) -> bytes:
    """Part of a state file. Raises ``DamagedStateError`` that names the file when it is not what was written."""
    data = read_exactly(storage, path, offset, length)
    checked(memoryview(data), storage, path, offset, checksum)
    return data


def read_exactly(storage: Storage, path: str, offset: int, length: int) -> bytes:
    """The same without a checksum."""
    place = location_of(storage.location, path)
    try:
        data = storage.read(path, offset, length)
    except OSError as error:
        raise unreadable(f"the state file {place}", error) from error
    if len(data) != length:
        raise DamagedStateError(f"the state file {place} ends at byte {offset + len(data)}, not {offset + length}")
    return data


def checked(data: memoryview, storage: Storage, path: str, offset: int, checksum: int) -> memoryview:
    """``data``, read at ``offset``, if its checksum fits; else ``DamagedStateError``."""
    if crc32c(data) != checksum:
        place = location_of(storage.location, path)
        raise DamagedStateError(f"the state file {place} is damaged between bytes {offset} and {offset + len(data)}")
    return data


def _in(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
