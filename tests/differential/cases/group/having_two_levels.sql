-- A row that leaves by HAVING is retracted above.
-- tables: bids
-- duckdb: same
SELECT COUNT(*) AS groups, SUM(n) AS total, MIN(s) AS least
FROM (SELECT auction, COUNT(*) AS n, SUM(price) AS s FROM bids GROUP BY auction HAVING COUNT(*) < 20)
