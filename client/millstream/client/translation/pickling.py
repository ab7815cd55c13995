"""User code as bytes, and errors that say which variable cannot travel.

Functions of ``__main__`` and local functions travel by value, those of shipped modules by name. A local module that
workers could not import by its name (loaded from outside ``sys.path``) travels by value too. The JobManager has no
shipped modules, so sources, whose enumerators run there, travel wholly by value.
"""

from __future__ import annotations

import io
import types
from collections import ChainMap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import cloudpickle

from millstream.client.translation.culprit import explain
from millstream.client.translation.modules import ModuleArchive
from millstream.core.graph.specs import VertexPayload
from millstream.core.graph.stream_graph import StreamGraph

PICKLE_PROTOCOL: Final = 5
_NO_FILE: Final = "<dynamic-code>"


def dump_vertex(payload: VertexPayload, graph: StreamGraph, archive: ModuleArchive) -> bytes:
    """For slots, which have the shipped modules. ``PicklingError`` if something in the graph cannot travel."""
    return _dump(payload, graph, archive.not_importable)


def dump_source(source: Any, graph: StreamGraph, archive: ModuleArchive) -> bytes:
    """For the JobManager, which has none. ``PicklingError`` as above."""
    return _dump(source, graph, archive.modules)


def _dump(value: Any, graph: StreamGraph, by_value: Iterable[ModuleType]) -> bytes:
    with pickled_by_value(by_value):
        try:
            data = _dumps(value)
        except Exception as error:  # __reduce__ and __getstate__ of user classes may raise anything
            raise explain(graph, error) from None
    return data


def _dumps(value: Any) -> bytes:
    with io.BytesIO() as stream:
        _Pickler(stream, protocol=PICKLE_PROTOCOL).dump(value)
        return stream.getvalue()


def _code_with_file(code: types.CodeType) -> Any:
    """With the name of its file, which some versions of cloudpickle leave out: errors point at the user's line."""
    make, arguments = cloudpickle.Pickler.dispatch_table[types.CodeType](code)
    return make, tuple(code.co_filename if argument == _NO_FILE else argument for argument in arguments)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    dispatch_table = ChainMap({types.CodeType: _code_with_file}, cloudpickle.Pickler.dispatch_table)


@contextmanager
def pickled_by_value(modules: Iterable[ModuleType]) -> Iterator[None]:
    """Functions and classes of ``modules`` travel by value meanwhile."""
    registered = []
    try:
        for module in modules:
            if module.__name__ not in cloudpickle.list_registry_pickle_by_value():
                cloudpickle.register_pickle_by_value(module)
                registered.append(module)
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)
