"""Keyed state in RocksDB, with the rows in use in dicts: a write-behind cache.

States work on the dicts of ``HeapStateBackend``. Before a batch, the rows of its keys that are not there are read from
the database in one call; what changed is written back in batches, when a row has to leave the cache or a checkpoint is
taken. The cache has two generations: keys of recent batches, and those before them, which leave first.

A checkpoint collects the unwritten rows as the heap does, and then, beside the task, writes them, and links the files
of the database into a directory: files never change, so only those that the last complete checkpoint did not have are
copied to the storage. Until the links are made nothing else is written; the cache grows a little instead.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

from rocksdict import (
    BlockBasedIndexType,
    BlockBasedOptions,
    Cache,
    Checkpoint,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from millstream.core.api.state import StateDescriptor
from millstream.core.elements.batch import ObjectBatch
from millstream.core.errors import ExternalError, RecordTypeError
from millstream.core.keys import KeyGroupCache
from millstream.core.serde import encode_value
from millstream.core.serde.evolution import ClassFields, have_changed, noting_classes
from millstream.taskmanager.state.backend import BackendSettings, KeyedCapture, RestoredKeyed, StoredDatabase
from millstream.taskmanager.state.capture import Part, RowCapture
from millstream.taskmanager.state.chunks import Chunk, EncodedChunk, RowChunk, as_rows, reading_state, unsavable
from millstream.taskmanager.state.heap import HeapStateBackend
from millstream.taskmanager.state.key_walk import KeyWalk
from millstream.taskmanager.state.rocksdb_capture import DatabaseCapture, UploadedFiles
from millstream.taskmanager.state.rocksdb_files import (
    classes_in,
    copy_rows,
    fetch_database,
    fetched_database,
    rows_in,
)
from millstream.taskmanager.state.rocksdb_rows import CLASSES_KEY, RowCodec, group_prefix, split_value
from millstream.taskmanager.state.tables import StateTable, check_kind
from millstream.taskmanager.state.ttl import Ttl

_ROW_BYTES_FIRST_GUESS: Final = 256
_PYTHON_OVERHEAD: Final = 3
"""A row in dicts takes about this many times its encoded size."""
_CACHE_ROWS_MIN: Final = 1024


class RocksMemory:
    """The memory that all databases and caches of a slot share; ``size`` in bytes."""

    def __init__(self, size: int) -> None:
        self.row_cache_bytes = size // 2
        self.block_cache = Cache(size - self.row_cache_bytes)
        self.write_buffers = WriteBufferManager.new_write_buffer_manager_with_cache(size // 4, False, self.block_cache)
        self.users = 0
        """Caches that have a share of ``row_cache_bytes``."""

    @property
    def share_bytes(self) -> int:
        """Of rows in memory, for one of them."""
        return self.row_cache_bytes // max(1, self.users)

    def options(self) -> Options:
        """Of a database that shares the memory."""
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_manager(self.write_buffers)
        options.set_max_background_jobs(2)
        options.set_paranoid_checks(True)
        options.set_keep_log_file_num(1)
        options.set_level_compaction_dynamic_level_bytes(True)
        options.set_compression_type(DBCompressionType.lz4())
        table = BlockBasedOptions()
        table.set_block_cache(self.block_cache)
        table.set_bloom_filter(10, False)
        table.set_cache_index_and_filter_blocks(True)
        # A filter of a whole file is larger than a shard of a small cache, and would be read for every key.
        table.set_partition_filters(True)
        table.set_index_type(BlockBasedIndexType.two_level_index_search())
        table.set_pin_top_level_index_and_filter(True)
        options.set_block_based_table_factory(table)
        return options


class RocksStateBackend(HeapStateBackend):
    """Implements ``KeyedStateBackend``."""

    in_memory = False

    def __init__(self, settings: BackendSettings, memory: RocksMemory) -> None:
        super().__init__(settings, tracks_changes=False)
        self._memory = memory
        memory.users += 1
        settings.work_directory.mkdir(parents=True, exist_ok=True)
        self._directory = Path(tempfile.mkdtemp(prefix="rocksdb-", dir=settings.work_directory))
        self._write_options = WriteOptions()
        # What is not in a checkpoint is lost with the slot, and read again. The library's stub calls it a method.
        self._write_options.disable_wal = True  # type: ignore[method-assign, assignment]
        self._groups_cache = KeyGroupCache(settings.max_parallelism)
        self._codecs: dict[tuple[str, bool], RowCodec] = {}
        self._classes: ClassFields = {}
        self._young: set[Any] = set()
        self._old: set[Any] = set()
        self._unwritten: set[Any] = set()
        self._known_spaced: dict[str, set[Any]] = {}
        self._unwritten_spaced: dict[str, set[Any]] = {}
        self._rows_max = max(_CACHE_ROWS_MIN, memory.row_cache_bytes // (_ROW_BYTES_FIRST_GUESS * _PYTHON_OVERHEAD))
        self._active: DatabaseCapture | None = None
        self._uploads = UploadedFiles()
        self._db: Rdict | None = None

    @property
    def db(self) -> Rdict:
        if self._db is None:
            self._db = self._open(self._directory / "db")
        return self._db

    # -- access -------------------------------------------------------------------------------------------------

    def touch(self, keys: Sequence[Any]) -> None:
        wanted = set(keys)
        missing = wanted - self._young
        if missing:
            if len(self._young) + len(missing) > self._rows_max // 2:
                self._age()
                missing = wanted - self._young
            again = missing & self._old
            self._old -= again
            missing -= again
            if missing:
                self._load(list(missing))
            self._young |= again
            self._young |= missing
        self._unwritten |= wanted
        if self._capture is not None:
            self._capture.copy(list(keys))

    def touch_spaced(self, table: StateTable, key: tuple[Any, Any]) -> None:
        known = self._known_spaced.setdefault(table.name, set())
        if key not in known:
            if len(known) > self._rows_max // 2 and (self._active is None or self._active.is_written):
                self._drop_spaced(table, known)
            self._read(table, True, [key])
            known.add(key)
        self._unwritten_spaced.setdefault(table.name, set()).add(key)
        if self._capture is not None:
            self._capture.copy_spaced(table.name, key)

    def keys_of(self, descriptor: StateDescriptor) -> list[Any]:
        self.state(descriptor)
        cached = self._young | self._old
        stored = rows_in(self.db, self._settings.groups)
        keys = {key for chunk in stored if chunk.name == descriptor.name and not chunk.spaced for key in chunk.keys}
        return [*(keys - cached), *self._tables[descriptor.name].plain]

    def entries(self) -> int:
        return int(self.db.property_int_value("rocksdb.estimate-num-keys") or 0) + len(self._unwritten)

    def estimated_bytes(self) -> int:
        return int(self.db.property_int_value("rocksdb.estimate-live-data-size") or 0) + super().estimated_bytes()

    # -- the cache ----------------------------------------------------------------------------------------------

    def _load(self, keys: list[Any]) -> None:
        for table in self._tables.values():
            self._read(table, False, keys)

    def _read(self, table: StateTable, spaced: bool, keys: list[Any]) -> None:
        rows = table.spaced if spaced else table.plain
        values = cast("list[bytes | None]", self.db.get(cast("list[Any]", self._codec(table, spaced).keys(keys))))
        with reading_state(table.name, self._classes):
            found = [None if value is None else split_value(value) for value in values]
        for key, value in zip(keys, found, strict=True):
            if value is None:
                continue
            kind, with_ttl, saved = value
            check_kind(table.name, kind, table.kind)
            stored = table.unpack(saved, with_ttl)
            if table.ttl is None or not table.ttl.is_gone(table.kind, stored):
                rows[key] = stored

    def _age(self) -> None:
        """The old generation leaves, the young one becomes old."""
        active = self._active
        if active is not None and not active.is_written:
            if len(self._young) < self._rows_max:
                return  # its rows are not in the database yet
            active.complete()
        leaving, self._old, self._young = self._old, self._young, set()
        unwritten = leaving & self._unwritten
        if unwritten:
            self._unwritten -= unwritten
            self._write([Part(table, False, KeyWalk([unwritten])) for table in self._tables.values()])
        for table in self._tables.values():
            for key in leaving:
                table.plain.pop(key, None)
        self._measure()

    def _drop_spaced(self, table: StateTable, known: set[Any]) -> None:
        unwritten = self._unwritten_spaced.pop(table.name, set())
        if unwritten:
            self._write([Part(table, True, KeyWalk([unwritten]))])
        table.spaced.clear()
        known.clear()

    def _measure(self) -> None:
        """How many rows the share of memory holds."""
        size = sum(
            ObjectBatch(sample).estimated_bytes() // len(sample)
            for table in self._tables.values()
            if (sample := list(islice(table.plain.items(), 16)))
        )
        if size:
            self._rows_max = max(_CACHE_ROWS_MIN, self._memory.share_bytes // (size * _PYTHON_OVERHEAD))

    def _write(self, parts: list[Part]) -> None:
        batch = WriteBatch(raw_mode=True)
        rows = RowCapture(parts, lambda chunk: self._put(batch, chunk))
        while rows.advance():
            pass
        self.db.write(batch, self._write_options)

    def _put(self, batch: WriteBatch, chunk: RowChunk) -> None:
        codec = self._codecs[(chunk.name, chunk.spaced)]
        put, value = batch.put, codec.value
        try:
            with noting_classes() as classes:
                for key, stored in zip(codec.keys(chunk.keys), chunk.stored, strict=True):
                    put(key, value(stored))
        except RecordTypeError as error:
            raise unsavable(chunk, error) from error
        if not classes.items() <= self._classes.items():
            self._classes |= classes
            put(CLASSES_KEY, encode_value(self._classes))
        for key in codec.keys(chunk.gone):
            batch.delete(key)

    def _codec(self, table: StateTable | RowChunk, spaced: bool) -> RowCodec:
        found = self._codecs.get((table.name, spaced))
        if found is None:
            made = RowCodec(table.name, table.kind, table.with_ttl, spaced, self._groups_cache)
            found = self._codecs[(table.name, spaced)] = made
        return found

    def _declare(self, name: str, kind: str, ttl: Ttl | None) -> StateTable:
        is_new = name not in self._tables
        table = super()._declare(name, kind, ttl)
        if is_new:
            for spaced in (False, True):
                self._codecs.pop((name, spaced), None)  # that of restored rows, which had other times to live
                self._codec(table, spaced)
            if self._young or self._old:
                self._read(table, False, list(self._young | self._old))
        return table

    # -- checkpoints --------------------------------------------------------------------------------------------

    def capture(self, checkpoint_id: int, full: bool) -> KeyedCapture:
        if self._active is not None:
            self._active.complete()
        unwritten, self._unwritten = self._unwritten, set()
        spaced, self._unwritten_spaced = self._unwritten_spaced, {}
        parts = [Part(table, False, KeyWalk([unwritten]), wanted=unwritten) for table in self._tables.values()]
        parts += [Part(self._tables[name], True, KeyWalk([keys]), wanted=keys) for name, keys in spaced.items()]
        batches: deque[WriteBatch] = deque()
        """One a slice: the interpreter's lock is held while a batch is written, and the task waits for it."""

        def take(chunk: RowChunk) -> None:
            batch = WriteBatch(raw_mode=True)
            self._put(batch, chunk)
            batches.append(batch)

        rows = self._capture = RowCapture(parts, take)

        def write(directory: Path) -> None:
            while batches:
                self.db.write(batches.popleft(), self._write_options)
            self.db.flush()
            Checkpoint(self.db).create_checkpoint(str(directory))

        def ended(capture: DatabaseCapture) -> None:
            if self._active is capture:
                self._active = None

        directory = self._directory / f"chk-{checkpoint_id}"
        groups = self._settings.groups
        active = self._active = DatabaseCapture(
            checkpoint_id, full, groups, rows, write, directory, self._uploads, self._taken, ended
        )
        return active

    def _taken(self) -> None:
        self._capture = None

    def confirm(self, checkpoint_id: int) -> None:
        self._uploads.confirm(checkpoint_id)

    def restore(self, restored: RestoredKeyed) -> None:
        largest_first = sorted(restored.databases, key=lambda held: -sum(file.length for _, file in held.files))
        for number, database in enumerate(largest_first):
            if number == 0:
                self._adopt(database)
            else:
                self._join(database)
        self._insert(restored.chunks)
        if self._db is not None:
            self._db.set_options({"disable_auto_compactions": "false"})

    def _adopt(self, database: StoredDatabase) -> None:
        """Go on with a database that holds rows of this subtask, and perhaps those of others."""
        target = self._directory / "db"
        fetch_database(database, target)
        # Removed ranges are worth a compaction, which must not take the processor while the job waits for its state.
        self._db = self._open(target, compacts=False)
        groups = self._settings.groups
        saved = classes_in(self._db)
        if have_changed(saved):
            self._insert(rows_in(self._db, groups))  # an iterator sees what was there when it began
            return
        self._classes = saved
        if database.groups == groups:
            if database.own:
                self._uploads.start_from(database.files)
            return
        self._db.delete_range(group_prefix(0), group_prefix(groups.start))
        self._db.delete_range(group_prefix(groups.stop), b"\xff\xff\xff")

    def _join(self, database: StoredDatabase) -> None:
        """Add the subtask's rows of another database, as one sorted file if their bytes can stay as they are."""
        held, mine = database.groups, self._settings.groups
        groups = range(max(held.start, mine.start), min(held.stop, mine.stop))
        with fetched_database(database, self._settings.work_directory) as opened:
            saved = classes_in(opened)
            if have_changed(saved) or have_changed(self._classes):
                self._insert(rows_in(opened, groups))
                return
            joined = self._directory / "joined.sst"
            if copy_rows(opened, groups, joined, self._memory.options()):
                self.db.ingest_external_file([str(joined)])
                joined.unlink()
        if not saved.items() <= self._classes.items():
            self._classes |= saved
            self.db.put(CLASSES_KEY, encode_value(self._classes), self._write_options)

    def _insert(self, chunks: Iterable[Chunk | EncodedChunk]) -> None:
        for chunk in map(as_rows, chunks):
            self._codec(chunk, chunk.spaced)
            batch = WriteBatch(raw_mode=True)
            self._put(batch, chunk)
            self.db.write(batch, self._write_options)

    def close(self) -> None:
        super().close()
        self._memory.users -= 1
        if self._db is not None:
            self._db.close()
            self._db = None
        shutil.rmtree(self._directory, ignore_errors=True)

    def _open(self, path: Path, *, compacts: bool = True) -> Rdict:
        options = self._memory.options()
        options.set_disable_auto_compactions(not compacts)
        try:  # a database that exists would take the settings of its columns, the cache among them, from its own file
            return Rdict(str(path), options, column_families={"default": options})
        except Exception as error:
            raise ExternalError(f"RocksDB cannot open its database in {path}: {error}") from error
