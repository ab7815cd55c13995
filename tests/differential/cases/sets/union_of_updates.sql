-- UNION ALL of changing rows, aggregated.
-- tables: bids
-- duckdb: same
SELECT SUM(n) AS n, COUNT(*) AS c FROM (
  SELECT auction AS k, COUNT(*) AS n FROM bids GROUP BY auction UNION ALL
  SELECT bidder, COUNT(*) FROM bids GROUP BY bidder)
