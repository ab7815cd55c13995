"""Runs: the files of an incrementally saved heap. A full run, then the changes of one checkpoint after the other.

When the same keys change again and again, the runs of changes are merged into one now and then, so that a restart reads
little more than the state; when all keys have changed, a full run starts a new chain.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import Final

from millstream.core.checkpoint.files import crc32c
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.state.capture import RowCapture
from millstream.taskmanager.state.chunks import Chunk, decode_chunk
from millstream.taskmanager.state.state_writer import StateWriter

RUNS_MAX: Final = 64
"""Runs of a chain; the next one is full."""
_MERGED_RUNS: Final = 8
"""So many runs of changes are worth merging."""
_MERGED_PART: Final = 4
"""Changes larger than this part of the full run are not merged: a full run is near."""
_SMALL_BYTES: Final = 1 << 20
"""Chains are not cut short below this size."""

Chain = list[tuple[checkpoint_pb2.StateFile, checkpoint_pb2.KeyedRun]]


class Extent(Enum):
    """What a run holds."""

    CHANGES = "the rows that changed since the last confirmed checkpoint"
    MERGED = "the rows that changed since the full run; it takes the place of the runs after that"
    FULL = "all rows"


class RunChains:
    """The chain of the last confirmed checkpoint, and those of checkpoints that may yet be confirmed."""

    def __init__(self, groups: range) -> None:
        self.groups = groups
        self._base: Chain | None = None
        self._kept = 0
        """So many of its runs stay when the others are merged."""
        self._unconfirmed: dict[int, tuple[Extent, Chain]] = {}

    @property
    def length(self) -> int:
        return 0 if self._base is None else len(self._base)

    def start_from(self, chain: Chain) -> None:
        """The state was restored from files that later checkpoints may refer to."""
        self._base, self._kept = chain, len(chain)

    def next_extent(self, can_merge: bool) -> Extent:
        """What the next run has to hold. ``can_merge``: whether all changes since the full run are known."""
        chain = self._base
        if chain is None or len(chain) >= RUNS_MAX:
            return Extent.FULL
        full = max(_SMALL_BYTES, sum(_size(run) for run in chain if run[1].full))
        if sum(_size(run) for run in chain if not run[1].full) > full:
            return Extent.FULL
        sizes = [_size(run) for run in chain[self._kept :]]
        worth = len(sizes) >= _MERGED_RUNS and sum(sizes[1:]) >= sizes[0]  # the first may be merged already
        return Extent.MERGED if can_merge and worth and sum(sizes) * _MERGED_PART <= full else Extent.CHANGES

    def before(self, extent: Extent) -> Chain:
        """The runs that the next one comes behind."""
        if extent is Extent.FULL or self._base is None:
            return []
        return self._base[: self._kept] if extent is Extent.MERGED else list(self._base)

    def add(self, checkpoint_id: int, extent: Extent, chain: Chain) -> None:
        self._unconfirmed[checkpoint_id] = (extent, chain)

    def confirm(self, checkpoint_id: int) -> bool:
        """That checkpoint is complete; False when it has no chain, as a savepoint, which nothing builds upon."""
        found = self._unconfirmed.get(checkpoint_id)
        if found is None:
            return False
        extent, self._base = found
        if extent is Extent.FULL:
            self._kept = len(self._base)
        self._unconfirmed = {known: chain for known, chain in self._unconfirmed.items() if known > checkpoint_id}
        return True


def _size(link: tuple[checkpoint_pb2.StateFile, checkpoint_pb2.KeyedRun]) -> int:
    return sum(link[1].lengths)


class RunWriter:
    """Writes the run of one checkpoint behind those it builds upon."""

    def __init__(self, chains: RunChains, checkpoint_id: int, extent: Extent) -> None:
        self._chains = chains
        self._checkpoint_id = checkpoint_id
        self._before = chains.before(extent)
        self._extent = extent
        self._stored: Chain | None = None

    def store(
        self,
        encoded: Iterable[tuple[range, bytes]],
        writer: StateWriter,
        state: checkpoint_pb2.OperatorState,
        directory: Path | None = None,
    ) -> None:
        """Write the chunks, each with the key groups it may hold, and describe the chain in ``state``.

        With a ``directory`` on this machine they are first put into a file there one by one, and never together in
        memory.
        """
        chain = list(self._before)
        indexes = [writer.refer(file) for file, _ in chain]
        run = self._empty_run()
        if directory is None:
            pieces = [_added(run, *piece) for piece in encoded]
            if pieces:
                indexes.append(writer.write(pieces, shared=True))
                chain.append((writer.files[-1], run))
        else:
            with tempfile.TemporaryDirectory(prefix="run-", dir=directory) as aside:
                path = Path(aside, "run.state")
                with path.open("wb") as file:
                    file.writelines(_added(run, *piece) for piece in encoded)
                if run.lengths:
                    indexes.append(writer.take(path))
                    chain.append((writer.files[-1], run))
        describe(state, chain, indexes)
        self._stored = chain

    def ended(self) -> None:
        """On the task's thread: the chain may be confirmed, if it was stored."""
        if self._stored is not None:
            self._chains.add(self._checkpoint_id, self._extent, self._stored)

    def _empty_run(self) -> checkpoint_pb2.KeyedRun:
        groups = self._chains.groups
        full = self._extent is Extent.FULL
        return checkpoint_pb2.KeyedRun(first_group=groups.start, last_group=groups.stop - 1, full=full)


def _added(run: checkpoint_pb2.KeyedRun, held: range, data: bytes) -> bytes:
    """``data``, which stands behind the chunks before it, noted in ``run``."""
    offset = run.offsets[-1] + run.lengths[-1] if run.lengths else 0
    run.chunk_first_groups.append(held.start)
    run.chunk_last_groups.append(held.stop - 1)
    run.offsets.append(offset)
    run.lengths.append(len(data))
    run.checksums.append(crc32c(data))
    return data


class RunsCapture:
    """Implements ``KeyedCapture`` for the heap."""

    def __init__(
        self,
        chains: RunChains,
        checkpoint_id: int,
        extent: Extent,
        rows: RowCapture,
        encoded: list[tuple[range, bytes]],
        on_taken: Callable[[], None],
    ) -> None:
        self._writer = RunWriter(chains, checkpoint_id, extent)
        self._rows = rows
        self._encoded = encoded
        self._on_taken = on_taken

    def advance(self) -> bool:
        if self._rows.advance():
            return True
        self._on_taken()
        return False

    def store(self, writer: StateWriter, state: checkpoint_pb2.OperatorState) -> None:
        self._writer.store(self._encoded, writer, state)

    def ended(self) -> None:
        self._on_taken()
        self._writer.ended()

    def rows(self) -> Iterator[Chunk]:
        return (decode_chunk(data) for _, data in self._encoded)


def describe(state: checkpoint_pb2.OperatorState, chain: Chain, indexes: list[int]) -> None:
    """Add the runs of ``chain``, whose files have these indexes, to ``state``."""
    for (_, run), index in zip(chain, indexes, strict=True):
        added = state.runs.add()
        added.CopyFrom(run)
        added.file = index
