"""What cannot be pickled is named: operator, function with its line, and the way to the variable."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest
from graphs import graph, node

from millstream.client.translate import translate
from millstream.client.translation.culprit import explain, find_culprit
from millstream.core.api.functions import MapFunction
from millstream.core.errors import PicklingError
from millstream.core.graph.specs import MapSpec

LOCK = threading.Lock()


class Client:
    """Holds what cannot travel."""

    def __init__(self) -> None:
        self.name = "client"
        self.session = {"lock": threading.Lock()}

    def call(self, value: Any) -> Any:
        return value


class Slotted:
    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Enrich(MapFunction[Any, Any]):
    def __init__(self) -> None:
        self.client = Client()

    def map(self, value: Any) -> Any:
        return self.client.call(value)


class Refusing:
    def __reduce__(self) -> Any:
        raise ValueError("not me")


def global_user(value: Any) -> Any:
    return LOCK, value


def closure_user() -> Callable[[Any], Any]:
    client = Client()
    return lambda value: client.call(value)


def nested_user() -> Callable[[Any], Any]:
    inner = closure_user()
    return lambda value: [inner(item) for item in value]


def default_user(value: Any, lock: Any = LOCK) -> Any:
    return lock, value


def generator_user() -> Callable[[Any], Any]:
    lines = (number for number in range(3))
    return lambda value: next(lines) + value


CASES = [
    (global_user, ["global variable 'LOCK'"]),
    (closure_user(), ["variable 'client' of the enclosing function", "attribute 'session' of a Client", "item 'lock'"]),
    (nested_user(), ["variable 'inner' of the enclosing function", "variable 'client' of the enclosing function"]),
    (default_user, ["default value of its parameter 'lock'"]),
    (Enrich(), ["attribute 'client' of a Enrich", "attribute 'session' of a Client", "item 'lock'"]),
    (Client().call, ["the Client it is a method of", "attribute 'session'"]),
    (functools.partial(sorted, key=LOCK), ["argument 'key' of the partial"]),
    (functools.partial(max, [LOCK]), ["argument 0 of the partial", "item 0"]),
    (Slotted(), ["attribute 'lock' of a Slotted"]),
]


@pytest.fixture(autouse=True)
def this_module_travels_by_value() -> Any:
    """As if it were ``__main__``."""
    import sys

    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    yield
    cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.parametrize(("function", "steps"), CASES)
def test_the_way_to_the_culprit(function: Any, steps: list[str]) -> None:
    culprit = find_culprit(function)
    assert culprit is not None
    way = " > ".join(culprit.steps)
    positions = [way.find(step) for step in steps]
    assert -1 not in positions and positions == sorted(positions), way
    assert type(culprit.value).__name__ == "lock"
    assert "cannot pickle" in culprit.reason


def test_what_can_be_pickled_has_no_culprit() -> None:
    assert find_culprit(lambda value: value + 1) is None


def test_an_object_that_refuses_is_its_own_culprit() -> None:
    culprit = find_culprit({"a": [Refusing()]})
    assert culprit is not None
    assert isinstance(culprit.value, Refusing) and culprit.reason == "ValueError: not me"


def test_cycles_end() -> None:
    loop: list[Any] = [LOCK]
    loop.insert(0, loop)
    culprit = find_culprit(loop)
    assert culprit is not None and culprit.value is LOCK


def test_the_message_names_operator_function_line_and_remedy() -> None:
    made = graph("source -> map -> sink")
    mapping = node(made, "map")
    mapping.spec, mapping.defined_at = MapSpec(closure_user()), "job.py:12"
    with pytest.raises(PicklingError) as caught:
        translate(made, "0" * 32, {})
    message, place = str(caught.value), caught.value.place
    line = closure_user.__code__.co_firstlineno + 2
    assert "operator 'map' (job.py:12)" in message
    assert f"<lambda> ({__file__}, line {line})" in message
    assert "the global variable" not in message and "'client'" in message and "_thread.lock" in message
    assert "open()" in message
    assert (place.operator, place.file, place.line) == ("map", __file__, line)


def test_key_selectors_are_named_too() -> None:
    made = graph("source => reduce -> sink")
    made.edges[0].key_selector = closure_user()
    node(made, "reduce").key_selectors = (made.edges[0].key_selector,)
    error = explain(made, TypeError("x"))
    assert "operator 'reduce'" in str(error) and "key selector <lambda>" in str(error)


def test_a_generator_gets_its_own_advice() -> None:
    made = graph("source -> map -> sink")
    node(made, "map").spec = MapSpec(generator_user())
    assert "Make a list" in str(explain(made, TypeError("x")))
