-- The plain aggregates with NULLs.
-- tables: bids
-- duckdb: same
SELECT auction, COUNT(*) AS n, COUNT(price) AS c, SUM(price) AS s, MIN(price) AS lo, MAX(price) AS hi FROM bids
GROUP BY auction
