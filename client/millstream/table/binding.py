"""What an operation on a table means: the relation of a query whose FROM holds the tables.

Operations build the syntax tree that the same query in SQL would have, with tables under names that no user can write,
and give it to the binder of SQL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from sqlglot import exp

from millstream.client.queries.runner import planner_settings
from millstream.core.errors import MillstreamError
from millstream.datastream.call_site import refuse
from millstream.sql.binder.query import QueryBinder
from millstream.sql.plan.nodes import Node
from millstream.sql.planner.services import CatalogServices
from millstream.table.expression import NOTHING, Attached

if TYPE_CHECKING:
    from millstream.sql.session.runner import SessionContext

T = TypeVar("T")

_CATALOG, _DATABASE = "$program", "tables"


def table_item(name: str) -> exp.Table:
    """How a table that is attached to the query under ``name`` stands in FROM."""
    names = (name, _DATABASE, _CATALOG)
    parts = {
        key: exp.to_identifier(part, quoted=True) for key, part in zip(("this", "db", "catalog"), names, strict=True)
    }
    return exp.Table(**parts)


def bind(context: SessionContext, query: exp.Expr, attached: Attached) -> Node:
    """The relation of ``query``. Raises ``JobGraphError`` with the user's line."""
    services = services_of(context, attached)
    return placed(lambda: QueryBinder(services).bind(query).node)


def services_of(context: SessionContext, attached: Attached = NOTHING) -> CatalogServices:
    """The session's names, and those of tables and functions of the program."""
    inline: dict[tuple[str, ...], Node] = {
        (_CATALOG, _DATABASE, name): found for name, found in attached.items() if isinstance(found, Node)
    }
    functions = {name: found for name, found in attached.items() if not isinstance(found, Node)}
    return CatalogServices(context.catalogs, batch=planner_settings(context).batch, inline=inline, functions=functions)


def placed(make: Callable[[], T]) -> T:
    """Errors of binder and planner, which know no place, get the line of the user's program."""
    try:
        return make()
    except MillstreamError as error:
        raise refuse(error.message) from error
