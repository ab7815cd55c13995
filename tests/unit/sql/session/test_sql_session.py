"""A session without a cluster: definitions, settings, SHOW and DESCRIBE; errors point at the statement."""

import pytest

from millstream.core.config import load, options
from millstream.sql.parser import SqlError
from millstream.sql.session.results import Done, Rows, StatementResult
from millstream.sql.session.sql_session import SqlSession

ORDERS = """
CREATE TABLE orders (
  id BIGINT COMMENT 'the id',
  price DECIMAL(10, 2) NOT NULL,
  ts TIMESTAMP(3),
  `offset` BIGINT METADATA VIRTUAL,
  WATERMARK FOR ts AS ts - INTERVAL '5' SECOND,
  PRIMARY KEY (id) NOT ENFORCED
) WITH ('connector' = 'datagen')
"""


@pytest.fixture
def session() -> SqlSession:
    return SqlSession(load())


def run(session: SqlSession, text: str) -> StatementResult:
    return list(session.execute_script(text, "test.sql"))[-1][1]


def rows(session: SqlSession, text: str) -> list[tuple[object, ...]]:
    result = run(session, text)
    assert isinstance(result, Rows)
    return [tuple(row.values()) for row in result.table.to_pylist()]


def names(session: SqlSession, text: str) -> list[object]:
    return [row[0] for row in rows(session, text)]


def test_a_table_is_described(session: SqlSession) -> None:
    run(session, ORDERS)
    assert rows(session, "DESCRIBE orders") == [
        ("id", "BIGINT", "FALSE", "PRI(id)", None, None, "the id"),
        ("price", "DECIMAL(10, 2)", "FALSE", None, None, None, ""),
        ("ts", "TIMESTAMP(3) *ROWTIME*", "TRUE", None, None, "ts - INTERVAL '5' SECOND", ""),
        ("offset", "BIGINT", "TRUE", None, "METADATA VIRTUAL", None, ""),
    ]
    assert names(session, "SHOW COLUMNS FROM orders LIKE 'p%'") == ["price"]


def test_show_create_table_makes_the_same_table(session: SqlSession) -> None:
    run(session, ORDERS)
    [(text,)] = rows(session, "SHOW CREATE TABLE orders")
    run(session, "ALTER TABLE orders RENAME TO old")
    run(session, str(text))
    first, second = session.catalogs.resolve(("old",)), session.catalogs.resolve(("orders",))
    assert first.relation == second.relation
    assert session.catalogs.resolve(("orders",)).relation.defined_at == "test.sql:1"


def test_lists_and_patterns(session: SqlSession) -> None:
    run(session, "CREATE DATABASE d; CREATE TABLE d.ab (x INT); CREATE TABLE d.ac (x INT); CREATE VIEW v AS SELECT 1")
    run(session, "CREATE FUNCTION F AS 'm.f' LANGUAGE PYTHON")
    assert names(session, "SHOW DATABASES") == ["d", "default_database"]
    assert names(session, "SHOW TABLES FROM d LIKE 'a_'") == ["ab", "ac"]
    assert names(session, "SHOW TABLES FROM d NOT LIKE '%b'") == ["ac"]
    assert names(session, "SHOW TABLES FROM d ILIKE 'AB'") == ["ab"]
    assert names(session, "SHOW VIEWS") == ["v"]
    assert names(session, "SHOW USER FUNCTIONS") == ["f"]
    assert names(session, "SHOW CATALOGS") == ["default_catalog"]
    run(session, "USE d")
    assert names(session, "SHOW CURRENT DATABASE") == ["d"]
    assert rows(session, "DESCRIBE FUNCTION default_database.f")[-1] == ("definition", "m.f")


def test_alterations(session: SqlSession) -> None:
    run(session, ORDERS)
    run(session, "ALTER TABLE orders ADD (a INT FIRST, b STRING AFTER price)")
    assert names(session, "DESCRIBE orders") == ["a", "id", "price", "b", "ts", "offset"]
    run(
        session,
        "ALTER TABLE orders MODIFY a BIGINT AFTER b; ALTER TABLE orders DROP (b); ALTER TABLE orders RENAME a TO z",
    )
    assert rows(session, "DESCRIBE orders")[2][:2] == ("z", "BIGINT")
    run(session, "ALTER TABLE orders SET ('k'='v'); ALTER TABLE orders RESET ('connector')")
    run(session, "ALTER TABLE orders DROP WATERMARK; ALTER TABLE orders DROP PRIMARY KEY; ALTER TABLE orders DROP ts")
    relation = session.catalogs.resolve(("orders",)).relation
    assert relation.options == {"k": "v"}  # type: ignore[union-attr]
    assert names(session, "DESCRIBE orders") == ["id", "price", "z", "offset"]
    run(session, "ALTER TABLE orders ADD (twice AS z * 2); ALTER TABLE orders DROP (z, twice)")
    assert names(session, "SHOW COLUMNS FROM orders") == ["id", "price", "offset"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ALTER TABLE orders DROP ts", "the watermark reads ts"),
        ("ALTER TABLE orders DROP id", "id is part of the primary key"),
        ("ALTER TABLE orders DROP prize", "Did you mean price?"),
        ("ALTER TABLE orders ADD price INT", "has a column price already"),
        ("ALTER TABLE orders ADD WATERMARK FOR ts AS ts", "the table has a watermark"),
        ("ALTER TABLE orders MODIFY nothing INT", "no column nothing"),
        ("ALTER VIEW orders AS SELECT 1", "orders is a table"),
        ("DESCRIBE order_", "Did you mean orders?"),
        ("DROP TABLE ordes", "Did you mean orders?"),
        ("DROP VIEW orders", "is a table"),
        ("USE CATALOG nowhere", "unknown catalog nowhere"),
        ("CREATE TABLE orders (a INT)", "exists already"),
        ("CREATE TABLE x (a INT, PRIMARY KEY (b) NOT ENFORCED)", "unknown column b"),
        ("CREATE TABLE x (a INT, WATERMARK FOR b AS b)", "unknown column b"),
        ("CREATE FUNCTION f AS 'no function' LANGUAGE PYTHON", "no Python function"),
        ("SET 'table.exec.state.tll' = '1 h'", "Did you mean 'table.exec.state.ttl'?"),
        ("SET 'table.exec.state.ttl' = 'long'", "expected a duration"),
        ("RESET 'nothing.like.this'", "unknown setting"),
        ("SHOW JOBS", "Use the command 'millstream list'"),
        ("SHOW PARTITIONS orders", "SHOW PARTITIONS is not supported"),
        ("STOP JOB 'x'", "Use the command 'millstream stop'"),
        ("TRUNCATE TABLE orders", "TRUNCATE TABLE is not supported"),
        ("SELECT 1", "needs a cluster"),
        ("INSERT INTO orders SELECT 1", "needs a cluster"),
        ("END", "END without BEGIN STATEMENT SET"),
    ],
)
def test_errors_point_at_their_statement(session: SqlSession, text: str, message: str) -> None:
    run(session, ORDERS)
    with pytest.raises(SqlError) as caught:
        run(session, f"SHOW TABLES;\n  {text}")
    assert message in str(caught.value)
    assert (caught.value.line, caught.value.column) == (2, 3)


def test_settings(session: SqlSession) -> None:
    assert isinstance(run(session, "SET 'table.exec.state.ttl' = '1 h'; SET 'parallelism.default' = '3'"), Done)
    assert session.configuration[options.TABLE_STATE_TTL].total_seconds() == 3600
    assert rows(session, "SET") == [("parallelism.default", "3"), ("table.exec.state.ttl", "1 h")]
    run(session, "RESET 'parallelism.default'")
    assert rows(session, "SET") == [("table.exec.state.ttl", "1 h")]
    run(session, "RESET")
    assert rows(session, "SET") == []


def test_a_statement_set_takes_inserts_only(session: SqlSession) -> None:
    run(session, ORDERS)
    run(session, "BEGIN STATEMENT SET")
    assert session.in_statement_set
    run(session, "INSERT INTO orders SELECT 1")
    with pytest.raises(SqlError, match="only INSERT and END"):
        run(session, "SHOW TABLES")
    with pytest.raises(SqlError, match="needs a cluster"):
        run(session, "END")
    assert not session.in_statement_set


def test_what_ran_before_an_error_has_run(session: SqlSession) -> None:
    with pytest.raises(SqlError, match="line 2, column 8"):
        run(session, "CREATE TABLE a (x INT);\nCREATE TABEL b (x INT)")
    assert names(session, "SHOW TABLES") == ["a"]
