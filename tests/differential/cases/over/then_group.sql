-- A group aggregate over a running one.
-- tables: bids
-- duckdb: same
SELECT n, COUNT(*) AS c FROM (SELECT COUNT(*) OVER (PARTITION BY channel ORDER BY ts) AS n FROM bids) GROUP BY n
