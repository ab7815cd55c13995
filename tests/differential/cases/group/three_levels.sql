-- Retractions through three levels, with MIN and MAX.
-- tables: bids
-- duckdb: same
SELECT m, COUNT(*) AS n FROM (
  SELECT c, MAX(s) AS m, MIN(n) AS l FROM (
    SELECT auction, COUNT(DISTINCT channel) AS c, SUM(price) AS s, COUNT(*) AS n FROM bids GROUP BY auction)
  GROUP BY c)
GROUP BY m
