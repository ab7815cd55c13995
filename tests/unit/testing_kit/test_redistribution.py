"""The harness deals out a snapshot exactly as the JobManager does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.core.ids import SubtaskId, VertexId
from millstream.core.keys import key_group_range
from millstream.jobmanager.checkpointing import redistribution as in_the_cluster
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2
from millstream.taskmanager.operators.snapshots import OperatorSnapshot
from millstream.taskmanager.state.backend import RestoredKeyed
from millstream.taskmanager.state.chunks import RowChunk
from millstream.testing.redistribution import redistribute

GROUPS = 16
Piece = tuple[str, int, int, bytes]


@st.composite
def snapshots(draw: st.DrawFn) -> list[OperatorSnapshot | None]:
    former = draw(st.integers(1, 5))
    made: list[OperatorSnapshot | None] = []
    for index in range(former):
        groups = key_group_range(index, GROUPS, former)
        count = draw(st.integers(0, 4))
        snapshot = OperatorSnapshot(
            keyed={"timers": {group: b"%d" % group for group in groups if draw(st.booleans())}},
            items={name: [b"%s %d %d" % (name.encode(), index, i) for i in range(count)] for name in ("one", "two")},
            union={"all": [b"%d" % index] * draw(st.integers(0, 2))},
        )
        made.append(snapshot if draw(st.booleans()) else None)
    return made


def by_the_jobmanager(former: list[OperatorSnapshot | None], parallelism: int) -> list[list[Piece]]:
    """A piece's bytes travel as the path of its file."""
    vertex = checkpoint_pb2.VertexState(vertex_id="v", parallelism=len(former), max_parallelism=GROUPS)
    for index, snapshot in enumerate(former):
        if snapshot is None:
            continue
        subtask = vertex.subtasks.add(index=index)
        operator = subtask.operators.add(operator_id="op")
        for number, (name, mode, group, data) in enumerate(snapshot.pieces()):
            subtask.files.add(path=data.decode())
            operator.sections.add(file=number, name=name, mode=mode, key_group=group)
    manifest = checkpoint_pb2.CheckpointManifest(vertices=[vertex])
    plan = job_graph_pb2.Vertex(vertex_id="v", parallelism=parallelism, max_parallelism=GROUPS)
    plan.operators.add(operator_id="op", name="op")
    restored = in_the_cluster.redistribute(job_graph_pb2.JobGraph(vertices=[plan]), manifest, "directory")
    shares: list[list[Piece]] = []
    for index in range(parallelism):
        state = restored.get(SubtaskId(VertexId("v"), index))
        operators = [] if state is None else state.operators
        shares.append([(s.name, s.mode, s.key_group, s.path.encode()) for o in operators for s in o.sections])
    return shares


@settings(max_examples=200, deadline=None)
@given(snapshots(), st.integers(1, 7))
def test_it_agrees_with_the_jobmanager(former: list[OperatorSnapshot | None], parallelism: int) -> None:
    shares = redistribute(former, parallelism, GROUPS)
    mine: list[list[Piece]] = [[] if share is None else sorted(share.pieces()) for share in shares]
    assert mine == [sorted(pieces) for pieces in by_the_jobmanager(former, parallelism)]


@pytest.mark.parametrize("parallelism", [1, 3, 4])
def test_rows_of_the_state_backend_go_to_the_owner_of_their_key(parallelism: int) -> None:
    def chunk(keys: list[int]) -> RowChunk:
        return RowChunk("count", "value", False, False, keys, [key * 10 for key in keys], [])

    former = [OperatorSnapshot(backend=RestoredKeyed(chunks=[chunk(keys)])) for keys in ([1, 2, 3], [4, 5], [6])]
    shares = redistribute([*former, None], parallelism, GROUPS)
    rows = [dict(zip(c.keys, c.stored, strict=True)) for s in shares if s and s.backend for c in s.backend.chunks]
    merged = {key: value for part in rows for key, value in part.items()}
    assert merged == {key: key * 10 for key in range(1, 7)} and sum(map(len, rows)) == 6
