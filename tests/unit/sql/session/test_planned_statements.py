"""Statements of a session that plans but has no cluster: definitions are checked, plans are shown."""

import json

import pytest

from millstream.client.queries.runner import ClusterRunner
from millstream.core.config import load
from millstream.sql.parser import SqlError
from millstream.sql.session.results import Rows
from millstream.sql.session.sql_session import SqlSession

TABLE = "CREATE TABLE t (a INT, s STRING, ts TIMESTAMP(3)) WITH ('connector' = 'values', 'data' = '[]');\n"


@pytest.fixture
def session() -> SqlSession:
    return SqlSession(load(None, {"parallelism.default": 2}), runner=ClusterRunner())


def run(session: SqlSession, text: str) -> str:
    """The text that the last statement gives back."""
    *_, (_, result) = session.execute_script(text, "test.sql")
    return str(result.table.column(0)[0]) if isinstance(result, Rows) else ""


@pytest.mark.parametrize(
    ("statement", "place", "message"),
    [
        ("CREATE TABLE x (a INT, b AS c + 1)", (2, 29), "no column 'c'"),
        ("CREATE TABLE x (a INT, b AS UPER(a))", (2, 29), "Did you mean 'UPPER'?"),
        ("CREATE TABLE x (a INT, WATERMARK FOR a AS a)", (2, 43), "event time is a TIMESTAMP"),
        ("CREATE TABLE x (b AS s || 'x', c AS s + 1) LIKE t (EXCLUDING WATERMARKS)", (2, 37), "does not take STRING"),
        ("CREATE TABLE x (a STRING) LIKE t (EXCLUDING ALL)", (2, 1), "Physical columns of the other table are always"),
        ("ALTER TABLE t ADD b AS nope", (2, 24), "no column 'nope'"),
        ("ALTER TABLE t MODIFY a AS nope", (2, 27), "no column 'nope'"),
    ],
)
def test_columns_that_mean_nothing_are_refused_where_they_are_defined(
    session: SqlSession, statement: str, place: tuple[int, int], message: str
) -> None:
    with pytest.raises(SqlError) as caught:
        run(session, TABLE + statement)
    assert message in str(caught.value)
    assert (caught.value.line, caught.value.column) == place
    assert session.catalogs.find(("x",)) is None


def test_the_execution_plan_is_json(session: SqlSession) -> None:
    text = run(session, TABLE + "EXPLAIN JSON_EXECUTION_PLAN SELECT s, COUNT(*) FROM t GROUP BY s")
    source, grouped, end = json.loads(text.partition("== Physical Execution Plan ==")[2])["nodes"]
    assert (source["pact"], source["parallelism"]) == ("Data Source", 1)
    assert grouped["predecessors"] == [{"id": source["id"], "ship_strategy": "HASH", "side": "first"}]
    assert (end["type"], end["pact"]) == ("collect", "Operator")
    assert "Physical Execution Plan" not in run(session, "EXPLAIN SELECT 1")
