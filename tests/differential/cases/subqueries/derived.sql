-- Tables derived from derived tables.
-- tables: bids
-- duckdb: same
SELECT level, COUNT(*) AS n FROM (
  SELECT CASE WHEN price > 500 THEN 'high' ELSE 'low' END AS level FROM (SELECT price FROM bids WHERE price IS NOT NULL))
GROUP BY level
