-- DISTINCT over rows that are retracted.
-- tables: bids
-- duckdb: same
SELECT COUNT(DISTINCT n) AS d, SUM(DISTINCT n) AS s FROM (SELECT bidder, COUNT(*) AS n FROM bids GROUP BY bidder)
