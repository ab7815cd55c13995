"""Classes by reference: the import name where there is one, else the class itself, pickled once."""

from __future__ import annotations

import importlib
import pickle
import sys
from typing import Any, Final

import cloudpickle

from millstream.core.errors import MalformedRecordError
from millstream.core.serde.evolution import note

_CACHE_ENTRIES_MAX: Final = 1024
_references: dict[type, list[Any]] = {}
_classes: dict[bytes, type] = {}


def class_reference(record_class: type) -> list[Any]:
    """``[module, qualified name]``, or ``[pickled class]`` for a class of the script itself."""
    note(record_class)
    reference = _references.get(record_class)
    if reference is None:
        module, name = record_class.__module__, record_class.__qualname__
        if module != "__main__" and _lookup(sys.modules.get(module), name) is record_class:
            reference = [module, name]
        else:
            reference = [cloudpickle.dumps(record_class)]
        if len(_references) >= _CACHE_ENTRIES_MAX:
            _references.clear()
        _references[record_class] = reference
    return reference


def class_from_reference(reference: list[Any]) -> type:
    """The inverse. Raises ``MalformedRecordError`` when the module or the class is not here."""
    if len(reference) == 1:
        pickled = reference[0]
        record_class = _classes.get(pickled)
        if record_class is None:
            record_class = pickle.loads(pickled)
            if len(_classes) >= _CACHE_ENTRIES_MAX:
                _classes.clear()
            _classes[pickled] = record_class
        return record_class
    module, name = reference
    found = _lookup(sys.modules.get(module) or importlib.import_module(module), name)
    if not isinstance(found, type):
        raise MalformedRecordError(f"the record class {module}.{name} does not exist in this process")
    return found


def _lookup(module: Any, name: str) -> Any:
    found = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
