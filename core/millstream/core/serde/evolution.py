"""Records whose class has changed since they were saved.

Saved records are a reference to their class and the values of its fields in order. Beside them stand the fields that
the class had: their names and annotations. When the class has other fields now, values find theirs by name: a new field
takes its default, one that is gone is left out. A field that is there with another type, or is new without a default,
makes the state unreadable, which is said before anything runs.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import cloudpickle

from millstream.core.errors import IncompatibleStateError

Fields = list[list[str]]
"""``[name, annotation]`` of each field in order."""
ClassFields = dict[str, Fields]
"""By ``module:qualified name``."""

_seen: ContextVar[ClassFields | None] = ContextVar("seen", default=None)
_former: ContextVar[ClassFields | None] = ContextVar("former", default=None)
_script_classes: dict[str, type] = {}

_WIDER: Final = {("int", "float"), ("bool", "int")}


@contextmanager
def noting_classes() -> Iterator[ClassFields]:
    """Collect the record classes that are encoded inside."""
    found: ClassFields = {}
    token = _seen.set(found)
    try:
        yield found
    finally:
        _seen.reset(token)


@contextmanager
def saved_with(former: ClassFields) -> Iterator[None]:
    """What is decoded inside was saved when classes had these fields."""
    token = _former.set(former)
    try:
        yield
    finally:
        _former.reset(token)


def note(record_class: type) -> None:
    """A record of this class is encoded."""
    seen = _seen.get()
    if seen is not None and _name(record_class) not in seen:
        seen[_name(record_class)] = fields_of(record_class)


@contextmanager
def loading_code() -> Iterator[None]:
    """The job's code is unpickled inside: what was saved of a script's class becomes one of its classes again.

    State brings classes of its own, those that were saved; they must not be taken for the job's.
    """
    before = set(map(id, _script_classes_known()))
    yield
    _script_classes.update({_name(known): known for known in _script_classes_known() if id(known) not in before})


def _script_classes_known() -> list[type]:
    tracker = getattr(cloudpickle.cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID", {})
    return list(tracker.values())


def maker(record_class: type) -> Callable[..., Any]:
    """What makes records from the saved values of their fields. Raises ``IncompatibleStateError``."""
    former = _former.get()
    if former is None:
        return record_class
    current = _script_classes.get(_name(record_class), record_class)
    before = former.get(_name(record_class))
    if before is None or before == fields_of(current):
        return current
    return _migration(current, before)


def have_changed(saved: ClassFields) -> bool:
    """Whether a class has other fields now, or cannot be found by its name."""
    return any(saved[name] != _fields_now(name) for name in saved)


def _fields_now(name: str) -> Fields | None:
    found: Any = _script_classes.get(name)
    if found is None:
        module, qualified = name.split(":")
        found = sys.modules.get(module)
        for part in qualified.split("."):
            found = getattr(found, part, None)
    return fields_of(found) if isinstance(found, type) else None


def fields_of(record_class: type) -> Fields:
    """Of a dataclass or NamedTuple."""
    if dataclasses.is_dataclass(record_class):
        return [[field.name, _text(field.type)] for field in dataclasses.fields(record_class)]
    annotations = getattr(record_class, "__annotations__", {})
    return [[name, _text(annotations.get(name, ""))] for name in getattr(record_class, "_fields", ())]


def _migration(current: type, before: Fields) -> Callable[..., Any]:
    former = {field[0]: field[1] for field in before}
    now = {field[0]: field[1] for field in fields_of(current)}
    for name, annotation in now.items():
        if name in former:
            if not _fits(former[name], annotation):
                raise IncompatibleStateError(
                    f"field {name!r} of {current.__qualname__} was {former[name]} when the state was saved and is "
                    f"{annotation} now"
                )
        elif not _has_default(current, name):
            raise IncompatibleStateError(
                f"field {name!r} of {current.__qualname__} is new since the state was saved: give it a default"
            )
    places = [(place, name) for place, (name, _) in enumerate(before) if name in now]

    def make(*values: Any) -> Any:
        return current(**{name: values[place] for place, name in places})

    return make


def _fits(before: str, now: str) -> bool:
    """Whether values of the one type are values of the other."""
    if before == now or not before or now in ("", "Any", "typing.Any", "object") or (before, now) in _WIDER:
        return True
    choices = {part.strip() for part in now.replace("Optional[", "").replace("]", "").split("|")}
    if now.startswith(("Optional[", "typing.Optional[")):
        choices.add("None")
    return {part.strip() for part in before.split("|")} <= choices


def _has_default(record_class: type, name: str) -> bool:
    if dataclasses.is_dataclass(record_class):
        missing = type(dataclasses.MISSING)  # a class that came pickled has an instance of its own
        field = next(field for field in dataclasses.fields(record_class) if field.name == name)
        return not isinstance(field.default, missing) or not isinstance(field.default_factory, missing)
    return name in getattr(record_class, "_field_defaults", {})


def _text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else str(getattr(annotation, "__name__", annotation))


def _name(record_class: type) -> str:
    return f"{record_class.__module__}:{record_class.__qualname__}"
