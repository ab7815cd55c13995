"""Who gets which piece of a checkpoint's state when a job starts from it, perhaps at another parallelism. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from millstream.core.errors import CheckpointError
from millstream.core.ids import SubtaskId, VertexId
from millstream.core.keys import key_group_range
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2

Restored = Mapping[SubtaskId, checkpoint_pb2.RestoredState]
NOTHING_RESTORED: Final[Restored] = {}


@dataclass
class Former:
    """The state of one operator, over all subtasks of the vertex it was in."""

    vertex: checkpoint_pb2.VertexState
    parts: list[tuple[checkpoint_pb2.SubtaskState, checkpoint_pb2.OperatorState]]

    def is_keyed(self) -> bool:
        return any(
            operator.runs
            or operator.tables
            or operator.HasField("database")
            or any(section.mode == checkpoint_pb2.STATE_MODE_KEYED for section in operator.sections)
            for _, operator in self.parts
        )


def redistribute(
    graph: job_graph_pb2.JobGraph,
    manifest: checkpoint_pb2.CheckpointManifest,
    directory: str,
    allow_non_restored: bool = False,
) -> Restored:
    """The pieces of each subtask; state is matched by operator id, which a uid makes stable.

    ``directory`` is the location of the manifest. Raises ``CheckpointError`` when state would be left over, when the
    number of key groups changed, or when batches in flight have no way any more.
    """
    own = manifest.job_id == graph.job_id and not manifest.savepoint
    found = operators_with_state(manifest)
    restored: dict[SubtaskId, checkpoint_pb2.RestoredState] = {}

    def of_subtask(vertex: job_graph_pb2.Vertex, index: int) -> checkpoint_pb2.RestoredState:
        state = restored.setdefault(SubtaskId(VertexId(vertex.vertex_id), index), checkpoint_pb2.RestoredState())
        state.directory, state.own, state.checkpoint_id = directory, own, manifest.checkpoint_id
        return state

    for vertex in graph.vertices:
        for plan in vertex.operators:
            former = found.pop(plan.operator_id, None)
            if former is None:
                continue
            if former.is_keyed() and former.vertex.max_parallelism != vertex.max_parallelism:
                raise CheckpointError(
                    f"operator {plan.name!r} has state for {former.vertex.max_parallelism} key groups, but the job has "
                    f"{vertex.max_parallelism}. Keep it: set_max_parallelism({former.vertex.max_parallelism})."
                )
            for index in range(vertex.parallelism):
                operator = _of_operator(former, plan.operator_id, vertex, index)
                if operator.sections or operator.runs or operator.databases or operator.tables:
                    of_subtask(vertex, index).operators.append(operator)
    if found and not allow_non_restored:
        names = "; ".join(sorted({_name(former, operator_id) for operator_id, former in found.items()}))
        raise CheckpointError(
            f"the checkpoint in {directory} has state of operators that the job does not have: {names}. Give operators "
            f"a uid before taking one; or drop that state with --allow-non-restored-state, in SQL with SET "
            f"'execution.state-recovery.ignore-unclaimed-state' = 'true'."
        )
    for vertex, index, flight in _in_flight(graph, manifest, directory):
        of_subtask(vertex, index).in_flight.append(flight)
    return restored


def operators_with_state(manifest: checkpoint_pb2.CheckpointManifest) -> dict[str, Former]:
    """Operators that have any state."""
    found: dict[str, Former] = {}
    for vertex in manifest.vertices:
        for subtask in vertex.subtasks:
            for operator in subtask.operators:
                if operator.sections or operator.runs or operator.tables or operator.HasField("database"):
                    found.setdefault(operator.operator_id, Former(vertex, [])).parts.append((subtask, operator))
    return found


def _of_operator(
    former: Former, operator_id: str, vertex: job_graph_pb2.Vertex, index: int
) -> checkpoint_pb2.RestoredOperator:
    """What subtask ``index`` of ``vertex`` gets."""
    groups = key_group_range(index, vertex.max_parallelism, vertex.parallelism)
    # At the same parallelism everybody gets back what was theirs: splits keep their order and their company.
    kept = former.vertex.parallelism == vertex.parallelism
    restored = checkpoint_pb2.RestoredOperator(operator_id=operator_id)
    items: Counter[str] = Counter()
    for subtask, operator in former.parts:
        for section in operator.sections:
            if section.mode == checkpoint_pb2.STATE_MODE_KEYED:
                mine = section.key_group in groups
            elif section.mode == checkpoint_pb2.STATE_MODE_ITEM:
                mine = (subtask.index if kept else items[section.name] % vertex.parallelism) == index
                items[section.name] += 1
            else:
                mine = True
            if mine:
                restored.sections.add(
                    path=subtask.files[section.file].path,
                    name=section.name,
                    mode=section.mode,
                    key_group=section.key_group,
                    offset=section.offset,
                    length=section.length,
                    crc32c=section.crc32c,
                )
        for run in operator.runs:
            if _overlap(run.first_group, run.last_group, groups):
                restored.runs.add(file=subtask.files[run.file], run=run)
        for table in operator.tables:
            if _overlap(table.first_group, table.last_group, groups):
                restored.tables.add(file=subtask.files[table.file], table=table)
        database = operator.database
        if database.files and _overlap(database.first_group, database.last_group, groups):
            restored.databases.add(
                first_group=database.first_group,
                last_group=database.last_group,
                files=[
                    checkpoint_pb2.RestoredDatabase.File(name=file.name, file=subtask.files[file.file])
                    for file in database.files
                ],
            )
    return restored


def _overlap(first: int, last: int, groups: range) -> bool:
    return first < groups.stop and groups.start <= last


def _in_flight(
    graph: job_graph_pb2.JobGraph, manifest: checkpoint_pb2.CheckpointManifest, directory: str
) -> Iterator[tuple[job_graph_pb2.Vertex, int, checkpoint_pb2.RestoredInFlight]]:
    """``(consumer's vertex, its index, batches)``. What was in a consumer's queue is older than its producer's."""
    vertices = {vertex.vertex_id: vertex for vertex in graph.vertices}
    edges = {edge.edge_id: edge for edge in graph.edges}
    former_edges = {edge.edge_id: edge for edge in manifest.edges}
    former_parallelism = {vertex.vertex_id: vertex.parallelism for vertex in manifest.vertices}
    flights = [
        (vertex.vertex_id == former_edges[flight.edge_id].source_vertex, subtask, flight)
        for vertex in manifest.vertices
        for subtask in vertex.subtasks
        for flight in subtask.in_flight
    ]
    for _, subtask, flight in sorted(flights, key=lambda found: found[0]):
        former, edge = former_edges[flight.edge_id], edges.get(flight.edge_id)
        if edge is None or (edge.source_vertex, edge.target_vertex) != (former.source_vertex, former.target_vertex):
            raise CheckpointError(
                f"the checkpoint in {directory} is unaligned: it holds records on their way between operators, and "
                f"the job has other ways between its operators now. Start it from a savepoint, which is aligned."
            )
        target = vertices[edge.target_vertex]
        kept = former_parallelism[edge.target_vertex] == target.parallelism
        filtered = False
        if kept:
            consumers = [flight.consumer]
        elif edge.exchange == job_graph_pb2.EXCHANGE_HASH:
            consumers, filtered = list(range(target.parallelism)), True
        elif edge.exchange == job_graph_pb2.EXCHANGE_BROADCAST:
            consumers = list(range(target.parallelism)) if flight.consumer == 0 else []
        else:
            consumers = [flight.consumer % target.parallelism]
        for consumer in consumers:
            yield (
                target,
                consumer,
                checkpoint_pb2.RestoredInFlight(
                    edge_id=flight.edge_id,
                    producer=flight.producer,
                    file=subtask.files[flight.file],
                    offset=flight.offset,
                    length=flight.length,
                    crc32c=flight.crc32c,
                    filter=filtered,
                ),
            )


def _name(former: Former, operator_id: str) -> str:
    """The operator, and of its states those that go by a name: an incremental checkpoint only knows them inside."""
    names = dict(zip(former.vertex.operator_ids, former.vertex.operator_names, strict=False))
    states = {table.name for _, operator in former.parts for table in operator.tables}
    states |= {section.name for _, operator in former.parts for section in operator.sections}
    return f"{names.get(operator_id, operator_id)!r}" + (f" ({', '.join(sorted(states))})" if states else "")
