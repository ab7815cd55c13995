"""What a query gets wrong is told in its words, at its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from millstream.core.errors import JobGraphError
from millstream.sql.planner.planner import PlannedJob

REFUSED = [
    ("SELECT aucton FROM bid", "no column 'aucton'. Did you mean 'auction'?"),
    ("SELECT * FROM bids", "Did you mean bid?"),
    ("SELECT ts FROM bid, auction", "'ts' is ambiguous: it may be bid.ts or auction.ts"),
    ("SELECT b.price FROM bid AS x", "no table or alias 'b'"),
    ("SELECT LOWR(channel) FROM bid", "no function LOWR. Did you mean 'LOWER'?"),
    ("SELECT price + channel FROM bid", "STRING"),
    ("SELECT price FROM bid WHERE price", "WHERE takes a BOOLEAN, not BIGINT"),
    ("SELECT price, COUNT(*) FROM bid", "'price' must stand in GROUP BY or inside an aggregate"),
    ("SELECT auction FROM bid GROUP BY auction HAVING price > 1", "'price' must stand in GROUP BY"),
    ("SELECT COUNT(COUNT(*)) FROM bid", "cannot stand"),
    ("SELECT price FROM bid WHERE SUM(price) > 1", "aggregate SUM cannot stand in WHERE"),
    ("SELECT ROW_NUMBER() FROM bid", "ROW_NUMBER needs OVER"),
    ("SELECT info.nme FROM item", "no field 'nme'"),
    ("SELECT price.x FROM bid", "no"),
    ("SELECT 1 UNION ALL SELECT 1, 2", "as many columns on both sides, not 1 and 2"),
    ("SELECT 1 UNION ALL SELECT TRUE", "INT on one side and BOOLEAN on the other"),
    (
        "SELECT * FROM TABLE(TUMBLE(TABLE auction, DESCRIPTOR(expires), INTERVAL '1' MINUTE))",
        "needs a time attribute, and 'expires' is plain TIMESTAMP(3)",
    ),
    (
        "SELECT * FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '0' SECOND))",
        "must be positive",
    ),
    (
        "SELECT * FROM TABLE(CUMULATE(TABLE bid, DESCRIPTOR(ts), INTERVAL '7' SECOND, INTERVAL '10' SECOND))",
        "multiple of its step",
    ),
    (
        "SELECT * FROM TABLE(SESSION(TABLE bid PARTITION BY bidder, DESCRIPTOR(ts), INTERVAL '7' SECOND))",
        "SESSION must be aggregated",
    ),
    (
        "SELECT COUNT(*) FROM (SELECT b.ts AS t FROM bid b JOIN auction a ON b.auction = a.id) "
        "GROUP BY TUMBLE(t, INTERVAL '1' MINUTE)",
        "passed a regular join",
    ),
    ("SELECT * FROM bid ORDER BY price", "ORDER BY in a stream"),
    ("SELECT k FROM small WHERE k > ALL (SELECT auction FROM bid WHERE bidder = k)", "> ALL of a correlated subquery"),
    ("SELECT k FROM small WHERE k = ALL (SELECT auction, price FROM bid)", "with a query of 2 columns"),
    ("SELECT k IN (SELECT k, v FROM small) FROM small", "IN compares 1 values with a query of 2 columns"),
    ("SELECT (k, v) IN (SELECT k, v FROM small) FROM small", "may be NULL and stands outside of WHERE"),
    ("SELECT k FROM small WHERE v = 'a' OR EXISTS (SELECT 1 FROM bid WHERE price > k)", "a correlation other than by"),
    ("SELECT k FROM small, LATERAL (SELECT price FROM bid WHERE auction < k LIMIT 1) b", "a correlation other than by"),
    ("SELECT k FROM small, LATERAL (SELECT 1 FROM bid WHERE auction = k GROUP BY price) b", "GROUP BY in a correlated"),
    ("SELECT k FROM small, LATERAL (SELECT price FROM bid WHERE auction = k) AS b(x, y)", "'b' names 2 columns"),
    (
        "SELECT (SELECT price FROM bid WHERE auction = k LIMIT 1) FROM small",
        "LIMIT in a correlated subquery that stands for a value",
    ),
    ("SELECT * FROM (SELECT * FROM bid) b FULL JOIN LATERAL TABLE(f(price)) AS t(x) ON TRUE", "FULL JOIN"),
    ("SELECT * FROM small JOIN rates FOR SYSTEM_TIME AS OF v AS r ON v = r.currency", "takes a time attribute"),
    (
        "SELECT SUM(price) OVER (ORDER BY ts, price RANGE BETWEEN INTERVAL '1' DAY PRECEDING AND CURRENT ROW) FROM bid",
        "a RANGE frame with a bound needs ORDER BY one column",
    ),
    (
        "SELECT SUM(price) OVER (ORDER BY channel RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM bid",
        "only over numbers and times",
    ),
    (
        "SELECT SUM(price) OVER (ORDER BY ts RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM bid",
        "takes an INTERVAL of days to seconds",
    ),
    (
        "SELECT SUM(price) OVER (ORDER BY price ROWS BETWEEN CURRENT ROW AND 1 PRECEDING) FROM bid",
        "the frame ends before it begins",
    ),
    (
        "SELECT LISTAGG(channel) WITHIN GROUP (ORDER BY price) FROM bid",
        "WITHIN GROUP (ORDER BY price)) is not supported",
    ),
    ("SELECT /*+ STATE_TTL('x' = '1d') */ COUNT(*) FROM bid", "no table or alias of this query"),
    ("SELECT DISTINCT auction FROM bid ORDER BY price", "SELECT list only"),
    ("SELECT * FROM (VALUES ((SELECT 1)))", "a subquery in VALUES is not supported"),
    ("SELECT 1 FROM small LEFT JOIN bid ON k = (SELECT MAX(k) FROM small)", "a subquery in ON of a LEFT JOIN"),
    (
        "SELECT * FROM bid FOR SYSTEM_TIME AS OF TIMESTAMP '2024-01-01 00:00:00'",
        "FOR SYSTEM_TIME AS OF other than behind",
    ),
    ("SELECT (SELECT MAX(price) FROM bid WHERE auction = k HAVING COUNT(*) > 1) FROM small", "HAVING in a correlated"),
    ("SELECT k FROM small WHERE k IN (SELECT price FROM bid WHERE auction = k LIMIT 1)", "LIMIT in a correlated"),
    (
        "SELECT k FROM small WHERE k IN (SELECT MAX(price) FROM bid WHERE auction = k)",
        "may be compared: x = (SELECT MAX",
    ),
    (
        "SELECT v FROM small s WHERE EXISTS (SELECT 1 FROM UNNEST(ARRAY[s.k]) AS u(x) WHERE x = s.k)",
        "a table function of columns of the query around",
    ),
    (
        "SELECT k FROM small s WHERE EXISTS (SELECT 1 FROM bid b WHERE EXISTS (SELECT 1 FROM item WHERE kind = s.k))",
        "s.k, a column of a query two levels around the subquery",
    ),
    (
        "SELECT COUNT(*), (SELECT MAX(price) FROM bid WHERE auction = k) FROM small GROUP BY v",
        "'k' must stand in GROUP",
    ),
    ("SELECT CAST(ts AS BOOLEAN) FROM bid", "BOOLEAN"),
    ("SELECT COUNTT(*) FROM bid", "there is no function COUNTT. Did you mean 'COUNT'?"),
    ("SELECT SUMM(price) FROM bid", "there is no function SUMM. Did you mean 'SUM'?"),
    ("SELECT LOWER(*) FROM bid", "LOWER takes no *"),
    ("SELECT price FROM bid JOIN dear USING (autcion)", "'autcion' on each side. Did you mean 'auction'?"),
    ("SELECT SUM(price) OVER wa FROM bid WINDOW w AS (ORDER BY ts)", "there is no window 'wa'. Did you mean 'w'?"),
    ("SELECT GROUPING(k) FROM small", "GROUPING needs GROUP BY"),
    ("SELECT TUMBLE_START(ts, INTERVAL '1' SECOND) FROM bid", "needs GROUP BY TUMBLE(...)"),
    ("SELECT * FROM TABLE(TUMBLE((SELECT * FROM bid), DESCRIPTOR(ts), INTERVAL '1' SECOND))", "TABLE (SELECT ...)"),
    (r"SELECT U&'\00g4'", "stand four hexadecimal digits, or + and six"),
    (r"SELECT U&'\dead'", "is no character of Unicode"),
    ("SELECT U&'a' UESCAPE 'a'", "UESCAPE takes one character"),
    ("SELECT CURRENT_DATABASE(1)", "no function CURRENT_DATABASE"),
    ("SELECT INTERVAL 'x' DAY", "INTERVAL 'x' DAY is no interval"),
    ("SELECT INTERVAL '9999999999' DAY", "INTERVAL '9999999999' DAY is no interval"),
    ("SELECT INTERVAL '9999999999' YEAR", "INTERVAL '9999999999' YEAR is no interval"),
]


@pytest.mark.parametrize(("sql", "message"), REFUSED, ids=[sql[:60] for sql, _ in REFUSED])
def test_refused(sql: str, message: str, plan: Callable[..., PlannedJob]) -> None:
    with pytest.raises(JobGraphError) as caught:
        plan(sql)
    assert message in str(caught.value)
