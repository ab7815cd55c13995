"""What a program says of its states is compared with what was said when they were saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from millstream.core.api.state import MapStateDescriptor, StateDescriptor, ValueStateDescriptor
from millstream.core.api.types import Types
from millstream.core.errors import IncompatibleStateError
from millstream.core.graph.specs import KeyedProcessSpec
from millstream.datastream.functions import KeyedProcessFunction
from millstream.taskmanager.operators.declared_types import fits, type_text
from millstream.testing import OperatorHarness


@dataclass
class Seen:
    number: int


class Keep(KeyedProcessFunction):
    def __init__(self, *descriptors: StateDescriptor) -> None:
        self.descriptors = descriptors

    def open(self, runtime_context: Any) -> None:
        self.states = [
            runtime_context.get_map_state(descriptor)
            if isinstance(descriptor, MapStateDescriptor)
            else runtime_context.get_state(descriptor)
            for descriptor in self.descriptors
        ]

    def process_element(self, value: Any, ctx: Any) -> Any:
        for state in self.states:
            if hasattr(state, "put"):
                state.put("last", value)
            else:
                state.update(value)
        return []


def harness_of(*descriptors: StateDescriptor) -> OperatorHarness:
    return OperatorHarness(KeyedProcessSpec(Keep(*descriptors)), key_selector=lambda n: n % 2, name="keep")


def saved_by(*descriptors: StateDescriptor) -> Any:
    with harness_of(*descriptors) as harness:
        harness.push([1, 2])
        return harness.snapshot()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            ValueStateDescriptor("n", Types.LONG()),
            ValueStateDescriptor("n", Types.STRING()),
            "'n' cannot be restored: it was declared as LONG when it was saved and is STRING now",
        ),
        (
            MapStateDescriptor("m", Types.STRING(), Types.LIST(Types.LONG())),
            MapStateDescriptor("m", Types.STRING(), Types.LIST(Types.BOOLEAN())),
            r"'m' .* as MAP<STRING, LIST<LONG>> .* is MAP<STRING, LIST<BOOLEAN>> now",
        ),
    ],
)
def test_another_type_is_refused_with_operator_state_and_both_types(
    before: StateDescriptor, after: StateDescriptor, told: str
) -> None:
    snapshot = saved_by(before)
    with (
        pytest.raises(IncompatibleStateError, match=f"operator 'keep': the state {told}"),
        harness_of(after) as changed,
    ):
        changed.restore(snapshot)


def test_what_fits_goes_on_and_what_nobody_asked_for_is_still_known() -> None:
    first = ValueStateDescriptor("n", Types.LONG())
    snapshot = saved_by(first, ValueStateDescriptor("other", Types.LONG()))
    with harness_of(ValueStateDescriptor("n", Types.DOUBLE())) as harness:
        harness.restore(snapshot)
        later = harness.snapshot()
    for descriptor in (first, ValueStateDescriptor("other", Types.STRING())):
        with pytest.raises(IncompatibleStateError), harness_of(descriptor) as changed:
            changed.restore(later)
    with harness_of(ValueStateDescriptor("n"), ValueStateDescriptor("other")) as undeclared:
        undeclared.restore(later)


@pytest.mark.parametrize(
    ("before", "now", "fit"),
    [
        (Types.INT(), Types.LONG(), True),
        (Types.LONG(), Types.INT(), False),
        (Types.INT(), Types.DOUBLE(), True),
        (Types.DOUBLE(), Types.INT(), False),
        (Types.FLOAT(), Types.DOUBLE(), True),
        (Types.CHAR(), Types.STRING(), True),
        (Types.TUPLE([Types.INT(), Types.STRING()]), Types.TUPLE([Types.LONG(), Types.STRING()]), True),
        (Types.TUPLE([Types.INT()]), Types.TUPLE([Types.INT(), Types.INT()]), False),
        (Types.LIST(Types.INT()), Types.PICKLED_BYTE_ARRAY(), True),
        (Types.LIST(Types.INT()), Types.INT(), False),
        (Types.RECORD(Seen), Types.STRING(), False),
    ],
)
def test_wider_types_fit(before: Any, now: Any, fit: bool) -> None:
    assert fits(type_text(before), type_text(now)) is fit


def test_types_in_words() -> None:
    assert type_text(Types.LIST(Types.RECORD(Seen))) == "LIST<Seen>"
    assert type_text((None, None)) == type_text(None) == type_text("INT") == ""
    assert type_text((Types.STRING(), None)) == "MAP<STRING, ANY>"
