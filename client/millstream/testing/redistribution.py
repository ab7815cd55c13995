"""Who gets which piece of a snapshot at another parallelism, by the rules of the JobManager, without files.

Keyed pieces and rows go to the owner of their key group, items are dealt out in turn, and everybody gets all union
pieces. At the same parallelism everybody gets back the items that were theirs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from millstream.core.keys import key_group_range
from millstream.proto.v1.checkpoint_pb2 import STATE_MODE_ITEM, STATE_MODE_KEYED
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.state.backend import RestoredKeyed
from millstream.taskmanager.state.chunks import Chunk, GroupFilter, decoded
from millstream.taskmanager.state.column_chunks import ColumnChunk

Snapshots = Sequence[OperatorSnapshot | None]
"""Of the subtasks of one operator, by index; None of those that keep no state."""


def redistribute(snapshots: Snapshots, parallelism: int, max_parallelism: int) -> list[OperatorSnapshot | None]:
    """What each of ``parallelism`` subtasks starts with; ``snapshots`` must be settled."""
    return [_share(snapshots, index, parallelism, max_parallelism) for index in range(parallelism)]


def _share(snapshots: Snapshots, index: int, parallelism: int, max_parallelism: int) -> OperatorSnapshot | None:
    groups = key_group_range(index, max_parallelism, parallelism)
    kept = parallelism == len(snapshots)
    share = OperatorSnapshot()
    found = False
    items: Counter[str] = Counter()
    for former_index, snapshot in enumerate(snapshots):
        if snapshot is None:
            continue
        for name, mode, group, data in snapshot.pieces():
            if mode == STATE_MODE_KEYED:
                mine = group in groups
            elif mode == STATE_MODE_ITEM:
                mine = (former_index if kept else items[name] % parallelism) == index
                items[name] += 1
            else:
                mine = True
            if mine:
                share.add(name, mode, group, data)
                found = True
    rows = _rows(snapshots, GroupFilter(groups, max_parallelism))
    if rows:
        share.backend = RestoredKeyed(chunks=rows)
    return share if found or rows else None


def _rows(snapshots: Snapshots, chosen: GroupFilter) -> list[Chunk]:
    """The rows of the keyed state backend that pass the filter."""
    rows = []
    for snapshot in snapshots:
        if snapshot is not None and snapshot.backend is not None:
            rows += [chosen.apply(chunk) for chunk in map(decoded, snapshot.backend.chunks)]
    return [chunk for chunk in rows if isinstance(chunk, ColumnChunk) or chunk.keys or chunk.gone]
