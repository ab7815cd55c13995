-- The first of sums that change.
-- tables: bids
-- duckdb: same
SELECT auction, n FROM (SELECT auction, COUNT(*) AS n FROM bids WHERE auction IS NOT NULL GROUP BY auction)
ORDER BY n DESC, auction LIMIT 4
