"""The table connectors of this installation: entry points of the group ``millstream.table_connectors``.

A third party adds its own with a line in its ``pyproject.toml``, as ours has them::

    [project.entry-points."millstream.table_connectors"]
    blackhole = "millstream.connectors.tables.blackhole:BlackholeConnector"

The name is what ``'connector' = '...'`` says. A connector's module is imported when it is first asked for.
"""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from millstream.core.config.configuration import nearest
from millstream.core.errors import ConfigError
from millstream.core.table.connectors import TableConnector, TableDescription

GROUP: Final = "millstream.table_connectors"


def table_connectors() -> tuple[str, ...]:
    """The identifiers of all connectors, sorted; imports none of them."""
    return tuple(sorted(_registered()))


def table_connector(identifier: str, place: str = "") -> TableConnector:
    """The connector of that name. ``place`` says who asks, for messages.

    Raises ``ConfigError`` when there is none (naming the nearest), when two distributions claim the name, and when
    what stands behind it is no ``TableConnector`` or cannot be imported.
    """
    where = f"{place}: " if place else ""
    found = _registered().get(identifier, ())
    if not found:
        near = nearest(identifier, list(table_connectors()))
        hint = f"Did you mean {near!r}? " if near else ""
        raise ConfigError(
            f"{where}unknown connector {identifier!r}. {hint}Installed: {', '.join(table_connectors()) or 'none'}. "
            f"A package adds one by an entry point of the group {GROUP}."
        )
    if len(found) > 1:
        raise ConfigError(
            f"{where}connector {identifier!r} is claimed by {' and by '.join(point.value for point in found)}. "
            "Uninstall one of the packages."
        )
    return _load(found[0])


def connector_of(description: TableDescription) -> TableConnector:
    """The connector that the table's options name. Raises ``ConfigError`` as ``table_connector``."""
    identifier = description.options.get("connector")
    if identifier is None:
        raise ConfigError(
            f"{description.place} has no option 'connector'. Installed: {', '.join(table_connectors()) or 'none'}."
        )
    return table_connector(identifier, description.place)


@functools.cache
def _registered() -> dict[str, tuple[EntryPoint, ...]]:
    by_name: dict[str, dict[str, EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        by_name.setdefault(point.name, {})[point.value] = point
    return {name: tuple(points.values()) for name, points in by_name.items()}


@functools.cache
def _load(point: EntryPoint) -> TableConnector:
    try:
        made = point.load()()
    except Exception as error:
        raise ConfigError(f"connector {point.name!r} ({point.value}) cannot be loaded: {error}") from error
    if not isinstance(made, TableConnector):
        raise ConfigError(f"connector {point.name!r} ({point.value}) is no TableConnector but {type(made).__name__}.")
    return made
