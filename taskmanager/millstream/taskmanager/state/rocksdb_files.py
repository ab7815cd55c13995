"""RocksDB databases in a storage: taken from there, and read."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from rocksdict import Options, Rdict, SstFileWriter

from millstream.core.checkpoint.files import crc32c_of_file
from millstream.core.checkpoint.manifest import unreadable
from millstream.core.checkpoint.storage import location_of
from millstream.core.errors import DamagedStateError
from millstream.core.serde import decode_value
from millstream.core.serde.evolution import ClassFields
from millstream.taskmanager.state.backend import StoredDatabase
from millstream.taskmanager.state.chunks import CHUNK_ROWS, RowChunk, reading_state
from millstream.taskmanager.state.rocksdb_rows import CLASSES_KEY, decode_key, group_prefix, split_key, split_value


def fetch_database(database: StoredDatabase, target: Path) -> None:
    """Put the files of a database into ``target``. Raises ``DamagedStateError`` for one that changed or is gone."""
    target.mkdir(parents=True)
    for name, file in database.files:
        place = location_of(database.storage.location, file.path)
        fetched = target / name
        try:
            database.storage.fetch(file.path, fetched)
            if not name.endswith(".sst"):  # RocksDB changes these, and what was fetched may be linked
                content = fetched.read_bytes()
                fetched.unlink()
                fetched.write_bytes(content)
            damaged = fetched.stat().st_size != file.length or crc32c_of_file(fetched) != file.crc32c
        except OSError as error:
            raise unreadable(f"the state file {place}", error) from error
        if damaged:
            raise DamagedStateError(f"the state file {place} is damaged: its length or checksum does not fit")


def rows_of_database(database: StoredDatabase, groups: range, work_directory: Path) -> Iterator[RowChunk]:
    """The rows of some key groups."""
    with fetched_database(database, work_directory) as opened:
        yield from rows_in(opened, groups)


@contextmanager
def fetched_database(database: StoredDatabase, work_directory: Path) -> Iterator[Rdict]:
    """The database, open inside."""
    work_directory.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix="rocksdb-read-", dir=work_directory))
    try:
        fetch_database(database, directory / "db")
        opened = _opened(directory / "db")
        try:
            yield opened
        finally:
            opened.close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def copy_rows(opened: Rdict, groups: range, target: Path, options: Options) -> int:
    """Write the rows of some key groups, as they are, into a sorted file that a database can take in. How many."""
    writer = SstFileWriter(options)
    writer.open(str(target))
    end, count = _end_of(groups), 0
    for key, value in _raw_rows(opened, groups):
        if key >= end:
            break
        writer[key] = value
        count += 1
    if count:
        writer.finish()
    return count


def rows_in_directory(directory: Path, groups: range) -> Iterator[RowChunk]:
    """The rows of some key groups of a database that nobody else has open."""
    opened = _opened(directory)
    try:
        yield from rows_in(opened, groups)
    finally:
        opened.close()


def _opened(path: Path) -> Rdict:
    """A database that is read once and then thrown away: to tidy it up would be wasted."""
    options = Options(raw_mode=True)
    options.set_disable_auto_compactions(True)
    return Rdict(str(path), options, column_families={"default": options})


def classes_in(opened: Rdict) -> ClassFields:
    """The fields of the record classes among the rows."""
    saved = cast("bytes | None", opened.get(CLASSES_KEY))
    return {} if saved is None else cast("ClassFields", decode_value(saved))


def rows_in(opened: Rdict, groups: range) -> Iterator[RowChunk]:
    """The rows of some key groups of an open database, in chunks of one state each."""
    open_chunks: dict[tuple[str, str, bool, bool], RowChunk] = {}
    end, classes = _end_of(groups), classes_in(opened)
    for key, value in _raw_rows(opened, groups):
        if key >= end:
            break
        name, spaced, encoded = split_key(key)
        with reading_state(name, classes):
            kind, with_ttl, stored = split_value(value)
            decoded = decode_key(encoded, spaced)
        table = (name, kind, with_ttl, spaced)
        chunk = open_chunks.get(table)
        if chunk is None:
            chunk = open_chunks[table] = RowChunk(*table, [], [], [])
        chunk.keys.append(decoded)
        chunk.stored.append(stored)
        if len(chunk.keys) >= CHUNK_ROWS:
            yield open_chunks.pop(table)
    yield from open_chunks.values()


def _raw_rows(opened: Rdict, groups: range) -> Iterator[tuple[bytes, bytes]]:
    """From the first of these key groups on."""
    return cast("Iterator[tuple[bytes, bytes]]", opened.items(from_key=group_prefix(groups.start)))


def _end_of(groups: range) -> bytes:
    return group_prefix(groups.stop) if groups.stop < 1 << 16 else b"\xff\xff\xff"
