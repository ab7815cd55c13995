-- FILTER on each aggregate.
-- tables: bids
-- duckdb: same
SELECT auction, COUNT(*) FILTER (WHERE price > 100) AS a, SUM(price) FILTER (WHERE channel = 'web') AS b,
  COUNT(DISTINCT bidder) FILTER (WHERE price < 100) AS c FROM bids GROUP BY auction
