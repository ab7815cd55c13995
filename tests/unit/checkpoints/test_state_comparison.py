"""What a job would start with: a verdict for each state of the job and of the savepoint."""

from __future__ import annotations

import pytest

from millstream.core.errors import IncompatibleStateError
from millstream.jobmanager.checkpointing.comparison import compare_state, refuse_changed
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2
from millstream.proto.v1.jobmanager_pb2 import (
    STATE_VERDICT_CHANGED,
    STATE_VERDICT_GONE,
    STATE_VERDICT_KEPT,
    STATE_VERDICT_NEW,
)

PLACE = "/there"


def plan(operator_id: str, **types: str) -> job_graph_pb2.OperatorPlan:
    """An operator with a state of each name and type; forms are types in lower case, without NOT NULL."""
    states = [
        job_graph_pb2.KeptState(name=name, type=kind, form=kind.lower().replace(" not null", ""))
        for name, kind in types.items()
    ]
    return job_graph_pb2.OperatorPlan(
        operator_id=operator_id, name="Some", description=f"Some({operator_id})", states=states
    )


def graph(*plans: job_graph_pb2.OperatorPlan, groups: int = 16) -> job_graph_pb2.JobGraph:
    vertex = job_graph_pb2.Vertex(vertex_id="v", name="v", parallelism=1, max_parallelism=groups, operators=plans)
    return job_graph_pb2.JobGraph(job_id="new", name="j", vertices=[vertex])


def manifest(*plans: job_graph_pb2.OperatorPlan, with_plans: bool = True) -> checkpoint_pb2.CheckpointManifest:
    """A savepoint of these operators, each of which has saved a table a state, or a section."""
    vertex = checkpoint_pb2.VertexState(vertex_id="v", name="v", parallelism=1, max_parallelism=16)
    subtask = vertex.subtasks.add(index=0)
    for saved in plans:
        vertex.operator_ids.append(saved.operator_id)
        vertex.operator_names.append(saved.name)
        operator = subtask.operators.add(operator_id=saved.operator_id)
        operator.sections.add(name="watermark", mode=checkpoint_pb2.STATE_MODE_UNION)
        for kept in saved.states:
            operator.tables.add(name=kept.name, kind="columns")
        if with_plans:
            vertex.operators.append(saved)
    return checkpoint_pb2.CheckpointManifest(job_id="old", checkpoint_id=7, vertices=[vertex], savepoint=True)


def verdicts(job: job_graph_pb2.JobGraph, saved: checkpoint_pb2.CheckpointManifest) -> list[tuple[str, str, int]]:
    return [(one.operator, one.state, one.verdict) for one in compare_state(job, saved, PLACE).states]


def test_each_state_of_job_and_savepoint_gets_a_verdict() -> None:
    job = graph(plan("kept", groups="INT"), plan("new", rows="STRING"), plan("changed", left="INT", right="INT"))
    saved = manifest(
        plan("kept", groups="INT NOT NULL"), plan("changed", left="INT", right="BIGINT"), plan("gone", a="X")
    )
    assert verdicts(job, saved) == [
        ("Some(kept)", "groups", STATE_VERDICT_KEPT),
        ("Some(new)", "rows", STATE_VERDICT_NEW),
        ("Some(changed)", "left", STATE_VERDICT_KEPT),
        ("Some(changed)", "right", STATE_VERDICT_CHANGED),
        ("Some(gone)", "a", STATE_VERDICT_GONE),
    ]


def test_types_that_changed_are_refused_with_both() -> None:
    comparison = compare_state(graph(plan("o", right="INT")), manifest(plan("o", right="BIGINT")), PLACE)
    with pytest.raises(IncompatibleStateError, match=r"'right' of Some\(o\) was BIGINT\n +and is now INT"):
        refuse_changed(comparison)
    refuse_changed(compare_state(graph(plan("o", right="INT")), manifest(plan("o", right="INT")), PLACE))


def test_a_state_that_only_one_side_knows_does_not_fit() -> None:
    (left, right) = compare_state(graph(plan("o", left="INT")), manifest(plan("o", right="INT")), PLACE).states
    assert (left.state, left.was, left.now) == ("left", "nothing", "INT")
    assert (right.state, right.was, right.now) == ("right", "INT", "nothing")


def test_other_key_groups_do_not_fit() -> None:
    (only,) = compare_state(graph(plan("o", rows="INT"), groups=32), manifest(plan("o", rows="INT")), PLACE).states
    assert (only.verdict, only.was, only.now) == (STATE_VERDICT_CHANGED, "16 key groups", "32 key groups")


def test_savepoints_without_plans_tell_operators_and_names() -> None:
    """Those of functions, and those of releases that wrote no plans."""
    saved = manifest(plan("o", rows="INT"), plan("gone", totals="INT"), plan("timers"), with_plans=False)
    assert verdicts(graph(plan("o", rows="STRING"), plan("timers")), saved) == [
        ("Some(o)", "rows", STATE_VERDICT_KEPT),
        ("Some(timers)", "watermark", STATE_VERDICT_KEPT),
        ("Some", "totals", STATE_VERDICT_GONE),
    ]
