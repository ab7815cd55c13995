"""Queries and the operators they become."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from millstream.core.config import load
from millstream.sql.parser import parse_statement
from millstream.sql.parser.statements import Query
from millstream.sql.plan.properties import unique_keys
from millstream.sql.planner.planner import PlannedJob, Planner
from millstream.sql.planner.services import CatalogServices
from millstream.sql.planner.settings import PlannerSettings
from millstream.sql.session.sql_session import SqlSession

PLANS = [
    # projection and filter are one operator, and only what is read is read
    ("SELECT auction FROM bid WHERE price > 1", "collect < Calc < Source(auction, price, ts)"),
    ("SELECT info.name FROM item", "collect < Calc < Source(info.name)"),
    ("SELECT info FROM item WHERE info.id = 1", "collect < Calc < Source(info)"),
    ("SELECT COUNT(*) FROM small", "collect < GroupAggregate < single Source(k)"),
    # views and subqueries are taken apart
    ("SELECT auction FROM dear WHERE auction = 5", "collect < Calc < Source(auction, price, ts)"),
    ("SELECT COUNT(*) FROM dear", "GroupAggregate < single Calc < Source(auction, price, ts)"),
    # grouping
    ("SELECT k, COUNT(*) FROM small GROUP BY k", "collect < GroupAggregate < hash[k] Source(k)"),
    ("SELECT DISTINCT v FROM small", "collect < GroupAggregate < hash[v] Source(v)"),
    (
        "SELECT v, COUNT(*) FROM small GROUP BY ROLLUP (v)",
        "collect < Calc < GroupAggregate < hash[v0, $e] Expand < Source(v)",
    ),
    # windows: slices where the function stands below, attached windows where it does not
    (
        "SELECT auction, COUNT(*) FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) "
        "GROUP BY auction, window_start, window_end",
        "collect < WindowAggregate < hash[auction] Source(auction, ts)",
    ),
    (
        "SELECT auction, COUNT(*) FROM bid GROUP BY auction, TUMBLE(ts, INTERVAL '1' MINUTE)",
        "collect < WindowAggregate < hash[auction] Source(auction, ts)",
    ),
    (
        "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, auction ORDER BY price) n "
        "FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' MINUTE))) WHERE n <= 3",
        "WindowRank < hash[auction] WindowTableFunction",
    ),
    # the first rows
    (
        "SELECT auction, price FROM "
        "(SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) n FROM bid) WHERE n <= 10",
        "Calc < Rank < hash[auction] LocalRank < Source",
    ),
    (
        "SELECT auction, price FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY ts DESC) n FROM bid) "
        "WHERE n = 1",
        "Calc < Deduplicate < hash[auction] LocalDeduplicate < Source",
    ),
    ("SELECT price FROM bid ORDER BY price DESC LIMIT 3", "collect < SortLimit < single LocalRank < Calc"),
    ("SELECT price FROM bid LIMIT 3", "collect < Limit < single Calc"),
    ("SELECT price FROM bid FETCH NEXT ROW ONLY", "collect < Limit < single Calc"),
    ("SELECT k FROM small LIMIT ALL", "collect < Source(k)"),
    ("SELECT price, ts FROM bid ORDER BY ts", "collect < TemporalSort < single Source"),
    # joins
    (
        "SELECT b.price, a.seller FROM bid b JOIN auction a ON b.auction = a.id",
        "collect < Calc < Join < hash[auction] Source(auction, price, ts)",
    ),
    (
        "SELECT b.price FROM bid b, auction a "
        "WHERE b.auction = a.id AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '5' SECOND",
        "Calc < IntervalJoin < hash[auction] Source",
    ),
    ("SELECT k FROM small WHERE k IN (SELECT category FROM auction)", "Join < hash[k] Source(k)"),
    (
        "SELECT b.price, r.rate FROM bid b JOIN rates FOR SYSTEM_TIME AS OF b.ts AS r ON b.channel = r.currency",
        "Calc < TemporalJoin < hash[channel] Source",
    ),
    (
        "SELECT p.k, s.v FROM (SELECT k, PROCTIME() AS t FROM small) p "
        "JOIN small FOR SYSTEM_TIME AS OF p.t AS s ON p.k = s.k",
        "LookupJoin < Calc < Source(k, v)",
    ),
    # set operations count rows
    ("SELECT k FROM small EXCEPT SELECT category FROM auction", "Calc < GroupAggregate < hash[k] Calc < Source(k)"),
    ("SELECT k FROM small INTERSECT ALL SELECT category FROM auction", "Replicate < Calc < GroupAggregate < hash[k]"),
    ("SELECT k FROM small WHERE k = ANY (SELECT category FROM auction)", "Join < hash[k] Source(k)"),
    ("SELECT s.k FROM small s JOIN small t ON s.k + 1 = t.k", "Join < hash[$k0] Calc < Source(k)"),
]


@pytest.mark.parametrize(("sql", "expected"), PLANS, ids=[sql[:70] for sql, _ in PLANS])
def test_plan(sql: str, expected: str, plan: Callable[..., PlannedJob]) -> None:
    assert expected in first_path(plan(sql).explain())


def test_conditions_reach_both_sides_of_a_join(plan: Callable[..., PlannedJob]) -> None:
    text = plan(
        "SELECT b.price FROM bid b JOIN auction a ON b.auction = a.id WHERE b.price > 5 AND a.category = 3"
    ).explain()
    optimized = text.partition("== Optimized Plan ==")[2]
    assert optimized.count("Filter(") == 2
    assert "Join(join=INNER, condition==(auction, id))" in optimized


def test_a_table_read_twice_is_one_source(plan: Callable[..., PlannedJob]) -> None:
    text = plan("SELECT auction FROM bid UNION ALL SELECT bidder FROM bid").explain()
    assert text.partition("== Operators ==")[2].count("Source: default_catalog.default_database.bid(") == 1


COUNTED = "SELECT auction AS {0}, COUNT(*) AS {1} FROM bid GROUP BY auction"


def test_what_differs_in_names_alone_runs_once(plan: Callable[..., PlannedJob]) -> None:
    text = plan(
        f"SELECT a, most FROM ({COUNTED.format('a', 'n')}) JOIN "
        f"(SELECT MAX(m) AS most FROM ({COUNTED.format('b', 'm')})) ON n = most"
    ).explain()
    assert text.count("] GroupAggregate(") == 2 and "GroupAggregate, as above" in text
    text = plan(f"SELECT * FROM ({COUNTED.format('a', 'n')}) JOIN ({COUNTED.format('b', 'm')}) ON a = b").explain()
    assert text.count("] GroupAggregate(") == 1 and "collect(columns=[a, n, b, m])" in text
    other = COUNTED.replace("COUNT", "SUM").replace("*", "price")
    text = plan(f"SELECT * FROM ({COUNTED.format('a', 'n')}) JOIN ({other.format('b', 'm')}) ON a = b").explain()
    assert text.count("] GroupAggregate(") == 2, "another aggregate"
    drawn = "SELECT {0}, COUNT(*) AS {1} FROM (SELECT RAND_INTEGER(9) AS {0} FROM bid) GROUP BY {0}"
    text = plan(f"SELECT * FROM ({drawn.format('a', 'n')}) JOIN ({drawn.format('b', 'm')}) ON a = b").explain()
    assert text.count("] GroupAggregate(") == 2, "other numbers"


def test_updates_before_are_sent_where_somebody_counts_on_them(plan: Callable[..., PlannedJob]) -> None:
    text = plan("SELECT n, COUNT(*) FROM (SELECT k, COUNT(*) AS n FROM small GROUP BY k) GROUP BY n").explain(
        changelog_mode=True
    )
    inner, outer = (line for line in reversed(text.splitlines()) if "GroupAggregate(" in line)
    assert "changelogMode=[I,UB,UA]" in inner
    assert "changelogMode=[I,UB,UA,D]" in outer


def first_path(explained: str) -> str:
    """The operators from the end to the first source: ``collect < Calc < hash[k] Source(columns)``."""
    parts: list[str] = []
    exchange = ""
    for line in explained.partition("== Operators ==")[2].strip().splitlines():
        found = re.match(r"\s*Exchange\(distribution=\[(.*)\]\)", line)
        if found:
            exchange = found.group(1) + " "
            continue
        named = re.match(r"\s*\[\d+\] ([A-Za-z]+)(: [\w.]+)?\(columns=\[(.*?)\]", line)
        assert named, line
        name = named.group(1)
        parts.append(exchange + (f"Source({named.group(3)})" if name == "Source" else name))
        exchange = ""
        if name == "Source":
            break
    return " < ".join(parts)


def test_sources_know_which_rows_are_of_no_use(plan: Callable[..., PlannedJob]) -> None:
    text = plan("SELECT v FROM small WHERE k > 3 AND v IS NOT NULL LIMIT 5").explain()
    assert "filters=[k > 3, v IS_NOT_NULL None]" in text.partition("== Optimized Plan ==")[2]


def test_state_that_only_grows_is_told(plan: Callable[..., PlannedJob]) -> None:
    (warning,) = plan("SELECT auction, COUNT(*) FROM bid GROUP BY auction").warnings
    assert "GroupAggregate(auction, EXPR$1) keeps a row for each (auction), for ever" in warning
    assert "'table.exec.state.ttl'" in warning
    assert not plan("SELECT auction, COUNT(*) FROM bid GROUP BY auction", state_ttl_ms=1000).warnings
    assert not plan("SELECT k, COUNT(*) FROM small GROUP BY k").warnings  # its input ends
    assert not plan("SELECT COUNT(*) FROM bid GROUP BY TUMBLE(ts, INTERVAL '1' MINUTE)").warnings


def test_state_is_found_again_by_what_an_operator_computes(plan: Callable[..., PlannedJob]) -> None:
    def uids(sql: str) -> set[str]:
        graph, _ = plan(sql).graph("job", 2)
        return {node.uid for node in graph.nodes.values() if node.uid is not None}

    before = uids("SELECT k, COUNT(*) AS n FROM small GROUP BY k")
    renamed = uids("SELECT k + 1, n FROM (SELECT k, COUNT(*) AS n FROM small GROUP BY k) WHERE n > 1")
    other = uids("SELECT k, COUNT(v) AS n FROM small GROUP BY k")
    assert any(uid.startswith("sql-groupaggregate") for uid in before)
    assert before == renamed
    assert {uid for uid in before if "source" in uid} == {uid for uid in other if "source" in uid}
    assert before != other


def test_a_plan_has_the_keys_of_the_table_as_it_is() -> None:
    session = SqlSession(load(None, {}))

    def keys() -> frozenset[frozenset[int]]:
        query = parse_statement("SELECT id, name FROM people")
        assert isinstance(query, Query)
        return unique_keys(Planner(CatalogServices(session.catalogs), PlannerSettings()).bind(query.ast))

    def execute(sql: str) -> None:
        for _ in session.execute_script(sql):
            pass

    execute(
        "CREATE TABLE people (id INT NOT NULL, name STRING, PRIMARY KEY (id) NOT ENFORCED) "
        "WITH ('connector' = 'datagen')"
    )
    assert keys() == {frozenset([0])}
    execute("ALTER TABLE people DROP PRIMARY KEY")
    assert keys() == frozenset()
    execute("ALTER TABLE people ADD PRIMARY KEY (id) NOT ENFORCED")
    assert keys() == {frozenset([0])}


def test_literals_in_unicode_and_the_current_database(plan: Callable[..., PlannedJob]) -> None:
    text = plan(r"SELECT U&'\00e4\\\+01F600', U&'!00e4\' UESCAPE '!', CURRENT_DATABASE()").explain()
    assert r"expressions=['ä\\😀', 'ä\\', 'default_database']" in text


def test_changes_of_a_row_stay_in_one_subtask(plan: Callable[..., PlannedJob]) -> None:
    """What was before an update must not arrive behind what comes after it."""

    def parallelisms(sql: str) -> dict[str, int]:
        graph, _ = plan(sql).graph("job", 4)
        return {node.name: node.parallelism for node in graph.nodes.values()}

    counted = parallelisms("SELECT k + n FROM (SELECT COUNT(*) AS n FROM small), small WHERE n > 1")
    assert (counted["Join"], counted["Calc"], counted["collect"]) == (1, 1, 1)
    counted = parallelisms("SELECT n + 1 FROM (SELECT COUNT(*) AS n FROM bid GROUP BY auction)")
    assert (counted["GroupAggregate"], counted["Calc"], counted["collect"]) == (4, 4, 4)
    counted = parallelisms("SELECT k + 1 FROM small")
    assert counted["Calc"] == 4, "rows that are only inserted may go anywhere"
    assert parallelisms("SELECT k FROM small")["collect"] == 1, "as they were read"
    both = plan("SELECT k FROM small UNION ALL SELECT COUNT(*) FROM small")
    assert both.ends[0].changes == "I,UB,UA"
