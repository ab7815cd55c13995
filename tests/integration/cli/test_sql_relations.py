"""Set operations, quantified comparisons, scalar subqueries and lookup joins, run by ``millstream sql``."""

from pathlib import Path

import pytest
from processes import millstream

from tests.integration.cli.printed import materialized, printed_tables

pytestmark = pytest.mark.integration

TABLES = """
CREATE TABLE a (id INT, v STRING, p AS PROCTIME()) WITH ('connector' = 'values',
  'data' = '[[1, "x"], [1, "x"], [1, "x"], [2, "y"], [3, "z"], [null, "n"], [null, "n"]]');
CREATE TABLE b (k INT, w STRING) WITH ('connector' = 'values',
  'data' = '[[1, "x"], [1, "x"], [2, "B"], [3, "z"], [null, "n"], [7, "q"]]');
CREATE TABLE one (k INT) WITH ('connector' = 'values', 'data' = '[[2]]');
"""
SETS = "SELECT id, v FROM a {} SELECT k, w FROM b"
QUERIES: list[tuple[str, dict[str, int]]] = [
    ("SELECT COUNT(*) FROM (SELECT v FROM a WHERE id = 1)", {"3": 1}),
    ("SELECT COUNT(*) FROM (SELECT v FROM a UNION ALL SELECT w FROM b)", {"13": 1}),
    (SETS.format("INTERSECT"), {"1 x": 1, "3 z": 1, "<NULL> n": 1}),
    (SETS.format("EXCEPT"), {"2 y": 1}),
    (SETS.format("INTERSECT ALL"), {"1 x": 2, "3 z": 1, "<NULL> n": 1}),
    (SETS.format("EXCEPT ALL"), {"1 x": 1, "2 y": 1, "<NULL> n": 1}),
    (
        "SELECT id, COUNT(*) FROM a GROUP BY id EXCEPT ALL SELECT k, COUNT(*) FROM b GROUP BY k",
        {"1 3": 1, "<NULL> 2": 1},
    ),
    ("SELECT id FROM a WHERE id = ANY (SELECT k FROM b WHERE k < 3)", {"1": 3, "2": 1}),
    ("SELECT id FROM a WHERE id <> ALL (SELECT k FROM one)", {"1": 3, "3": 1}),
    ("SELECT v FROM a WHERE id = (SELECT k FROM one)", {"y": 1}),
    (
        "SELECT id, (SELECT w FROM b WHERE b.k = a.id AND w <> 'x') FROM a WHERE id > 1",
        {"2 B": 1, "3 z": 1},
    ),
    (
        "SELECT a.id, one.k FROM a LEFT JOIN one FOR SYSTEM_TIME AS OF a.p ON a.id = one.k",
        {"1 <NULL>": 3, "2 2": 1, "3 <NULL>": 1, "<NULL> <NULL>": 2},
    ),
]


@pytest.mark.parametrize("mode", ["streaming", "batch"])
def test_rows_in_the_end(home: Path, mode: str) -> None:
    script = TABLES + f"SET 'execution.runtime-mode' = '{mode}';\n" + ";\n".join(sql for sql, _ in QUERIES) + ";\n"
    (home / "job.sql").write_text(script)
    done = millstream(home, "sql", "-f", "job.sql")
    assert done.returncode == 0, done.stderr
    assert [dict(materialized(table)) for table in printed_tables(done.stdout)] == [expected for _, expected in QUERIES]


def test_a_subquery_with_two_rows_is_no_value(home: Path) -> None:
    (home / "job.sql").write_text(TABLES + "SELECT v, (SELECT w FROM b WHERE k = 1) FROM a;")
    done = millstream(home, "sql", "-f", "job.sql")
    assert done.returncode == 1
    assert "a subquery that stands for one value has 2 rows" in done.stderr
