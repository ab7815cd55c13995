"""What stands between a query and the table that it writes."""

from __future__ import annotations

from dataclasses import replace

from millstream.connectors.tables.blackhole import BlackholeConnector
from millstream.core.config import load
from millstream.core.elements.batch import RowKind
from millstream.core.table.connectors import ChangelogMode, TableDescription
from millstream.sql.parser import parse_statement
from millstream.sql.parser.statements import Insert
from millstream.sql.planner.planner import InsertPlan, Planner
from millstream.sql.planner.services import CatalogServices
from millstream.sql.planner.settings import PlannerSettings
from millstream.sql.session.sql_session import SqlSession

TABLES = """
CREATE TABLE bid (auction BIGINT, bidder BIGINT, price BIGINT) WITH ('connector' = 'datagen');
CREATE TABLE highest (bidder BIGINT, price BIGINT NOT NULL, PRIMARY KEY (bidder) NOT ENFORCED)
  WITH ('connector' = 'blackhole');
"""


class UpsertConnector(BlackholeConnector):
    """Takes the last row of each key, as a database does: not what was before it."""

    def accepted_changelog(self, description: TableDescription, requested: ChangelogMode) -> ChangelogMode:
        return requested - {RowKind.UPDATE_BEFORE}


def written(sql: str, settings: PlannerSettings | None = None) -> str:
    """The operators of an INSERT, from its sink to its source."""
    session = SqlSession(load(None, {}))
    for _ in session.execute_script(TABLES):
        pass
    insert = parse_statement(sql)
    assert isinstance(insert, Insert)
    services = CatalogServices(session.catalogs)
    table = replace(services.sink(insert.path, {}), connector=UpsertConnector())
    plan = InsertPlan(insert.query, table)
    text = Planner(services, settings or PlannerSettings()).plan_inserts([plan]).explain()
    lines = text.partition("== Operators ==")[2].strip().splitlines()
    return " < ".join(line.strip().split("] ")[1].split("(")[0] for line in lines if "Exchange(" not in line)


def test_columns_that_must_not_be_null_are_checked_also_where_the_last_row_of_a_key_is_kept() -> None:
    by_other_key = "INSERT INTO highest SELECT MAX(bidder), MAX(price) FROM bid GROUP BY auction"
    assert "highest < SinkUpsertMaterializer < NotNullEnforcer < " in written(by_other_key)
    by_key = "INSERT INTO highest SELECT bidder, MAX(price) FROM bid GROUP BY bidder"
    assert "highest < NotNullEnforcer < " in written(by_key)
    assert "highest < SinkUpsertMaterializer < NotNullEnforcer < " in written(
        by_key, PlannerSettings(upsert_materialize="FORCE")
    )
    assert "Materializer" not in written(by_other_key, PlannerSettings(upsert_materialize="NONE"))
