"""Checks of what users pass to the API, and wrapping of plain functions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from millstream.core.api.functions import KeySelector, ReduceFunction
from millstream.core.errors import JobGraphError
from millstream.datastream.call_site import call_site


def refuse(message: str) -> JobGraphError:
    """An error about the user's program, with the line it stands on."""
    where = call_site()
    return JobGraphError(f"{where}: {message}" if where else message)


def function_argument(function: Any, method: str, call: str) -> Any:
    """``function`` if it is callable or has ``method``; else an error naming ``call``."""
    if hasattr(function, method) or (callable(function) and not isinstance(function, type)):
        return function
    raise refuse(f"{call} takes a function or an object with a method {method!r}, not {function!r:.100}")


def instance_argument(function: Any, methods: tuple[str, ...], call: str, base: str) -> Any:
    """An object with all ``methods``; else an error that names the class to subclass."""
    if isinstance(function, type):
        raise refuse(f"{call} takes an instance of {function.__name__}, not the class: write {function.__name__}()")
    missing = [method for method in methods if not callable(getattr(function, method, None))]
    if missing:
        raise refuse(f"{call} takes a {base}, but {function!r:.100} has no method {missing[0]!r}")
    return function


def reduce_argument(function: Any, call: str) -> ReduceFunction[Any] | Callable[[Any, Any], Any]:
    checked: ReduceFunction[Any] | Callable[[Any, Any], Any] = function_argument(function, "reduce", call)
    return checked


def key_selector_argument(selector: Any, call: str = "key_by") -> Callable[[Any], Any]:
    """A callable from record to key: of a KeySelector, a function, a position, a field name, or several of them."""
    if isinstance(selector, KeySelector) or hasattr(selector, "get_key"):
        get_key: Callable[[Any], Any] = selector.get_key
        return get_key
    if isinstance(selector, bool):
        raise refuse(f"{call} takes a key selector, not {selector!r}")
    if isinstance(selector, int):
        return operator.itemgetter(selector)
    if isinstance(selector, str):
        return FieldSelector(selector)
    if isinstance(selector, list | tuple) and selector and all(isinstance(item, int | str) for item in selector):
        return FieldsSelector(tuple(selector))
    if callable(selector):
        return selector  # type: ignore[no-any-return]
    raise refuse(f"{call} takes a function, a KeySelector, a tuple position or a field name, not {selector!r:.100}")


class FieldSelector:
    """The field ``name`` of a dict, Row, dataclass or NamedTuple; for Arrow streams the column."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.arrow_columns = (name,)

    def __call__(self, value: Any) -> Any:
        return value[self.name] if isinstance(value, dict) else getattr(value, self.name)


class FieldsSelector:
    """Several fields as a tuple."""

    def __init__(self, fields: tuple[int | str, ...]) -> None:
        self._selectors = tuple(
            operator.itemgetter(field) if isinstance(field, int) else FieldSelector(field) for field in fields
        )
        names = tuple(field for field in fields if isinstance(field, str))
        if len(names) == len(fields):
            self.arrow_columns = names

    def __call__(self, value: Any) -> Any:
        return tuple([selector(value) for selector in self._selectors])


def parallelism_argument(parallelism: Any, call: str) -> int:
    if not isinstance(parallelism, int) or isinstance(parallelism, bool) or not 1 <= parallelism <= 32768:
        raise refuse(f"{call} takes a whole number from 1 to 32768, not {parallelism!r}")
    return parallelism
