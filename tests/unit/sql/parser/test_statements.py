"""Statements of a script become data, and know where they begin."""

import pytest

from millstream.core.table import logical_types as t
from millstream.sql.parser import parse_script, parse_statement, parse_type
from millstream.sql.parser.errors import SqlParseError
from millstream.sql.parser.statements import (
    AddColumns,
    Alter,
    BeginStatementSet,
    ComputedColumn,
    CreateCatalog,
    CreateDatabase,
    CreateFunction,
    CreateTable,
    CreateView,
    Describe,
    Drop,
    DropColumns,
    DropPrimaryKey,
    DropWatermark,
    EndStatementSet,
    Explain,
    ExplainDetail,
    Insert,
    LikeClause,
    MetadataColumn,
    ModifyColumns,
    ObjectKind,
    PhysicalColumn,
    Query,
    RenameColumn,
    RenameTo,
    Reset,
    ResetOptions,
    Set,
    SetFunction,
    SetOptions,
    SetQuery,
    Show,
    Shown,
    StatementSet,
    StopJob,
    Truncate,
    Use,
)


def table(text: str) -> CreateTable:
    statement = parse_statement(text)
    assert isinstance(statement, CreateTable)
    return statement


def test_a_table_with_everything() -> None:
    found = table("""
        CREATE TEMPORARY TABLE IF NOT EXISTS c.d.t (
          id BIGINT NOT NULL COMMENT 'the id',
          `from` STRING,
          twice AS id * 2 COMMENT 'computed',
          ts TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
          offset_ BIGINT METADATA,
          WATERMARK FOR ts AS ts - INTERVAL '5' SECOND,
          PRIMARY KEY (id) NOT ENFORCED
        ) COMMENT 'all of it'
        DISTRIBUTED BY HASH(id) INTO 4 BUCKETS
        PARTITIONED BY (`from`)
        WITH ('connector' = 'filesystem', 'path' = 'it''s')
    """)
    identity, from_, twice, ts, offset = found.columns
    assert identity == PhysicalColumn("id", t.BIGINT.with_nullable(False), "the id")
    assert from_ == PhysicalColumn("from", t.STRING)
    assert isinstance(twice, ComputedColumn)
    assert (twice.text, twice.comment) == ("id * 2", "computed")
    assert ts == MetadataColumn("ts", t.timestamp_ltz(3), "timestamp", virtual=True)
    assert offset == MetadataColumn("offset_", t.BIGINT)
    assert found.watermark is not None
    assert (found.watermark.column, found.watermark.text) == ("ts", "ts - INTERVAL '5' SECOND")
    assert (found.primary_key, found.partition_keys) == (("id",), ("from",))
    assert found.distribution is not None
    assert (found.distribution.kind, found.distribution.columns, found.distribution.buckets) == ("HASH", ("id",), 4)
    assert found.options == (("connector", "filesystem"), ("path", "it's"))
    assert (found.path, found.temporary, found.if_not_exists) == (("c", "d", "t"), True, True)
    assert found.comment == "all of it"


def test_a_key_at_its_column_makes_it_not_null() -> None:
    found = table("CREATE TABLE t (a INT PRIMARY KEY NOT ENFORCED, b INT)")
    assert found.primary_key == ("a",)
    assert found.columns[0] == PhysicalColumn("a", t.INT.with_nullable(False))


def test_like_and_as() -> None:
    like = table("CREATE TABLE a WITH ('k'='v') LIKE d.b (INCLUDING ALL EXCLUDING OPTIONS OVERWRITING WATERMARKS)").like
    assert like == LikeClause(
        ("d", "b"), (("INCLUDING", "ALL"), ("EXCLUDING", "OPTIONS"), ("OVERWRITING", "WATERMARKS"))
    )
    replaced = table("CREATE OR REPLACE TABLE a (x, y) WITH ('k'='v') AS SELECT 1, 2")
    assert (replaced.or_replace, replaced.column_names, replaced.query_text) == (True, ("x", "y"), "SELECT 1, 2")


def one(text: str) -> object:
    return parse_statement(text)


def test_other_things_to_create() -> None:
    view = one("CREATE VIEW IF NOT EXISTS v (a, b) COMMENT 'c' AS SELECT 1, 2")
    assert isinstance(view, CreateView)
    assert (view.columns, view.query_text, view.comment, view.if_not_exists) == (("a", "b"), "SELECT 1, 2", "c", True)
    function = one("CREATE TEMPORARY SYSTEM FUNCTION f AS 'mod.f' LANGUAGE PYTHON")
    assert isinstance(function, CreateFunction)
    assert (function.path, function.target, function.temporary, function.system) == (("f",), "mod.f", True, True)
    catalog = one("CREATE CATALOG c WITH ('type'='file')")
    assert isinstance(catalog, CreateCatalog)
    assert catalog.options == (("type", "file"),)
    database = one("CREATE DATABASE IF NOT EXISTS c.d COMMENT 'x'")
    assert isinstance(database, CreateDatabase)
    assert (database.path, database.comment, database.if_not_exists) == (("c", "d"), "x", True)


@pytest.mark.parametrize("kind", ObjectKind)
def test_everything_can_be_dropped(kind: ObjectKind) -> None:
    dropped = one(f"DROP {kind.value} IF EXISTS a.b")
    assert isinstance(dropped, Drop)
    assert (dropped.kind, dropped.path, dropped.if_exists) == (kind, ("a", "b"), True)


ALTERATIONS = [
    ("TABLE t RENAME TO d.u", RenameTo(("d", "u"))),
    ("TABLE t RENAME a TO b", RenameColumn("a", "b")),
    ("TABLE t DROP (a, b)", DropColumns(("a", "b"))),
    ("TABLE t DROP a", DropColumns(("a",))),
    ("TABLE t DROP WATERMARK", DropWatermark()),
    ("TABLE t DROP PRIMARY KEY", DropPrimaryKey()),
    ("TABLE t SET ('a'='b')", SetOptions((("a", "b"),))),
    ("TABLE t RESET ('a', 'b')", ResetOptions(("a", "b"))),
    ("TABLE t ADD PRIMARY KEY (a) NOT ENFORCED", AddColumns(primary_key=("a",))),
    ("VIEW v RENAME TO w", RenameTo(("w",))),
    ("DATABASE d SET ('x'='y')", SetOptions((("x", "y"),))),
    ("FUNCTION f AS 'm.g' LANGUAGE PYTHON", SetFunction("m.g")),
]


@pytest.mark.parametrize(("text", "action"), ALTERATIONS, ids=[text for text, _ in ALTERATIONS])
def test_alterations(text: str, action: object) -> None:
    altered = one(f"ALTER {text}")
    assert isinstance(altered, Alter)
    assert altered.action == action
    assert altered.kind.value == text.split()[0]


def test_columns_are_added_where_told() -> None:
    altered = one("ALTER TABLE t ADD (x INT FIRST, y STRING AFTER a, WATERMARK FOR ts AS ts)")
    assert isinstance(altered, Alter)
    assert isinstance(altered.action, AddColumns)
    first, after = altered.action.changes
    assert (first.column.name, first.first, after.after) == ("x", True, "a")
    assert altered.action.watermark is not None
    modified = one("ALTER TABLE t MODIFY x BIGINT")
    assert isinstance(modified, Alter)
    assert isinstance(modified.action, ModifyColumns)
    view = one("ALTER VIEW v AS SELECT 2")
    assert isinstance(view, Alter)
    assert isinstance(view.action, SetQuery)
    assert view.action.text == "SELECT 2"


def test_inserts() -> None:
    insert = one("INSERT OVERWRITE c.t /*+ OPTIONS('k'='v') */ PARTITION (p = 'x') (a, b) VALUES (1, 2)")
    assert isinstance(insert, Insert)
    assert (insert.path, insert.columns, insert.overwrite) == (("c", "t"), ("a", "b"), True)
    assert insert.partition[0][0] == "p"
    assert insert.hints[0].expressions[0].name == "OPTIONS"
    wrapped = one("INSERT INTO t (SELECT 1)")
    assert isinstance(wrapped, Insert)
    assert wrapped.columns == ()


@pytest.mark.parametrize(
    "text",
    [
        "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT CASE WHEN x THEN 1 END; END;",
        "BEGIN STATEMENT SET;\nINSERT INTO a SELECT 1;\nINSERT INTO b SELECT 2;\nEND;",
    ],
)
def test_a_statement_set_is_one_statement(text: str) -> None:
    first, last = parse_script(text + " SELECT 1")
    assert isinstance(first, StatementSet)
    assert [insert.path for insert in first.inserts] == [("a",), ("b",)]
    assert isinstance(last, Query)


def test_an_open_statement_set_is_left_to_the_session() -> None:
    assert isinstance(one("BEGIN STATEMENT SET"), BeginStatementSet)
    assert isinstance(one("END"), EndStatementSet)


def test_explain() -> None:
    explained = one("EXPLAIN CHANGELOG_MODE, PLAN_ADVICE INSERT INTO t SELECT 1")
    assert isinstance(explained, Explain)
    assert explained.details == (ExplainDetail.CHANGELOG_MODE, ExplainDetail.PLAN_ADVICE)
    assert isinstance(explained.statement, Insert)
    plain = one("EXPLAIN PLAN FOR SELECT 1")
    assert isinstance(plain, Explain)
    assert isinstance(plain.statement, Query)
    several = one("EXPLAIN STATEMENT SET BEGIN INSERT INTO a SELECT 1; INSERT INTO b SELECT 2; END")
    assert isinstance(several, Explain)
    assert isinstance(several.statement, StatementSet)


def test_settings() -> None:
    for text, key, value in (
        ("SET 'a.b' = 'c'", "a.b", "c"),
        ("SET a.b-c = true", "a.b-c", "true"),
        ("SET", "", ""),
    ):
        setting = one(text)
        assert isinstance(setting, Set)
        assert (setting.key, setting.value) == (key, value)
    reset = one("RESET 'a.b'")
    assert isinstance(reset, Reset)
    assert reset.key == "a.b"


SHOWN = [
    ("TABLES", Shown.TABLES, (), "", False),
    ("TABLES FROM c.d NOT LIKE 'x%'", Shown.TABLES, ("c", "d"), "x%", True),
    ("COLUMNS IN t LIKE 'a'", Shown.COLUMNS, ("t",), "a", False),
    ("CREATE TABLE d.t", Shown.CREATE_TABLE, ("d", "t"), "", False),
    ("USER FUNCTIONS", Shown.USER_FUNCTIONS, (), "", False),
    ("CURRENT CATALOG", Shown.CURRENT_CATALOG, (), "", False),
    ("JOBS", Shown.JOBS, (), "", False),
]


@pytest.mark.parametrize(("text", "what", "path", "pattern", "negated"), SHOWN, ids=[text for text, *_ in SHOWN])
def test_show(text: str, what: Shown, path: tuple[str, ...], pattern: str, negated: bool) -> None:
    shown = one(f"SHOW {text}")
    assert isinstance(shown, Show)
    assert (shown.what, shown.path, shown.pattern, shown.negated) == (what, path, pattern, negated)


def test_the_rest() -> None:
    described = one("DESC EXTENDED a.t")
    assert isinstance(described, Describe)
    assert (described.kind, described.path, described.extended) == (ObjectKind.TABLE, ("a", "t"), True)
    used = one("USE CATALOG c")
    assert isinstance(used, Use)
    assert (used.kind, used.path) == (ObjectKind.CATALOG, ("c",))
    truncated = one("TRUNCATE TABLE t")
    assert isinstance(truncated, Truncate)
    stopped = one("STOP JOB 'x' WITH SAVEPOINT WITH DRAIN")
    assert isinstance(stopped, StopJob)
    assert (stopped.job_id, stopped.with_savepoint, stopped.with_drain) == ("x", True, True)


def test_statements_know_their_place_and_text() -> None:
    first, second = parse_script("-- hello\nSELECT 1;\n\n  SHOW  TABLES ;")
    assert (str(first.position), first.text) == ("line 2, column 1", "SELECT 1")
    assert (str(second.position), second.text) == ("line 4, column 3", "SHOW  TABLES")
    assert parse_script(" ; -- nothing\n;") == []


TYPES = {
    "INT": "INT",
    "integer not null": "INT NOT NULL",
    "DOUBLE PRECISION": "DOUBLE",
    "DEC(5)": "DECIMAL(5, 0)",
    "NUMERIC": "DECIMAL(10, 0)",
    "VARCHAR(20)": "VARCHAR(20)",
    "CHAR": "CHAR(1)",
    "VARBINARY(2147483647)": "BYTES",
    "TIMESTAMP": "TIMESTAMP(6)",
    "TIMESTAMP(3) WITHOUT TIME ZONE": "TIMESTAMP(3)",
    "TIMESTAMP(3) WITH LOCAL TIME ZONE": "TIMESTAMP_LTZ(3)",
    "TIME": "TIME(0)",
    "INTERVAL YEAR(4) TO MONTH": "INTERVAL YEAR TO MONTH",
    "INTERVAL DAY TO SECOND(3)": "INTERVAL DAY TO SECOND",
    "INT ARRAY": "ARRAY<INT>",
    "MAP<STRING, ARRAY<INT NOT NULL>>": "MAP<STRING, ARRAY<INT NOT NULL>>",
    "MULTISET<STRING> NOT NULL": "MULTISET<STRING> NOT NULL",
    "ROW<a INT, `b c` STRING 'comment'>": "ROW<`a` INT, `b c` STRING>",
    "ROW(a INT, b ROW<c DATE>)": "ROW<`a` INT, `b` ROW<`c` DATE>>",
    "NULL": "NULL",
}


@pytest.mark.parametrize(("text", "expected"), TYPES.items(), ids=list(TYPES))
def test_types(text: str, expected: str) -> None:
    kind = parse_type(text)
    assert str(kind) == expected
    assert parse_type(str(kind)) == kind


@pytest.mark.parametrize(
    "text", ["DECIMAL(0)", "TIME(10)", "MAP<INT>", "ARRAY<", "ROW<a INT, a INT>", "INT INT", "CHAR(0)"]
)
def test_types_that_do_not_exist(text: str) -> None:
    with pytest.raises(SqlParseError):
        parse_type(text)
