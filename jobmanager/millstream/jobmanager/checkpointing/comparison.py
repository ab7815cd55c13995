"""What a job would start with, of a savepoint: operator by operator and state by state, before anything is deployed.

Whose state it is the operators' ids say, as in ``redistribution``. What a state looks like is known of SQL operators,
whose plans tell it and travel in manifests; a function tells the types of its states only where it runs, and there they
are compared when it starts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from millstream.core.errors import IncompatibleStateError
from millstream.jobmanager.checkpointing.redistribution import Former, operators_with_state
from millstream.proto.v1 import checkpoint_pb2, job_graph_pb2, jobmanager_pb2
from millstream.proto.v1.jobmanager_pb2 import (
    STATE_VERDICT_CHANGED,
    STATE_VERDICT_GONE,
    STATE_VERDICT_KEPT,
    STATE_VERDICT_NEW,
    ComparedState,
    StateComparison,
)

_BESIDE: Final = frozenset({"watermark"})
"""What every operator with state saves beside it."""


def compare_state(
    graph: job_graph_pb2.JobGraph, manifest: checkpoint_pb2.CheckpointManifest, location: str
) -> StateComparison:
    """The states of the job in the order of its operators, then what the savepoint has beside them."""
    found = operators_with_state(manifest)
    plans = {plan.operator_id: plan for vertex in manifest.vertices for plan in vertex.operators}
    states: list[ComparedState] = []
    for vertex in graph.vertices:
        for plan in vertex.operators:
            former = found.pop(plan.operator_id, None)
            if former is None:
                states += (_of(plan, kept.name, STATE_VERDICT_NEW) for kept in plan.states)
            else:
                states += _both(vertex, plan, former, plans.get(plan.operator_id))
    for operator_id, former in found.items():
        plan = plans.get(operator_id) or _named(former, operator_id)
        states += (_of(plan, name, STATE_VERDICT_GONE) for name in _names(former, plan))
    return StateComparison(location=location, checkpoint_id=manifest.checkpoint_id, states=states)


def refuse_changed(comparison: StateComparison) -> None:
    """Raise ``IncompatibleStateError`` when state of the savepoint does not fit the job."""
    changed = [state for state in comparison.states if state.verdict == STATE_VERDICT_CHANGED]
    if changed:
        told = "\n".join(
            f"  {one.state!r} of {one.operator} was {one.was}\n    and is now {one.now}" for one in changed
        )
        raise IncompatibleStateError(
            f"the job cannot start from the state in {comparison.location}, for some of it has another type now:\n"
            f"{told}\nGive the query back the columns and types it had, or start it without that state."
        )


def _both(
    vertex: job_graph_pb2.Vertex,
    plan: job_graph_pb2.OperatorPlan,
    former: Former,
    former_plan: job_graph_pb2.OperatorPlan | None,
) -> Iterator[ComparedState]:
    """Of an operator that the savepoint has, too."""
    if former.is_keyed() and former.vertex.max_parallelism != vertex.max_parallelism:
        was, now = f"{former.vertex.max_parallelism} key groups", f"{vertex.max_parallelism} key groups"
        yield _of(plan, "keyed state", STATE_VERDICT_CHANGED, was, now)
        return
    told: Mapping[str, job_graph_pb2.KeptState] = {}
    if former_plan is not None:
        told = {kept.name: kept for kept in former_plan.states}
    if not told or not plan.states:
        for name in [kept.name for kept in plan.states] or _names(former, plan):
            yield _of(plan, name, STATE_VERDICT_KEPT)
        return
    for kept in plan.states:
        saved = told.get(kept.name)
        if saved is None or saved.form != kept.form:
            was = "nothing" if saved is None else saved.type
            yield _of(plan, kept.name, STATE_VERDICT_CHANGED, was, kept.type)
        else:
            yield _of(plan, kept.name, STATE_VERDICT_KEPT)
    for name in sorted(told.keys() - {kept.name for kept in plan.states}):
        yield _of(plan, name, STATE_VERDICT_CHANGED, told[name].type, "nothing")


def _names(former: Former, plan: job_graph_pb2.OperatorPlan) -> list[str]:
    """Of the states that were saved. An incremental checkpoint knows them only inside."""
    if plan.states:
        return [kept.name for kept in plan.states]
    names = {table.name for _, operator in former.parts for table in operator.tables}
    names |= {section.name for _, operator in former.parts for section in operator.sections}
    if any(operator.runs or operator.HasField("database") for _, operator in former.parts):
        names.add("keyed state")
    return sorted(names - _BESIDE) or sorted(names)


def _named(former: Former, operator_id: str) -> job_graph_pb2.OperatorPlan:
    names = dict(zip(former.vertex.operator_ids, former.vertex.operator_names, strict=False))
    return job_graph_pb2.OperatorPlan(operator_id=operator_id, name=names.get(operator_id, operator_id))


def _of(
    plan: job_graph_pb2.OperatorPlan,
    state: str,
    verdict: jobmanager_pb2.StateVerdict.ValueType,
    was: str = "",
    now: str = "",
) -> ComparedState:
    return ComparedState(operator=plan.description or plan.name, state=state, verdict=verdict, was=was, now=now)
