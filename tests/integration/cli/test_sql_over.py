"""OVER, top-n and LIMIT over rows that change, and batch mode into files, run by ``millstream sql``."""

from pathlib import Path

import pytest
from processes import millstream

from tests.integration.cli.printed import materialized, printed_tables

pytestmark = pytest.mark.integration

TABLES = """
CREATE TABLE t (k INT, v INT, s STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts) WITH ('connector' = 'values',
  'data' = '[[1, 10, "a", "2024-01-01 00:00:01"], [1, 30, "b", "2024-01-01 00:00:02"],
             [2, 20, "c", "2024-01-01 00:00:03"], [1, 20, "a", "2024-01-01 00:00:04"],
             [2, 20, "b", "2024-01-01 00:00:01"]]');
"""
GROUPED = "(SELECT s, SUM(v) AS total, COUNT(*) AS n FROM t GROUP BY s)"
QUERIES: list[tuple[str, dict[str, int]]] = [
    (
        "SELECT k, v, SUM(v) OVER (PARTITION BY k ORDER BY v) FROM t WHERE s <> 'b'",
        {"1 10 10": 1, "1 20 30": 1, "2 20 20": 1},
    ),
    (
        "SELECT v, s, LEAD(s) OVER (PARTITION BY k ORDER BY v DESC) FROM t WHERE k = 1",
        {"30 b a": 1, "20 a a": 1, "10 a <NULL>": 1},
    ),
    (f"SELECT s, RANK() OVER (ORDER BY total DESC) FROM {GROUPED}", {"b 1": 1, "a 2": 1, "c 3": 1}),
    (
        f"SELECT s, SUM(total) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM {GROUPED} WHERE s > 'a'",
        {"c 20": 1, "b 70": 1},
    ),
    (
        f"SELECT s, COUNT(*) OVER (ORDER BY total RANGE BETWEEN 20 PRECEDING AND CURRENT ROW) FROM {GROUPED}",
        {"c 1": 1, "a 2": 1, "b 2": 1},
    ),
    (f"SELECT COUNT(*) FROM (SELECT s FROM {GROUPED} LIMIT 2)", {"2": 1}),
    (
        "SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS r FROM t) WHERE r = 1",
        {"1 30": 1, "2 20": 1},
    ),
    (
        "SELECT k, s FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) AS r FROM t) WHERE r = 1",
        {"1 a": 1, "2 c": 1},
    ),
]


@pytest.mark.parametrize("mode", ["streaming", "batch"])
def test_rows_in_the_end(home: Path, mode: str) -> None:
    script = TABLES + f"SET 'execution.runtime-mode' = '{mode}';\n" + ";\n".join(sql for sql, _ in QUERIES) + ";\n"
    if mode == "streaming":  # in a stream the row of 00:00:01 is late behind the one of 00:00:03
        script = script.replace("WATERMARK FOR ts AS ts", "WATERMARK FOR ts AS ts - INTERVAL '9' SECOND")
    (home / "job.sql").write_text(script)
    done = millstream(home, "sql", "-f", "job.sql")
    assert done.returncode == 0, done.stderr
    assert [dict(materialized(table)) for table in printed_tables(done.stdout)] == [expected for _, expected in QUERIES]
    assert mode == "streaming" or "-U" not in done.stdout


def test_batch_mode_writes_finals_into_files(home: Path) -> None:
    script = f"""{TABLES}
CREATE TABLE totals (s STRING, total INT, r BIGINT) WITH ('connector' = 'filesystem', 'path' = '{home}/totals',
  'format' = 'csv');
SET 'execution.runtime-mode' = 'batch';
INSERT INTO totals SELECT s, total, RANK() OVER (ORDER BY total) FROM {GROUPED};
"""
    (home / "job.sql").write_text(script)
    done = millstream(home, "sql", "-f", "job.sql")
    assert done.returncode == 0, done.stderr
    rows = [line for path in (home / "totals").iterdir() if path.is_file() for line in path.read_text().splitlines()]
    assert sorted(rows) == ["a,30,2", "b,50,3", "c,20,1"]
