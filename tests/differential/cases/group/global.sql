-- Without GROUP BY there is one row.
-- tables: bids
-- duckdb: same
SELECT COUNT(*) AS n, SUM(price) AS s, MIN(channel) AS c FROM bids
