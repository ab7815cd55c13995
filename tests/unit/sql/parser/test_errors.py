"""What is wrong is shown at its line and column, and what Flink or Millstream lacks is refused by name."""

import pytest

from millstream.sql.parser import SqlParseError, parse_script

WRONG = [
    ("SELECT a\nFROM t WHERE", 2, 13, "expected an expression, found the end of the statement"),
    ("SELECT a,\n  FROM t", 2, 3, "expected an expression"),
    ("SELCT 1", 1, 1, "no statement begins with 'SELCT'"),
    ("SELECT a b c FROM t", 1, 12, "unexpected 'c'"),
    ("SELECT f(a FROM t", 1, 12, "found 'FROM'"),
    ("SELECT 'abc", 1, 8, "this string does not end"),
    ("SELECT 1 /* a", 1, 10, "this comment does not end"),
    ('SELECT "a" FROM t', 1, 8, "double quotes"),
    ("SELECT INTERVAL 5 MINUTE", 1, 17, "expected a string after INTERVAL"),
    ("SELECT CAST(a AS INTT) FROM t", 1, 18, "unknown data type INTT"),
    ("SELECT CAST(a AS DECIMAL(40, 2)) FROM t", 1, 18, "DECIMAL(40, 2) does not exist"),
    ("SELECT 1;\nSELECT 2 FROM;\nSELECT 3", 2, 14, "expected an expression"),
    ("SELECT * FROM a.b.c.d", 1, 22, "has 4 parts"),
    ("SELECT * FROM t AS x y", 1, 22, "unexpected 'y'"),
    ("SELECT a FROM t GROUP BY", 1, 1, "GROUP BY without expressions"),
    ("SELECT a /*+ X */ FROM t", 1, 10, "unexpected '/*+'"),
    ("CREATE TABLE t (a INT PRIMARY KEY)", 1, 34, "expected NOT ENFORCED"),
    ("CREATE TABLE t (a INT, a STRING)", 1, 24, "the column a is defined twice"),
    ("CREATE TABLE t (a INT) WITH ('a'='b', 'a'='c')", 1, 39, "the option 'a' is given twice"),
    ("CREATE TABLE t", 1, 15, "a table needs columns"),
    ("CREATE FUNCTION f AS 'x'", 1, 25, "expected LANGUAGE PYTHON"),
    ("CREATE FUNCTION f AS 'x' LANGUAGE JAVA", 1, 35, "functions in 'JAVA' are not supported"),
    ("SELECT FROM t", 1, 1, "SELECT without expressions"),
    ("SELECT * FROM t WHERE a = b (+)", 1, 31, "expected an expression after '+'"),
    ("INSERT t SELECT 1", 1, 8, "expected INTO"),
    ("EXPLAIN SET 'a'='b'", 1, 9, "only queries"),
    ("SHOW TABELS", 1, 6, "expected CATALOGS"),
]

REFUSED = [
    ("ADD JAR '/x.jar'", "ADD JAR is not supported"),
    ("ANALYZE TABLE t COMPUTE STATISTICS", "ANALYZE TABLE is not supported"),
    ("UPDATE t SET a = 1", "UPDATE is not supported"),
    ("DELETE FROM t", "DELETE is not supported"),
    ("CREATE MODEL m", "CREATE MODEL is not supported"),
    ("CREATE MATERIALIZED TABLE m AS SELECT 1", "CREATE MATERIALIZED TABLE is not supported"),
    ("COMPILE PLAN 'x' FOR INSERT INTO t SELECT 1", "COMPILE PLAN is not supported"),
    ("LOAD MODULE hive", "LOAD MODULE is not supported"),
    ("SELECT a FROM t TABLESAMPLE BERNOULLI (10)", "TABLESAMPLE is not supported"),
    ("SELECT a FROM t PIVOT (SUM(x) FOR a IN (1))", "PIVOT is not supported"),
    ("SELECT a FROM t FOR UPDATE", "FOR UPDATE is not supported"),
    ("SELECT * EXCEPT (a) FROM t", "SELECT * EXCEPT is not supported"),
    ("SELECT DISTINCT ON (a) b FROM t", "DISTINCT ON is not supported"),
    ("SELECT COUNT(*) FROM t GROUP BY ALL", "GROUP BY ALL is not supported"),
    ("WITH RECURSIVE x AS (SELECT 1) SELECT * FROM x", "WITH RECURSIVE is not supported"),
    ("SELECT a ILIKE 'x' FROM t", "ILIKE is not supported"),
    ("SELECT ARRAY_AGG(a ORDER BY b) FROM t", "ORDER BY inside a function is not supported"),
    ("SELECT a[1:2] FROM t", "SLICE is not supported"),
    ("SELECT a FROM t ASOF JOIN u ON a = b", "ASOF JOIN is not supported"),
    ("SELECT CAST(a AS TIMESTAMP WITH TIME ZONE) FROM t", "TIMESTAMP WITH TIME ZONE is not supported"),
    ("CREATE TABLE t (a RAW)", "the type RAW is not supported"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), WRONG, ids=[text for text, *_ in WRONG])
def test_an_error_points_at_its_place(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(SqlParseError) as caught:
        parse_script(text)
    error = caught.value
    assert message in error.reason
    assert (error.line, error.column) == (line, column)
    shown = str(error).splitlines()
    assert shown[1] == "  " + text.splitlines()[line - 1]
    assert shown[2] == " " * (column + 1) + "^"


@pytest.mark.parametrize(("text", "message"), REFUSED, ids=[text for text, _ in REFUSED])
def test_what_is_not_supported_is_named(text: str, message: str) -> None:
    with pytest.raises(SqlParseError) as caught:
        parse_script(text)
    assert message in caught.value.reason


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("SELCT 1", "Did you mean SELECT?"),
        ("SELECT CAST(a AS INTT) FROM t", "Did you mean INT?"),
        ("SELECT a FROM t WHRE x > 1", "Did you mean WHERE instead of WHRE?"),
        ('SELECT "a" FROM t', "Use `backticks` for names"),
    ],
)
def test_a_hint_offers_what_was_meant(text: str, hint: str) -> None:
    with pytest.raises(SqlParseError) as caught:
        parse_script(text)
    assert hint in str(caught.value)
