"""Which OVER a query gets, and what batch mode sends."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from millstream.core.table import specs as s
from millstream.sql.planner.physical import PhysicalOperator
from millstream.sql.planner.planner import PlannedJob
from millstream.sql.planner.uids import operators_of

Plan = Callable[..., PlannedJob]
UPDATED = "(SELECT auction, COUNT(*) AS n, MAX(ts) AS t FROM bid GROUP BY auction)"
FIRST = "(SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) r FROM bid)"


def one(plan: PlannedJob, kind: type[Any]) -> PhysicalOperator:
    (found,) = [operator for operator in operators_of(plan.ends) if type(operator.spec) is kind]
    return found


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT SUM(price) OVER (PARTITION BY auction ORDER BY ts) FROM bid",
        "SELECT LAG(price) OVER (ORDER BY ts) FROM bid",
        "SELECT SUM(price) OVER (ORDER BY ts ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) FROM bid",
    ],
)
def test_rows_in_the_order_of_time_append(sql: str, plan: Plan) -> None:
    assert one(plan(sql), s.OverSpec).changes == "I"


@pytest.mark.parametrize(
    ("sql", "frame"),
    [
        ("SELECT SUM(price) OVER (ORDER BY price) FROM bid", (s.FrameKind.RANGE, None, 0)),
        ("SELECT SUM(price) OVER (ORDER BY ts DESC) FROM bid", (s.FrameKind.RANGE, None, 0)),
        ("SELECT SUM(price) OVER (PARTITION BY auction) FROM bid", (s.FrameKind.RANGE, None, 0)),
        ("SELECT LEAD(price) OVER (ORDER BY ts) FROM bid", (s.FrameKind.RANGE, None, 0)),
        (
            "SELECT SUM(price) OVER (ORDER BY ts ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING) FROM bid",
            (s.FrameKind.ROWS, 2, -1),
        ),
        (
            "SELECT SUM(price) OVER (ORDER BY ts ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) FROM bid",
            (s.FrameKind.ROWS, -1, None),
        ),
        (
            "SELECT SUM(price) OVER (ORDER BY price RANGE BETWEEN 1.5 PRECEDING AND 2 FOLLOWING) FROM bid",
            (s.FrameKind.RANGE, Decimal("1.5"), 2),
        ),
        (
            f"SELECT SUM(n) OVER (ORDER BY t RANGE BETWEEN INTERVAL '2' SECOND PRECEDING AND CURRENT ROW) "
            f"FROM {UPDATED}",
            (s.FrameKind.RANGE, 2000, 0),
        ),
    ],
)
def test_everything_else_updates(sql: str, frame: Any, plan: Plan) -> None:
    operator = one(plan(sql), s.GeneralOverSpec)
    assert operator.changes == "I,UB,UA,D"
    spec: Any = operator.spec
    assert (spec.frame, spec.preceding, spec.following) == frame
    assert spec.update_before and not spec.final_only
    assert spec.retracts == ("GROUP BY" in sql)


BATCH = [
    ("SELECT auction, COUNT(*) FROM bid GROUP BY auction", s.GroupAggregateSpec),
    (f"SELECT * FROM {FIRST} WHERE r <= 3", s.RankSpec),
    (f"SELECT * FROM {FIRST} WHERE r = 1", s.RankSpec),
    (
        "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY ts DESC) r FROM bid) WHERE r = 1",
        s.DeduplicateSpec,
    ),
    ("SELECT SUM(price) OVER (PARTITION BY auction ORDER BY ts) FROM bid", s.GeneralOverSpec),
    ("SELECT b.price, a.seller FROM bid b LEFT JOIN auction a ON b.auction = a.id", s.JoinSpec),
]


@pytest.mark.parametrize(("sql", "kind"), BATCH)
def test_batch_mode_sends_finals_only(sql: str, kind: type[Any], plan: Plan) -> None:
    operator = one(plan(bounded(sql), batch=True), kind)
    spec: Any = operator.spec
    assert spec.final_only
    assert operator.changes == "I"


def bounded(sql: str) -> str:
    """Over the same columns of constants: batch mode refuses tables without an end."""
    rows = {
        "bid": "(SELECT 1 AS auction, 2 AS price, PROCTIME() AS ts)",
        "auction": "(SELECT 1 AS id, 2 AS seller)",
    }
    for name, rows_of in rows.items():
        sql = sql.replace(f"FROM {name}", f"FROM {rows_of}").replace(f"JOIN {name}", f"JOIN {rows_of}")
    return sql


@pytest.mark.parametrize("limit", ["LIMIT 3", "LIMIT 3 OFFSET 1"])
def test_limit_over_rows_that_are_taken_back(limit: str, plan: Plan) -> None:
    operator = one(plan(f"SELECT auction, n FROM {UPDATED} {limit}"), s.RankSpec)
    spec: Any = operator.spec
    assert operator.name == "Limit" and spec.retracts and spec.order == ()
    assert operator.changes == "I,UB,UA,D"


def test_limit_of_rows_that_stay_lets_them_through(plan: Plan) -> None:
    assert one(plan("SELECT auction FROM bid LIMIT 3"), s.SortLimitSpec).changes == "I"
    assert one(plan("SELECT auction FROM bid ORDER BY ts LIMIT 3"), s.RankSpec).changes == "I,UB,UA,D"
