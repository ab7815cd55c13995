"""What a checkpoint of the chaos job holds, read without running the job.

The product's own readers take the files apart, as they do when a job starts from the checkpoint: at the parallelism at
which it was taken, or dealt out for another one. What it must hold is computed elsewhere, in ``expected``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import cloudpickle
import numpy as np

from millstream.client.translation.operator_ids import id_of_uid
from millstream.connectors.files.sink import PendingFile
from millstream.core.checkpoint.manifest import check_contents, read_manifest
from millstream.core.checkpoint.storage import LocalStorage
from millstream.core.elements.batch import Batch
from millstream.core.keys import key_group_range, key_groups
from millstream.core.serde import decode_value
from millstream.jobmanager.checkpointing.redistribution import redistribute
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2
from millstream.taskmanager.checkpointing.state_files import StateReader
from millstream.taskmanager.operators.keyed import TIMERS
from millstream.taskmanager.operators.rows import as_rows
from millstream.taskmanager.operators.sink import COMMITTABLES
from millstream.taskmanager.operators.snapshots import WATERMARK, OperatorSnapshot
from millstream.taskmanager.operators.windowing.keyed_base import CONTENTS
from millstream.taskmanager.state.chunks import load_chunks
from millstream.taskmanager.state.tables import SavedTable
from millstream.taskmanager.task.context import SubtaskInfo
from millstream.testing.sequence import SequenceSplit
from tests.oracle.tables import STAGE_OF_OPERATOR, chunks_of, query_state

Record = tuple[int, int]
"""Key and number."""
SPLITS_OF_READERS: Final = "splits"
STAGES: Final = {"counts": "counts", "ones": "windows", "windows": "windows"}
"""By uid of the operator that records on their way would have come to: what they are still missing in."""
SINKS: Final = ("counts sink", "windows sink")


@dataclass
class Held:
    """The contents of one checkpoint, over all subtasks."""

    checkpoint_id: int
    parent_id: int
    unread: dict[str, list[SequenceSplit]] = field(default_factory=dict)
    """Splits by the uid of their source: of its readers and of its enumerator."""
    counts: list[tuple[int, tuple[int, int]]] = field(default_factory=list)
    """``(key, (count, sum))``."""
    windows: list[tuple[int, int, tuple[int, ...]]] = field(default_factory=list)
    """``(start in milliseconds, key, content)``."""
    timers: int = 0
    unfired: list[Record] = field(default_factory=list)
    """In the running count of a query, where they wait for the watermark."""
    watermarks: dict[str, list[int]] = field(default_factory=dict)
    """Of the subtasks of the running count and of the windows."""
    waiting: dict[str, list[Record]] = field(default_factory=dict)
    """In front of the running count and the windows, in the order in which they would be processed."""
    waiting_rows: dict[str, list[tuple[int, ...]]] = field(default_factory=dict)
    """In front of the sinks."""
    finished: dict[str, set[int]] = field(default_factory=dict)
    """By uid of the operator: the keys of subtasks that had processed all their input, and hold nothing any more."""
    prepared: dict[str, set[PendingFile]] = field(default_factory=dict)
    """By the uid of the sink: what it will commit."""

    @property
    def in_flight(self) -> int:
        """Records that a barrier has overtaken."""
        return sum(map(len, [*self.waiting.values(), *self.waiting_rows.values()]))


def read_held(directory: Path, keys: int, parallelism: int | None = None) -> Held:
    """What the checkpoint in ``directory`` holds; dealt out for ``parallelism``, or as it was taken.

    The keys are the ints below ``keys``.

    Raises ``CheckpointError`` for one that is damaged.
    """
    storage = LocalStorage(directory)
    manifest = read_manifest(storage)
    check_contents(storage, "", manifest)
    graph = graph_of(manifest, parallelism)
    restored = redistribute(graph, manifest, str(directory))
    held = Held(manifest.checkpoint_id, manifest.parent_id)
    uids = uids_of(graph.vertices)
    for vertex, former in zip(graph.vertices, manifest.vertices, strict=True):
        if former.has_enumerator:
            uid = uids[vertex.operators[0].operator_id]
            held.unread.setdefault(uid, []).extend(cloudpickle.loads(former.enumerator))
        groups = key_groups(list(range(keys)), former.max_parallelism).tolist()
        for subtask in former.subtasks:
            own = key_group_range(subtask.index, former.max_parallelism, former.parallelism)
            if subtask.finished:
                for plan in former.operators:
                    done = held.finished.setdefault(uids.get(plan.operator_id, ""), set())
                    done.update(key for key, group in enumerate(groups) if group in own)
    rank = {uid: place for place, uid in enumerate(("windows", "ones", "counts", *SINKS))}
    later: list[tuple[int, str, list[tuple[int, ...]]]] = []
    for (vertex_id, index), state in restored.items():
        vertex = next(vertex for vertex in graph.vertices if vertex.vertex_id == vertex_id)
        share = _Share(storage, vertex, index, state)
        for operator_id, snapshot in share.reader.operators(share.groups).items():
            share.add(held, uids[operator_id], snapshot)
        head = uids.get(vertex.operators[0].operator_id, "")
        for rows in share.flights(ways_into(graph, vertex_id)):
            later.append((rank[head], head, rows))
    for _, head, rows in sorted(later, key=lambda found: found[0]):
        if head in STAGES:
            held.waiting.setdefault(STAGES[head], []).extend((row[0], row[1]) for row in rows)
        else:
            held.waiting_rows.setdefault(head, []).extend(rows)
    return held


def uids_of(vertices: Iterable[job_graph_pb2.Vertex | checkpoint_pb2.VertexState]) -> dict[str, str]:
    """What the job calls its operators, by id; those of queries by the part of the job that they do."""
    uids = {id_of_uid(uid): uid for uid in ("numbers", "numbers again", *STAGES, *SINKS)}
    plans = (plan for vertex in vertices for plan in vertex.operators)
    return uids | {plan.operator_id: stage for plan in plans if (stage := STAGE_OF_OPERATOR.get(plan.name))}


class _Share:
    """What one subtask would start with."""

    def __init__(
        self, storage: LocalStorage, vertex: job_graph_pb2.Vertex, index: int, state: checkpoint_pb2.RestoredState
    ) -> None:
        self.groups = key_group_range(index, vertex.max_parallelism, vertex.parallelism)
        self._max_parallelism = vertex.max_parallelism
        self._operators = vertex.operators
        info = SubtaskInfo("", "", vertex.vertex_id, vertex.name, index, 0, vertex.parallelism, vertex.max_parallelism)
        self.reader = StateReader(storage, state, info)

    def add(self, held: Held, uid: str, snapshot: OperatorSnapshot) -> None:
        """The state of one operator."""
        held.unread.setdefault(uid, []).extend(map(cloudpickle.loads, snapshot.items.get(SPLITS_OF_READERS, [])))
        if COMMITTABLES in snapshot.union:
            files = map(cloudpickle.loads, snapshot.union[COMMITTABLES])  # every subtask gets those of all
            held.prepared.setdefault(uid, set()).update(files)
        held.timers += sum(len(decode_value(data)) for data in snapshot.keyed.get(TIMERS, {}).values())
        for data in snapshot.keyed.get(CONTENTS, {}).values():
            held.windows += [(start, key, tuple(content)) for start, _, key, content in decode_value(data)]
        if WATERMARK in snapshot.union:
            held.watermarks.setdefault(uid, []).extend(map(decode_value, snapshot.union[WATERMARK]))
        if any(plan.name in STAGE_OF_OPERATOR for plan in self._operators):
            found = query_state(snapshot, self.groups)
            held.counts += found.counts
            held.unfired += found.unfired
            held.windows += found.windows
        elif uid == "counts":
            held.counts += self._rows(snapshot)

    def _rows(self, snapshot: OperatorSnapshot) -> list[tuple[Any, Any]]:
        tables: dict[str, SavedTable] = {}
        load_chunks(chunks_of(snapshot, self.groups), tables)
        return [(key, tuple(stored)) for table in tables.values() for key, stored in table.plain.items()]

    def flights(self, edges: list[int]) -> Iterator[list[tuple[int, ...]]]:
        """The rows of each batch on its way to the subtask, the oldest first."""
        keep: dict[int, Callable[[Batch], Batch]] = dict.fromkeys(edges, self._own)
        for _, _, batch in self.reader.in_flight(keep):
            yield _rows_of(batch)

    def _own(self, batch: Batch) -> Batch:
        found = key_groups([row[0] for row in _rows_of(batch)], self._max_parallelism)
        return batch.take(np.flatnonzero((found >= self.groups.start) & (found < self.groups.stop)))


def _rows_of(batch: Batch) -> list[tuple[Any, ...]]:
    return [tuple(row.values() if isinstance(row, dict) else row) for row in as_rows(batch).values]


def graph_of(manifest: checkpoint_pb2.CheckpointManifest, parallelism: int | None) -> job_graph_pb2.JobGraph:
    """The job as far as a restore needs it."""
    graph = job_graph_pb2.JobGraph(job_id=manifest.job_id, name=manifest.job_name)
    for vertex in manifest.vertices:
        graph.vertices.add(
            vertex_id=vertex.vertex_id,
            name=vertex.name,
            parallelism=parallelism or vertex.parallelism,
            max_parallelism=vertex.max_parallelism,
            operators=vertex.operators,
        )
    for edge in manifest.edges:
        graph.edges.add(
            edge_id=edge.edge_id,
            source_vertex=edge.source_vertex,
            target_vertex=edge.target_vertex,
            exchange=job_graph_pb2.Exchange.Value(edge.exchange),
        )
    return graph


def ways_into(graph: job_graph_pb2.JobGraph, vertex_id: str) -> list[int]:
    return [edge.edge_id for edge in graph.edges if edge.target_vertex == vertex_id]
