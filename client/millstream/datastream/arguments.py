"""Checks of what users pass to the API, so that misuse is told at the line where it stands, not in a slot."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from typing import Any, Final

from millstream.core.api import broadcast_functions, functions
from millstream.core.api.functions import Function, KeySelector
from millstream.core.api.plain_function import PlainFunction
from millstream.core.api.record_fields import FieldKey, FieldsKey
from millstream.core.api.row import Row
from millstream.core.api.types import TypeInformation
from millstream.core.graph.specs import KeySelectorCallable
from millstream.datastream.call_site import refuse

PARALLELISM_MAX: Final = 32768

_HOMES: Final = {
    functions.MapFunction: "map",
    functions.FilterFunction: "filter",
    functions.FlatMapFunction: "flat_map",
    functions.ReduceFunction: "reduce",
    functions.AggregateFunction: "aggregate on a window",
    functions.KeyedCoProcessFunction: "process on two connected keyed streams",
    functions.CoProcessFunction: "process on two connected streams",
    broadcast_functions.KeyedBroadcastProcessFunction: "process on a keyed stream connected with a broadcast one",
    broadcast_functions.BroadcastProcessFunction: "process on a stream connected with a broadcast one",
    functions.CoMapFunction: "map on two connected streams",
    functions.CoFlatMapFunction: "flat_map on two connected streams",
    functions.KeyedProcessFunction: "process behind key_by",
    functions.ProcessFunction: "process",
    functions.ProcessWindowFunction: "process on a window behind key_by",
    functions.ProcessAllWindowFunction: "process on window_all",
    functions.WindowFunction: "apply on a window behind key_by",
    functions.AllWindowFunction: "apply on window_all",
    functions.KeySelector: "key_by",
    functions.Partitioner: "partition_custom",
}
"""Where each function class belongs."""
_WITH_BROADCAST_STATE: Final = (
    broadcast_functions.BroadcastProcessFunction,
    broadcast_functions.KeyedBroadcastProcessFunction,
)
"""They have the methods of others, but ask more of their contexts."""


def function_argument(function: Any, base: type[Function], method: str, call: str, arguments: int) -> Any:
    """``function``: an instance of ``base``, any object with ``method``, or a callable of ``arguments`` arguments."""
    if isinstance(function, type) and issubclass(function, Function):
        raise refuse(f"{call} takes an instance, not the class: write {function.__name__}().")
    if isinstance(function, base):
        if getattr(type(function), method) is getattr(base, method):
            raise refuse(f"{type(function).__name__} does not define {method}, which {call} calls.")
        return function
    if not isinstance(function, type) and callable(getattr(function, method, None)):
        return function
    if isinstance(function, Function):
        raise _misplaced(function, call, base)
    if not callable(function):
        raise refuse(f"{call} takes a function or a {base.__name__}, not {_kind(function)}.")
    _check_signature(function, arguments, call)
    return function


def class_argument(
    function: Any, bases: tuple[type[Function], ...], methods: tuple[str, ...], call: str, arguments: int = 0
) -> Any:
    """Like ``function_argument`` where operators need an object with ``methods``.

    With ``arguments`` a plain function of that many will do; it is made a ``PlainFunction`` with the first method.
    """
    if isinstance(function, type) and issubclass(function, Function):
        raise refuse(f"{call} takes an instance, not the class: write {function.__name__}().")
    if isinstance(function, _WITH_BROADCAST_STATE) and not isinstance(function, bases):
        raise _misplaced(function, call, bases[0])
    missing = [method for method in methods if not callable(getattr(function, method, None))]
    if not missing and not isinstance(function, type):
        return function
    if isinstance(function, Function):
        if isinstance(function, bases):
            raise refuse(f"{type(function).__name__} does not define {missing[0]}, which {call} calls.")
        raise _misplaced(function, call, bases[0])
    if not arguments or not callable(function):
        wanted = f"a function or a {bases[0].__name__}" if arguments else f"a {bases[0].__name__}"
        raise refuse(f"{call} takes {wanted}, not {_kind(function)}.")
    _check_signature(function, arguments, call)
    return PlainFunction(**{methods[0]: function})


def instance_argument(value: Any, kind: type, call: str, example: str) -> Any:
    """``value`` if it is a ``kind``; the error shows ``example``."""
    if isinstance(value, type) and issubclass(value, kind):
        raise refuse(f"{call} takes an instance of {value.__name__}, not the class.")
    if not isinstance(value, kind):
        raise refuse(f"{call} takes a {kind.__name__}, such as {example}, not {_kind(value)}.")
    return value


def key_selector_argument(selector: Any, record_type: TypeInformation | None, call: str) -> KeySelectorCallable:
    """From record to key: of a KeySelector, a function, a position, a field name, or a list of positions and names.

    Fields are checked against ``record_type`` where that is known.
    """
    if isinstance(selector, type) and issubclass(selector, Function):
        raise refuse(f"{call} takes an instance, not the class: write {selector.__name__}().")
    if isinstance(selector, KeySelector) or callable(getattr(selector, "get_key", None)):
        get_key: KeySelectorCallable = selector.get_key
        return get_key
    if isinstance(selector, Function):
        raise _misplaced(selector, call, KeySelector)
    if _is_field(selector):
        return _field_key(field_argument(selector, record_type, call), record_type)
    if isinstance(selector, list | tuple):
        if not selector or not all(_is_field(field) for field in selector):
            raise refuse(f"{call} takes a list of positions or names of fields, not {selector!r:.100}.")
        return FieldsKey(tuple(field_argument(field, record_type, call) for field in selector))
    if not callable(selector):
        raise refuse(
            f"{call} takes a function, a KeySelector, or the position or name of a field, not {_kind(selector)}."
        )
    _check_signature(selector, 1, call)
    found: KeySelectorCallable = selector
    return found


def field_argument(field: Any, record_type: TypeInformation | None, call: str) -> int | str:
    """``field``, which must be a position or name, and exist in ``record_type`` where that is known."""
    if not _is_field(field):
        raise refuse(f"{call} takes the position or name of a field, not {_kind(field)}.")
    checked: int | str = field
    if record_type is None or record_type.is_generic or not record_type.classes:
        return checked
    size = len(record_type.parameters)
    if isinstance(checked, str):
        is_map = record_type.name == "MAP"
        if checked not in record_type.names and not is_map and (record_type.names or _is_scalar(record_type)):
            raise refuse(f"{call}: the records have no field {checked!r}; {_fields_text(record_type)}.")
        if not record_type.names and tuple in record_type.classes and Row not in record_type.classes:
            raise refuse(f"{call}: the records have no field {checked!r}; {_fields_text(record_type)}.")
    elif (size and record_type.name not in ("MAP", "LIST", "SET") and not -size <= checked < size) or (
        _is_scalar(record_type) and checked != 0
    ):
        raise refuse(f"{call}: the records have no field {checked}; {_fields_text(record_type)}.")
    return checked


def parallelism_argument(parallelism: Any, call: str) -> int:
    if not isinstance(parallelism, int) or isinstance(parallelism, bool) or not 1 <= parallelism <= PARALLELISM_MAX:
        raise refuse(f"{call} takes a whole number from 1 to {PARALLELISM_MAX}, not {parallelism!r:.100}.")
    return parallelism


def text_argument(text: Any, call: str) -> str:
    if not isinstance(text, str) or not text:
        raise refuse(f"{call} takes a text that is not empty, not {text!r:.100}.")
    return text


def _is_field(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _is_scalar(record_type: TypeInformation) -> bool:
    return not record_type.parameters and not {list, dict, tuple, set, Row} & set(record_type.classes)


def _field_key(field: int | str, record_type: TypeInformation | None) -> KeySelectorCallable:
    """The fastest selector that fits the type; without one, whatever the records turn out to be."""
    classes = record_type.classes if record_type is not None else ()
    if isinstance(field, int):
        return operator.itemgetter(field) if classes and issubclass(classes[0], tuple) else FieldKey(field)
    if classes == (dict,):
        return operator.itemgetter(field)
    return FieldKey(field)


def _fields_text(record_type: TypeInformation) -> str:
    if record_type.names:
        return f"they are {record_type}"
    if record_type.parameters:
        return f"they are {record_type}, with positions 0 to {len(record_type.parameters) - 1}"
    return f"they are {record_type}, without fields"


def _misplaced(function: Function, call: str, wanted: type[Function]) -> Exception:
    name = type(function).__name__
    for base, home in _HOMES.items():
        if isinstance(function, base):
            kind = f"a {base.__name__}" if name == base.__name__ else f"{name}, a {base.__name__}"
            return refuse(f"{call} takes a {wanted.__name__}, not {kind}, which belongs in {home}.")
    return refuse(f"{call} takes a function or a {wanted.__name__}, not {name}.")


def _check_signature(function: Callable[..., Any], arguments: int, call: str) -> None:
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return  # builtins without one
    try:
        signature.bind(*[None] * arguments)
    except TypeError:
        counted = "1 argument" if arguments == 1 else f"{arguments} arguments"
        name = getattr(function, "__name__", repr(function))
        raise refuse(f"{call} calls its function with {counted}, but {name}{signature} takes others.") from None


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return f"{value!r:.60} of type {type(value).__name__}"
