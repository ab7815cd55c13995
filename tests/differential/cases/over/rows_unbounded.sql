-- A running sum by rows.
-- tables: bids
-- duckdb:
--| SELECT seq, SUM(price) OVER (PARTITION BY bidder ORDER BY ts, seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
--| FROM bids WHERE seq % 3 = 0
SELECT seq, SUM(price) OVER (PARTITION BY bidder ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s
FROM (SELECT * FROM bids WHERE MOD(seq, 3) = 0)
