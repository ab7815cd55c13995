-- A running aggregate by range: rows of one time see each other.
-- tables: bids
-- duckdb: same
SELECT seq, COUNT(*) OVER w AS n, SUM(price) OVER w AS s, MIN(price) OVER w AS lo, MAX(price) OVER w AS hi FROM bids
WINDOW w AS (PARTITION BY channel ORDER BY ts RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
