"""Runs: the files of an incrementally saved heap. A full run, then the changes of one checkpoint after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from millstream.core.checkpoint.files import crc32c
from millstream.proto.v1 import checkpoint_pb2
from millstream.taskmanager.state.capture import RowCapture
from millstream.taskmanager.state.chunks import Chunk, decode_chunk
from millstream.taskmanager.state.state_writer import StateWriter

RUNS_MAX: Final = 64
"""Runs of a chain; the next one is full."""
_SMALL_BYTES: Final = 1 << 20
"""Chains are not cut short below this size."""

Chain = list[tuple[checkpoint_pb2.StateFile, checkpoint_pb2.KeyedRun]]


class RunChains:
    """The chain of the last confirmed checkpoint, and those of checkpoints that may yet be confirmed."""

    def __init__(self, groups: range) -> None:
        self.groups = groups
        self._base: Chain | None = None
        self._unconfirmed: dict[int, Chain] = {}

    @property
    def length(self) -> int:
        return 0 if self._base is None else len(self._base)

    @property
    def base(self) -> Chain:
        return self._base or []

    def start_from(self, chain: Chain) -> None:
        """The state was restored from files that later checkpoints may refer to."""
        self._base = chain

    def can_extend(self) -> bool:
        """Whether the next run may hold changes only."""
        chain = self._base
        if chain is None or len(chain) >= RUNS_MAX:
            return False
        changes = sum(sum(run.lengths) for _, run in chain if not run.full)
        full = sum(sum(run.lengths) for _, run in chain if run.full)
        return changes <= max(full, _SMALL_BYTES)

    def add(self, checkpoint_id: int, chain: Chain) -> None:
        self._unconfirmed[checkpoint_id] = chain

    def confirm(self, checkpoint_id: int) -> bool:
        """That checkpoint is complete; False when it has no chain, as a savepoint, which nothing builds upon."""
        chain = self._unconfirmed.get(checkpoint_id)
        if chain is None:
            return False
        self._base = chain
        self._unconfirmed = {known: chain for known, chain in self._unconfirmed.items() if known > checkpoint_id}
        return True


class RunWriter:
    """Writes the run of one checkpoint behind those it builds upon, none when it is ``full``."""

    def __init__(self, chains: RunChains, checkpoint_id: int, full: bool) -> None:
        self._chains = chains
        self._checkpoint_id = checkpoint_id
        self._before: Chain = [] if full else list(chains.base)
        self._full = full
        self._stored: Chain | None = None

    def store(
        self, encoded: list[tuple[range, bytes]], writer: StateWriter, state: checkpoint_pb2.OperatorState
    ) -> None:
        """Write the chunks, each with the key groups it may hold, and describe the chain in ``state``."""
        chain = list(self._before)
        indexes = [writer.refer(file) for file, _ in chain]
        if encoded:
            indexes.append(writer.write([data for _, data in encoded], shared=True))
            chain.append((writer.files[-1], self._run(encoded)))
        describe(state, chain, indexes)
        self._stored = chain

    def ended(self) -> None:
        """On the task's thread: the chain may be confirmed, if it was stored."""
        if self._stored is not None:
            self._chains.add(self._checkpoint_id, self._stored)

    def _run(self, encoded: list[tuple[range, bytes]]) -> checkpoint_pb2.KeyedRun:
        groups = self._chains.groups
        run = checkpoint_pb2.KeyedRun(first_group=groups.start, last_group=groups.stop - 1, full=self._full)
        offset = 0
        for held, data in encoded:
            run.chunk_first_groups.append(held.start)
            run.chunk_last_groups.append(held.stop - 1)
            run.offsets.append(offset)
            run.lengths.append(len(data))
            run.checksums.append(crc32c(data))
            offset += len(data)
        return run


class RunsCapture:
    """Implements ``KeyedCapture`` for the heap."""

    def __init__(
        self,
        chains: RunChains,
        checkpoint_id: int,
        full: bool,
        rows: RowCapture,
        encoded: list[tuple[range, bytes]],
        on_taken: Callable[[], None],
    ) -> None:
        self._writer = RunWriter(chains, checkpoint_id, full)
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
