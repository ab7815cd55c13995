"""Types of streams: what the user declared, else what annotations and first values say, else unknown (None)."""

from __future__ import annotations

import types
import typing
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from millstream.core.api.types import TypeInformation, infer_type, type_of_value
from millstream.datastream.call_site import refuse

_SAMPLE_VALUES: Final = 100
_SEVERAL: Final = {Iterable, Iterator, Generator, Sequence, AsyncIterator, list, tuple, set, frozenset}


def declared_type(declared: Any, call: str) -> TypeInformation | None:
    """The type for ``output_type=`` and the like: TypeInformation, a Python type or annotation, or None."""
    if declared is None or isinstance(declared, TypeInformation):
        return declared
    found = infer_type(declared)
    if found is None:
        raise refuse(
            f"{call} got {declared!r:.100} as a type. Give Types.STRING() and the like, or a Python type such as "
            f"int or tuple[str, int]; or leave it out."
        )
    return found


def returned_type(function: Any, method: str) -> TypeInformation | None:
    """The type of what ``function`` (or its ``method``) returns, by its annotation."""
    annotation = _return_annotation(function, method)
    return None if annotation is None else _infer(annotation)


def element_type(function: Any, method: str) -> TypeInformation | None:
    """The type of what comes out of a function that returns or yields several, by its annotation."""
    annotation = _return_annotation(function, method)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        several = [argument for argument in typing.get_args(annotation) if argument is not type(None)]
        annotation = several[0] if len(several) == 1 else None
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin not in _SEVERAL or not arguments:
        return None
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        alike = set(map(str, arguments))
        return _infer(arguments[0]) if len(alike) == 1 else None
    return _infer(arguments[0])


def type_of_values(values: Sequence[Any]) -> TypeInformation | None:
    """The type that the first values share; None if they differ or there are none."""
    found = {type_of_value(value) for value in islice(values, _SAMPLE_VALUES) if value is not None}
    return found.pop() if len(found) == 1 else None


def _return_annotation(function: Any, method: str) -> Any:
    if isinstance(function, type):
        return function  # map(str), map(Order): calling a class makes an instance
    target: Callable[..., Any] = getattr(function, method, function)
    if not isinstance(target, types.FunctionType | types.MethodType):
        target = getattr(target, "__call__", target)  # noqa: B004
    try:
        return typing.get_type_hints(target).get("return")
    except (NameError, TypeError, AttributeError):
        return None  # annotations that name what only type checkers see


def _infer(annotation: Any) -> TypeInformation | None:
    try:
        return infer_type(annotation)
    except (TypeError, ValueError):
        return None
