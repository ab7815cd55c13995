-- Aggregates by LATERAL have a row also where nothing correlates.
-- tables: auctions, bids
-- duckdb: same
SELECT a.id, n, most, n + 1 AS more, share FROM auctions AS a,
  LATERAL (SELECT COUNT(*), MAX(price), COALESCE(SUM(price), 0) FROM bids WHERE auction = a.id) AS b(n, most, share)
