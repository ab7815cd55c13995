"""A session's catalogs with a few tables, and a planner over them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from millstream.core.config import Configuration, load
from millstream.sql.catalog.catalog_manager import CatalogManager
from millstream.sql.parser import parse_statement
from millstream.sql.parser.statements import Query
from millstream.sql.planner.planner import PlannedJob, Planner
from millstream.sql.planner.services import CatalogServices
from millstream.sql.planner.settings import PlannerSettings
from millstream.sql.session.sql_session import SqlSession

TABLES = """
CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '4' SECOND) WITH ('connector' = 'datagen');
CREATE TABLE auction (id BIGINT, seller BIGINT, category INT, ts TIMESTAMP(3), expires TIMESTAMP(3),
  WATERMARK FOR ts AS ts) WITH ('connector' = 'datagen');
CREATE TABLE item (info ROW<id BIGINT, name STRING, tags ARRAY<STRING>>, kind INT) WITH ('connector' = 'datagen');
CREATE TABLE rates (currency STRING NOT NULL, rate DECIMAL(10, 4), ts TIMESTAMP(3), WATERMARK FOR ts AS ts,
  PRIMARY KEY (currency) NOT ENFORCED) WITH ('connector' = 'datagen');
CREATE TABLE small (k INT NOT NULL, v STRING) WITH ('connector' = 'values', 'data' = '[[1, "a"]]');
CREATE VIEW dear AS SELECT auction, price FROM bid WHERE price > 100;
"""


@pytest.fixture
def catalogs() -> CatalogManager:
    session = SqlSession(load(None, {}))
    for _ in session.execute_script(TABLES):
        pass
    return session.catalogs


@pytest.fixture
def configuration() -> Configuration:
    return load(None, {})


@pytest.fixture
def plan(catalogs: CatalogManager) -> Callable[..., PlannedJob]:
    """``plan(sql, batch=False)``: the planned job of a query."""

    def make(sql: str, **settings: object) -> PlannedJob:
        statement = parse_statement(sql)
        assert isinstance(statement, Query)
        planner_settings = PlannerSettings(**settings)  # type: ignore[arg-type]
        services = CatalogServices(catalogs, batch=planner_settings.batch)
        return Planner(services, planner_settings).plan_query(statement.ast)

    return make
