-- Retractions through two levels of aggregation.
-- tables: bids
-- duckdb: same
SELECT n, COUNT(*) AS auctions, SUM(total) AS total, MAX(total) AS most
FROM (SELECT auction, COUNT(*) AS n, SUM(price) AS total FROM bids GROUP BY auction)
GROUP BY n
