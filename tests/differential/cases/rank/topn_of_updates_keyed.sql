-- The same by a key, without the place.
-- tables: bids
-- duckdb: same
SELECT channel, auction, c FROM (
  SELECT *, ROW_NUMBER() OVER (PARTITION BY channel ORDER BY c DESC, auction) AS n FROM (
    SELECT channel, auction, COUNT(*) AS c FROM bids WHERE auction IS NOT NULL GROUP BY channel, auction))
WHERE n <= 2
