"""Keyed state in dicts.

An access is one or two dict operations; a time to live adds an ordered dict (``ttl.py``). Values are held by reference:
changing a value in place changes the state. Which rows changed is noted by key, once a batch: a key that was touched
counts as changed. So a checkpoint writes the rows of those keys only, a *run* that overrides the runs before it
(``runs.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Any, Final, cast

from millstream.core.api.state import State, StateDescriptor
from millstream.core.elements.batch import ObjectBatch
from millstream.core.keys import KeyGroupCache
from millstream.taskmanager.state import expiring_states, plain_states
from millstream.taskmanager.state.backend import BackendSettings, KeyedCapture, RestoredKeyed
from millstream.taskmanager.state.capture import CapturedPart, Part, RowCapture
from millstream.taskmanager.state.changes import ChangedKeys
from millstream.taskmanager.state.chunks import RowChunk, divided, encode_chunk, load_chunks
from millstream.taskmanager.state.key_walk import KeyWalk
from millstream.taskmanager.state.plain_states import KeyOwner
from millstream.taskmanager.state.resting_rows import RestingStates
from millstream.taskmanager.state.runs import Extent, RunChains, RunsCapture
from millstream.taskmanager.state.tables import SavedTable, StateTable, check_kind, kind_of
from millstream.taskmanager.state.ttl import Ttl

_SAMPLE_ROWS: Final = 16
_PARTS_OF_CHUNK: Final = 8
_FORGOTTEN_LISTS: Final = 8
_DIVIDED_ROWS: Final = 256
"""Smaller chunks are not divided by key group."""


class HeapStateBackend:
    """Implements ``KeyedStateBackend``."""

    in_memory = True
    """Whether all rows are in memory, so that an operator may as well keep them in arrays of its own."""

    def __init__(self, settings: BackendSettings, *, tracks_changes: bool = True) -> None:
        """``tracks_changes``: whether checkpoints are taken that may be incremental."""
        self.current_key: Any = None
        self.runs = RunChains(settings.groups)
        self._settings = settings
        self._tracks = tracks_changes
        self._tables: dict[str, StateTable] = {}
        self._saved: dict[str, SavedTable] = {}  # restored, not declared yet
        self._resting = RestingStates()
        self._states: dict[str, State] = {}  # those without namespace
        self._changed = ChangedKeys()
        self._changed_spaced: dict[str, ChangedKeys] = {}  # by state, of (namespace, key)
        self._bases: dict[tuple[str, bool], list[list[Any]]] = {}
        """By state and whether spaced, the keys of the last full run, or of what was restored: all others are among the
        changed ones. So a full run finds its keys without listing the table while the task stands still.
        """
        self._walked: dict[int, tuple[Extent, list[Part]]] = {}
        """Of snapshots that may be confirmed."""
        self._forgotten: list[list[Any]] = []
        """Lists of keys that nobody needs any more, freed some with each batch."""
        self._capture: RowCapture | None = None
        self.outside: Callable[[int, bool], list[CapturedPart]] | None = None
        """Rows that an operator keeps in a form of its own: ``(checkpoint, whether all)`` to what is to be saved."""

    # -- access -------------------------------------------------------------------------------------------------

    def touch(self, keys: Sequence[Any]) -> None:
        if self._tracks:
            self._changed.keys.update(keys)
        if self._capture is not None:
            self._capture.copy(keys)
        if self._resting:
            self._wake(keys)
        if self._forgotten:
            del self._forgotten[-_FORGOTTEN_LISTS:]

    def focus(self, key: Any) -> None:
        self.touch((key,))
        self.current_key = key

    def table(self, name: str, *, whole: bool = False) -> dict[Any, Any]:
        if whole:
            self._wake_all(name)
        return self._declare(name, "value", None).plain

    def state(self, descriptor: StateDescriptor, namespace: Any = None) -> State:
        kind = kind_of(descriptor)
        ttl = None if descriptor.ttl is None else Ttl(descriptor.ttl, self._settings.clock)
        table = self._declare(descriptor.name, kind, ttl)
        if namespace is not None:
            return _handle(descriptor, kind, _Namespaced(self, namespace, table), table, table.spaced)
        state = self._states.get(descriptor.name)
        if state is None:
            state = self._states[descriptor.name] = _handle(descriptor, kind, self, table, table.plain)
        return state

    def keys_of(self, descriptor: StateDescriptor) -> list[Any]:
        self.state(descriptor)
        self._wake_all(descriptor.name)
        return list(self._tables[descriptor.name].plain)

    def touch_spaced(self, table: StateTable, key: tuple[Any, Any]) -> None:
        """The row of one (namespace, key) is about to be read and changed."""
        if self._tracks:
            changed = self._changed_spaced.get(table.name)
            if changed is None:
                changed = self._changed_spaced[table.name] = ChangedKeys()
            changed.keys.add(key)
        if self._capture is not None:
            self._capture.copy_spaced(table.name, key)

    # -- size ---------------------------------------------------------------------------------------------------

    def entries(self) -> int:
        return sum(map(len, self._all_tables().values())) + len(self._resting)

    def estimated_bytes(self) -> int:
        total = self._resting.size_bytes
        for table in self._all_tables().values():
            for rows in (table.plain, table.spaced):
                sample = ObjectBatch(list(islice(rows.items(), _SAMPLE_ROWS)))
                if sample.values:
                    total += sample.estimated_bytes() * len(rows) // len(sample.values)
        return total

    # -- checkpoints --------------------------------------------------------------------------------------------

    def capture(self, checkpoint_id: int, full: bool) -> KeyedCapture:
        self._finish_capture()
        whole = full or not self._tracks
        extent = Extent.FULL if whole else self.runs.next_extent(can_merge=self.outside is None)
        encoded: list[tuple[range, bytes]] = []
        groups, cache = self._settings.groups, KeyGroupCache(self._settings.max_parallelism)

        def take(chunk: RowChunk) -> None:
            if len(groups) > 1 and len(chunk.keys) >= _DIVIDED_ROWS:  # another parallelism need not read it all
                parts = divided(chunk, groups, _PARTS_OF_CHUNK, cache)
                encoded.extend((part, encode_chunk(rows)) for part, rows in parts)
            elif chunk.keys or chunk.gone:
                encoded.append((groups, encode_chunk(chunk)))

        rows = self._capture = RowCapture(self._parts(checkpoint_id, extent), take)
        return RunsCapture(self.runs, checkpoint_id, extent, rows, encoded, lambda: self._captured(rows))

    def confirm(self, checkpoint_id: int) -> None:
        if not self.runs.confirm(checkpoint_id):
            return
        extent, parts = self._walked.get(checkpoint_id, (Extent.CHANGES, []))
        self._walked = {walked: parts for walked, parts in self._walked.items() if walked > checkpoint_id}
        visited: dict[tuple[str, bool], list[list[Any]]] = {}
        for part in parts:
            visited.setdefault((part.table_name, part.spaced), []).extend(part.visited)
        if extent is Extent.FULL:
            self._forgotten += chain.from_iterable(self._bases.values())
            self._bases, visited, parts = visited, {}, []
        anew = extent is not Extent.CHANGES
        held = next((part.visited for part in parts if not part.spaced), [])  # the same for all states
        self._forgotten += self._changed.confirm(checkpoint_id, held, anew=anew)
        for name, changed in self._changed_spaced.items():
            self._forgotten += changed.confirm(checkpoint_id, visited.get((name, True), []), anew=anew)

    def restore(self, restored: RestoredKeyed) -> None:
        settings = self._settings
        load_chunks(self._resting.sift(restored.chunks), self._saved)
        for name, kind in self._resting.kinds().items():
            self._saved.setdefault(name, SavedTable(name, kind, False))
        for database in restored.databases:
            from millstream.taskmanager.state.rocksdb_files import rows_of_database

            load_chunks(rows_of_database(database, settings.groups, settings.work_directory), self._saved)
        if restored.chain is not None:
            self.runs.start_from(restored.chain)
        if self._tracks:
            for name, table in self._saved.items():
                self._bases[(name, False)] = [list(table.plain)]
                self._bases[(name, True)] = [list(table.spaced)]

    def close(self) -> None:
        self._capture = None

    # -- inner --------------------------------------------------------------------------------------------------

    def _parts(self, checkpoint_id: int, extent: Extent) -> list[CapturedPart]:
        plain = self._changed.take(checkpoint_id)
        spaced = {name: keys.take(checkpoint_id) for name, keys in self._changed_spaced.items()}
        parts: list[Part] = []
        for name, table in self._all_tables().items():
            if extent is Extent.FULL:
                parts += [self._whole(table, is_spaced) for is_spaced in (False, True) if table.rows(is_spaced)]
            elif isinstance(table, StateTable):  # nobody can have changed the others
                parts.append(self._changes(table, extent, self._changed, plain, False))
                if name in spaced:
                    parts.append(self._changes(table, extent, self._changed_spaced[name], spaced[name], True))
        if self._tracks:
            self._walked[checkpoint_id] = (extent, parts)
        resting = self._resting.parts() if extent is Extent.FULL else []
        outside = [] if self.outside is None else self.outside(checkpoint_id, extent is Extent.FULL)
        return [*outside, *resting, *parts]

    def _whole(self, table: StateTable | SavedTable, spaced: bool) -> Part:
        if not self._tracks:
            return Part(table, spaced, KeyWalk([list(table.rows(spaced))]), whole=True)
        changed = self._changed_spaced.get(table.name) if spaced else self._changed
        lists = [] if changed is None else changed.since_full()
        return Part(table, spaced, KeyWalk(lists, self._bases.get((table.name, spaced), [])), whole=True)

    @staticmethod
    def _changes(table: StateTable, extent: Extent, changed: ChangedKeys, taken: list[set[Any]], spaced: bool) -> Part:
        if extent is Extent.MERGED:
            return Part(table, spaced, KeyWalk(changed.since_full()))
        return Part(table, spaced, KeyWalk(taken), wanted=taken[0] if len(taken) == 1 else None)

    def _wake(self, keys: Sequence[Any]) -> None:
        """Rows of these keys that rest move to their tables."""
        tables = self._all_tables()
        for name in self._resting.names():
            rows = tables[name].plain
            rows.update(zip(*self._resting.wake(name, [key for key in keys if key not in rows]), strict=True))

    def _wake_all(self, name: str) -> None:
        """The same of all rows of a state. Nobody has touched their keys: they are not among the changed ones."""
        keys, stored = self._resting.wake_all(name)
        if not keys:
            return
        table = self._all_tables()[name]
        table.plain.update(zip(keys, stored, strict=True))
        if self._tracks:
            self._bases.setdefault((name, False), []).append(keys)
            for extent, parts in self._walked.values():
                if extent is Extent.FULL:  # it has them from where they rested; they are of the next base
                    parts.append(Part(table, False, KeyWalk([]), whole=True, visited=[keys]))

    def _captured(self, rows: RowCapture) -> None:
        if self._capture is rows:
            self._capture = None

    def _finish_capture(self) -> None:
        """Two snapshots at a time are one too many: the rows of the first are taken now."""
        while self._capture is not None and self._capture.advance():
            pass
        self._capture = None

    def _all_tables(self) -> dict[str, StateTable | SavedTable]:
        return {**self._saved, **self._tables}

    def _declare(self, name: str, kind: str, ttl: Ttl | None) -> StateTable:
        table = self._tables.get(name)
        if table is None:
            saved = self._saved.get(name)
            if saved is not None:
                check_kind(name, saved.kind, kind)
                if ttl is not None:  # those rows are in the order of their expiry
                    self._wake_all(name)
            table = self._tables[name] = StateTable(name, kind, ttl)
            if saved is not None:
                table.load(saved)
                del self._saved[name]
        check_kind(name, table.kind, kind)
        return table


class _Namespaced:
    """Makes the rows of one namespace look like those of a backend without any."""

    __slots__ = ("_backend", "_namespace", "_table")

    def __init__(self, backend: HeapStateBackend, namespace: Any, table: StateTable) -> None:
        self._backend = backend
        self._namespace = namespace
        self._table = table

    @property
    def current_key(self) -> tuple[Any, Any]:
        key = (self._namespace, self._backend.current_key)
        self._backend.touch_spaced(self._table, key)
        return key


def _handle(descriptor: StateDescriptor, kind: str, owner: KeyOwner, table: StateTable, rows: dict[Any, Any]) -> State:
    extra: list[Any] = []
    if kind == "reducing":
        extra = [cast("Any", descriptor).reduce_function]
    elif kind == "aggregating":
        extra = [cast("Any", descriptor).agg_function]
    created: State
    if table.ttl is None:
        created = _PLAIN[kind](owner, rows, *extra)
    else:
        created = _EXPIRING[kind](owner, rows, table.ttl, *extra)
    return created


_PLAIN: Final[dict[str, Any]] = {
    "value": plain_states.PlainValueState,
    "list": plain_states.PlainListState,
    "map": plain_states.PlainMapState,
    "reducing": plain_states.PlainReducingState,
    "aggregating": plain_states.PlainAggregatingState,
}
_EXPIRING: Final[dict[str, Any]] = {
    "value": expiring_states.ExpiringValueState,
    "list": expiring_states.ExpiringListState,
    "map": expiring_states.ExpiringMapState,
    "reducing": expiring_states.ExpiringReducingState,
    "aggregating": expiring_states.ExpiringAggregatingState,
}
