"""Chooses the window operator for a ``WindowSpec``: a fast one where it applies, else the general one."""

from __future__ import annotations

from millstream.core.api.windowing.sessions import SessionAssigner
from millstream.core.api.windowing.time_assigners import TimeGridAssigner
from millstream.core.api.windowing.time_triggers import EventTimeTrigger, ProcessingTimeTrigger
from millstream.core.errors import invariant
from millstream.core.graph.specs import ChainedOperator, WindowSpec
from millstream.taskmanager.operators.windowing.general import GeneralWindowOperator
from millstream.taskmanager.operators.windowing.grid import GridWindowOperator
from millstream.taskmanager.operators.windowing.keyed_base import KeyedWindowOperator
from millstream.taskmanager.operators.windowing.session import SessionWindowOperator


def create_window_operator(chained: ChainedOperator) -> KeyedWindowOperator:
    """The operator of a chained ``WindowSpec``. Raises ``JobGraphError`` for a trigger that cannot follow merges."""
    spec = chained.spec
    invariant(isinstance(spec, WindowSpec), f"{chained.name} is a {type(spec).__name__}, not a WindowSpec")
    assert isinstance(spec, WindowSpec)
    if not is_plain(spec):
        return GeneralWindowOperator(chained, spec)
    if isinstance(spec.assigner, TimeGridAssigner):
        return GridWindowOperator(chained, spec)
    if isinstance(spec.assigner, SessionAssigner):
        return SessionWindowOperator(chained, spec)
    return GeneralWindowOperator(chained, spec)


def is_plain(spec: WindowSpec) -> bool:
    """True when nothing but the end of the windows fires them and all their records stay.

    Subclasses of the assigners and triggers may do something else, so only the exact classes of this package count.
    """
    if spec.evictor is not None or not type(spec.assigner).__module__.startswith("millstream.core.api."):
        return False
    default = EventTimeTrigger if spec.assigner.is_event_time() else ProcessingTimeTrigger
    return spec.trigger is None or type(spec.trigger) is default
