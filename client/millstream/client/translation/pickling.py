"""User code as bytes, and errors that say which variable cannot travel.

Functions of ``__main__`` and local functions travel by value, those of shipped modules by name. A local module that
workers could not import by its name (loaded from outside ``sys.path``) travels by value too. The JobManager has no
shipped modules, so sources, whose enumerators run there, travel wholly by value.
"""

from __future__ import annotations

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


def dump_vertex(payload: VertexPayload, graph: StreamGraph, archive: ModuleArchive) -> bytes:
    """For slots, which have the shipped modules. ``PicklingError`` if something in the graph cannot travel."""
    return _dump(payload, graph, archive.not_importable)


def dump_source(source: Any, graph: StreamGraph, archive: ModuleArchive) -> bytes:
    """For the JobManager, which has none. ``PicklingError`` as above."""
    return _dump(source, graph, archive.modules)


def _dump(value: Any, graph: StreamGraph, by_value: Iterable[ModuleType]) -> bytes:
    with pickled_by_value(by_value):
        try:
            data: bytes = cloudpickle.dumps(value, protocol=PICKLE_PROTOCOL)
        except Exception as error:  # __reduce__ and __getstate__ of user classes may raise anything
            raise explain(graph, error) from None
    return data


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
