-- HAVING on an aggregate that is not selected.
-- tables: bids
-- duckdb: same
SELECT auction, COUNT(*) AS n FROM bids GROUP BY auction HAVING SUM(price) > 5000 AND COUNT(*) > 3
