-- DISTINCT in aggregates, of the same and of other columns.
-- tables: bids
-- duckdb: same
SELECT channel, COUNT(DISTINCT auction) AS a, COUNT(DISTINCT bidder) AS b, SUM(DISTINCT price) AS s, COUNT(*) AS n
FROM bids GROUP BY channel
