"""Finds what in a user's function cannot be pickled: the operator, the function, and the way to the variable.

Only runs after pickling has failed, so it may pickle parts again and again; the number of attempts is bounded.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import cloudpickle

from millstream.client.translation.checks import describe
from millstream.core.errors import ErrorPlace, PicklingError
from millstream.core.graph.stream_graph import StreamGraph, StreamNode

ATTEMPTS_MAX: Final = 5000
ITEMS_MAX: Final = 1000
"""Of a container that are looked at."""


@dataclass(frozen=True)
class Culprit:
    """``steps`` lead from a function to ``value``, which is whole in itself and cannot be pickled."""

    steps: tuple[str, ...]
    value: Any
    reason: str


def explain(graph: StreamGraph, error: Exception) -> PicklingError:
    """The error for a graph that cannot be pickled; ``error`` is what pickling it raised."""
    for node in graph.nodes.values():
        for role, part in _parts_of_node(graph, node):
            reason = _failure(part)
            if reason is not None:
                return _pickling_error(node, role, part, find_culprit(part) or Culprit((), part, reason))
    return PicklingError(f"the program's functions cannot be sent to the cluster: {type(error).__name__}: {error}")


def find_culprit(root: Any) -> Culprit | None:
    """The innermost part of ``root`` that cannot be pickled; None if ``root`` can."""
    return _Search().search(root, ())


class _Search:
    """Depth first; an object is looked at once."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._attempts = 0

    def search(self, value: Any, steps: tuple[str, ...]) -> Culprit | None:
        self._attempts += 1
        self._seen.add(id(value))
        reason = _failure(value)
        if reason is None:
            return None
        for step, part in parts_of(value):
            if id(part) in self._seen or self._attempts >= ATTEMPTS_MAX:
                continue
            found = self.search(part, (*steps, step))
            if found is not None:
                return found
        return Culprit(steps, value, reason)


def parts_of(value: Any) -> Iterator[tuple[str, Any]]:
    """What pickling ``value`` by value would have to pickle, with words for the way to it."""
    if isinstance(value, types.FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, types.MethodType):
        yield f"the {type(value.__self__).__name__} it is a method of", value.__self__
        yield "its function", value.__func__
    elif isinstance(value, functools.partial):
        yield "the function of the partial", value.func
        for position, argument in enumerate(value.args):
            yield f"argument {position} of the partial", argument
        for name, argument in value.keywords.items():
            yield f"argument {name!r} of the partial", argument
    elif isinstance(value, dict):
        for key, item in list(value.items())[:ITEMS_MAX]:
            yield f"the item {key!r:.60}", item
            yield f"the key {key!r:.60}", key
    elif isinstance(value, list | tuple | set | frozenset):
        for position, item in enumerate(list(value)[:ITEMS_MAX]):
            yield f"the item {position}", item
    elif isinstance(value, type):
        for name, member in vars(value).items():
            if not name.startswith("__") or isinstance(member, types.FunctionType):
                yield f"the class attribute {name!r}", getattr(member, "__func__", member)
    elif not isinstance(value, types.ModuleType):
        yield from _parts_of_object(value)


def _parts_of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f"the variable {name!r} of the enclosing function", cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    for name in _global_names(function.__code__):
        if name in function.__globals__:
            yield f"the global variable {name!r}", function.__globals__[name]
    signature = inspect.signature(function)
    for parameter in signature.parameters.values():
        if parameter.default is not inspect.Parameter.empty:
            yield f"the default value of its parameter {parameter.name!r}", parameter.default
    for name, attribute in vars(function).items():
        yield f"its attribute {name!r}", attribute


def _global_names(code: types.CodeType) -> list[str]:
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(dict.fromkeys(_global_names(constant)))
    return list(names)


def _parts_of_object(value: Any) -> Iterator[tuple[str, Any]]:
    attributes = dict(getattr(value, "__dict__", {}))
    for base in type(value).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                attributes.setdefault(name, getattr(value, name))
    for name, attribute in attributes.items():
        yield f"the attribute {name!r} of a {type(value).__name__}", attribute
    yield f"the class {type(value).__name__}", type(value)


def _failure(value: Any) -> str | None:
    try:
        cloudpickle.dumps(value, protocol=5)
    except Exception as error:  # whatever a user's __reduce__ raises
        return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return None


def _parts_of_node(graph: StreamGraph, node: StreamNode) -> Iterable[tuple[str, Any]]:
    """The user's objects of one operator with their role."""
    for field in dataclasses.fields(node.spec):
        yield field.name, getattr(node.spec, field.name)
    for selector in node.key_selectors:
        yield "key selector", selector
    for edge in graph.inputs_of(node.node_id):
        yield "key selector", edge.key_selector
        yield "partitioner", edge.custom_partitioner


def _pickling_error(node: StreamNode, role: str, part: Any, culprit: Culprit) -> PicklingError:
    file, line = place_of(part)
    where = f" ({file}, line {line})" if file else ""
    name = name_of(part)
    kind = f"{type(culprit.value).__module__}.{type(culprit.value).__qualname__}".removeprefix("builtins.")
    found = f" uses {' in '.join(reversed(culprit.steps))}: a {kind}" if culprit.steps else f" is a {kind}"
    return PicklingError(
        f"operator {describe(node)}: its {role} {name}{where}{found}, which cannot be sent to the cluster "
        f"({culprit.reason}).\n{_remedy(culprit.value)}",
        place=ErrorPlace(operator=node.name, function=name, file=file, line=line),
    )


def name_of(part: Any) -> str:
    """What the user calls a function or object."""
    name = getattr(part, "__qualname__", None) or type(part).__qualname__
    return str(name).rpartition("<locals>.")[2]


def place_of(part: Any) -> tuple[str, int]:
    """File and line where the user defines a function or the class of an object; empty and 0 if unknown."""
    function = inspect.unwrap(part) if callable(part) and not isinstance(part, type) else part
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is not None:
        return code.co_filename, code.co_firstlineno
    kind = part if isinstance(part, type) else type(part)
    for member in vars(kind).values():
        code = getattr(member, "__code__", None)
        if code is not None and not kind.__module__.startswith("millstream."):
            return code.co_filename, code.co_firstlineno
    return "", 0


def _remedy(value: Any) -> str:
    module = type(value).__module__
    if module.startswith("millstream.datastream"):
        return "Functions run in the cluster, where there are no streams: work with their argument, the record, only."
    if isinstance(value, types.GeneratorType):
        return "Make a list of what the generator yields, or create the generator inside the function."
    return (
        "Create it where the function runs: in open() of a function class (MapFunction, ProcessFunction, ...), or "
        "inside the function. Only what can be pickled may be captured."
    )
