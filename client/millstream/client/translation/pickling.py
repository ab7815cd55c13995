"""Pickling user code, with errors that name the variable that cannot travel."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator
from typing import Any, Final

import cloudpickle

from millstream.core.errors import ErrorPlace, PicklingError
from millstream.core.graph.specs import ChainedOperator

_DEPTH_MAX: Final = 6


def pickle_payload(payload: Any, operators: tuple[ChainedOperator, ...]) -> bytes:
    """The bytes of a vertex payload. Raises ``PicklingError`` in the user's words."""
    try:
        data: bytes = cloudpickle.dumps(payload)
        return data
    except Exception as error:  # pickling calls user code and raises many kinds
        for operator in operators:
            if not _is_picklable(operator):
                raise _explain(operator, error) from error
        raise PicklingError(f"the job's code cannot be pickled: {error}") from error


def pickle_source(source: Any, name: str, local_modules: list[types.ModuleType]) -> bytes:
    """A source for its enumerator in the JobManager, which has no modules of the job: they go by value."""
    with _by_value(local_modules):
        try:
            data: bytes = cloudpickle.dumps(source)
            return data
        except Exception as error:
            path, culprit = find_culprit(source, "source")
            raise PicklingError(
                f"the source {name!r} cannot be pickled: {path} is {_kind(culprit)}. {error}"
            ) from error


def find_culprit(value: Any, path: str, depth: int = 0, seen: set[int] | None = None) -> tuple[str, Any]:
    """``(path, value)`` of the innermost part of ``value`` that cannot be pickled."""
    seen = seen or set()
    if depth < _DEPTH_MAX and id(value) not in seen:
        seen.add(id(value))
        for name, part in _parts(value):
            if not _is_picklable(part):
                return find_culprit(part, f"{path}{name}", depth + 1, seen)
    return path, value


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What pickling ``value`` would pickle too, with a name for each."""
    if isinstance(value, types.MethodType):
        yield ".__self__", value.__self__
        return
    function = value if isinstance(value, types.FunctionType) else None
    if function is not None:
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            with contextlib.suppress(ValueError):
                yield f": the variable {name!r} of its closure", cell.cell_contents
        for name in function.__code__.co_names:
            if name in function.__globals__ and not isinstance(function.__globals__[name], types.ModuleType):
                yield f": the global variable {name!r}", function.__globals__[name]
        for name, default in zip(function.__code__.co_varnames, function.__defaults__ or (), strict=False):
            yield f": the default of {name!r}", default
        return
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif not isinstance(value, type):
        yield from ((f".{name}", item) for name, item in getattr(value, "__dict__", {}).items())


def _is_picklable(value: Any) -> bool:
    try:
        cloudpickle.dumps(value)
    except Exception:
        return False
    return True


def _explain(operator: ChainedOperator, error: Exception) -> PicklingError:
    for name, part in operator.spec.__dict__.items():
        if _is_picklable(part):
            continue
        described, file, line = _describe(part, name)
        path, culprit = find_culprit(part, described)
        return PicklingError(
            f"operator {operator.name!r} (defined at {operator.defined_at}) cannot be sent to the cluster: {path} is "
            f"{_kind(culprit)}, which cannot be pickled ({error}).\n"
            f"Make it in the function's open() method, which runs in the slot, or pass what it is made of.",
            place=ErrorPlace(operator=operator.name, function=described, file=file, line=line),
        )
    for selector in operator.key_selectors:
        if not _is_picklable(selector):
            path, culprit = find_culprit(selector, "its key selector")
            return PicklingError(
                f"operator {operator.name!r} (defined at {operator.defined_at}) cannot be sent to the cluster: "
                f"{path} is {_kind(culprit)}, which cannot be pickled.",
                place=ErrorPlace(operator=operator.name),
            )
    return PicklingError(f"operator {operator.name!r} cannot be pickled: {error}")


def _describe(part: Any, name: str) -> tuple[str, str, int]:
    """What the user calls a part of an operator, and where it is defined."""
    code = getattr(part, "__code__", None)
    if code is not None:
        return f"{part.__qualname__} ({code.co_filename}:{code.co_firstlineno})", code.co_filename, code.co_firstlineno
    return f"the {type(part).__qualname__} given as {name}", "", 0


def _kind(value: Any) -> str:
    kind = type(value)
    return f"a {kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else f"a {kind.__qualname__}"


@contextlib.contextmanager
def _by_value(modules: list[types.ModuleType]) -> Iterator[None]:
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
