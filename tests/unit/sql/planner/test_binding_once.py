"""A query is bound once, however deep it stands in others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlglot import exp

from millstream.sql.catalog.catalog_manager import CatalogManager
from millstream.sql.parser import parse_statement
from millstream.sql.parser.statements import Query
from millstream.sql.plan.nodes import Node
from millstream.sql.planner.planner import Planner
from millstream.sql.planner.services import CatalogServices
from millstream.sql.planner.settings import PlannerSettings

DEPTH = 12


class CountingServices(CatalogServices):
    """Counts how often a table is looked up: once a FROM that is bound."""

    lookups = 0

    def table(self, path: Sequence[str], node: exp.Expr, options: dict[str, str]) -> Node:
        self.lookups += 1
        return super().table(path, node, options)


def nested(inner: str) -> str:
    """``SELECT k FROM small`` with a subquery in WHERE, to the depth of DEPTH."""
    sql = "SELECT k FROM small"
    for _ in range(DEPTH):
        sql = f"SELECT k FROM small WHERE {inner.format(sql)}"
    return sql


@pytest.mark.parametrize("inner", ["k IN ({})", "EXISTS ({})", "k NOT IN ({})", "k = ({})", "k < 1 + ({})"])
def test_each_level_of_subqueries_is_bound_once(inner: str, catalogs: CatalogManager) -> None:
    statement = parse_statement(nested(inner))
    assert isinstance(statement, Query)
    services = CountingServices(catalogs)
    Planner(services, PlannerSettings()).bind(statement.ast)
    assert services.lookups == DEPTH + 1
