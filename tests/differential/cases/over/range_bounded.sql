-- The last ten seconds.
-- tables: bids
-- duckdb: same
SELECT seq, COUNT(*) OVER w AS n, SUM(price) OVER w AS s, MAX(price) OVER w AS hi FROM bids
WINDOW w AS (PARTITION BY auction ORDER BY ts RANGE BETWEEN INTERVAL '10' SECOND PRECEDING AND CURRENT ROW)
