-- The best of sums that change.
-- tables: bids
-- duckdb: same
SELECT auction, total, n FROM (
  SELECT *, ROW_NUMBER() OVER (ORDER BY total DESC, auction) AS n FROM (
    SELECT auction, SUM(price) AS total FROM bids WHERE auction IS NOT NULL AND price IS NOT NULL GROUP BY auction))
WHERE n <= 5
