"""Who gets which piece of a checkpoint's state when a job starts from it, perhaps at another parallelism. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from millstream.core.errors import CheckpointError
from millstream.core.ids import SubtaskId, VertexId
from millstream.core.keys import key_group_range
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2

Restored = Mapping[SubtaskId, list[checkpoint_pb2.RestoredOperator]]
NOTHING_RESTORED: Final[Restored] = {}
Sections = list[tuple[int, str, checkpoint_pb2.StateSection]]
"""``(former subtask, path, section)``."""


def redistribute(
    graph: job_graph_pb2.JobGraph,
    manifest: checkpoint_pb2.CheckpointManifest,
    directory: Path,
    allow_non_restored: bool = False,
) -> Restored:
    """The pieces of each subtask; state is matched by operator id, which a uid makes stable.

    Raises ``CheckpointError`` when state would be left over, or when the number of key groups changed.
    """
    found: dict[str, tuple[checkpoint_pb2.VertexState, Sections]] = {}
    for state in manifest.vertices:
        for subtask in state.subtasks:
            for operator in subtask.operators:
                sections = found.setdefault(operator.operator_id, (state, []))[1]
                sections.extend((subtask.index, subtask.path, section) for section in operator.sections)
    restored: dict[SubtaskId, list[checkpoint_pb2.RestoredOperator]] = {}
    for vertex in graph.vertices:
        for plan in vertex.operators:
            if plan.operator_id not in found:
                continue
            former, sections = found.pop(plan.operator_id)
            keyed = any(section.mode == checkpoint_pb2.STATE_MODE_KEYED for _, _, section in sections)
            if keyed and former.max_parallelism != vertex.max_parallelism:
                raise CheckpointError(
                    f"operator {plan.name!r} has state for {former.max_parallelism} key groups, but the job has "
                    f"{vertex.max_parallelism}. Keep it: set_max_parallelism({former.max_parallelism})."
                )
            for index in range(vertex.parallelism):
                own = _own(sections, index, vertex, former.parallelism, directory)
                if own:
                    key = SubtaskId(VertexId(vertex.vertex_id), index)
                    operators = restored.setdefault(key, [])
                    operators.append(checkpoint_pb2.RestoredOperator(operator_id=plan.operator_id, sections=own))
    if found and not allow_non_restored:
        names = ", ".join(sorted({_name(state, operator_id) for operator_id, (state, _) in found.items()}))
        raise CheckpointError(
            f"the checkpoint in {directory} has state of operators that the job does not have: {names}. Give operators "
            f"a uid before taking one; or drop that state with --allow-non-restored-state."
        )
    return restored


def _own(
    sections: Sections, index: int, vertex: job_graph_pb2.Vertex, former_parallelism: int, directory: Path
) -> list[checkpoint_pb2.RestoredSection]:
    groups = key_group_range(index, vertex.max_parallelism, vertex.parallelism)
    own: list[checkpoint_pb2.RestoredSection] = []
    items = 0
    for former_index, path, section in sections:
        if section.mode == checkpoint_pb2.STATE_MODE_KEYED:
            mine = section.key_group in groups
        elif section.mode == checkpoint_pb2.STATE_MODE_ITEM:
            # At the same parallelism everybody gets back what was theirs: splits keep their order and their company.
            kept = former_parallelism == vertex.parallelism
            mine = (former_index if kept else items % vertex.parallelism) == index
            items += 1
        else:
            mine = True
        if mine:
            own.append(
                checkpoint_pb2.RestoredSection(
                    path=str(directory / path),
                    name=section.name,
                    mode=section.mode,
                    key_group=section.key_group,
                    offset=section.offset,
                    length=section.length,
                    crc32c=section.crc32c,
                )
            )
    return own


def _name(vertex: checkpoint_pb2.VertexState, operator_id: str) -> str:
    names = dict(zip(vertex.operator_ids, vertex.operator_names, strict=False))
    return repr(names.get(operator_id, operator_id))
