-- Keys and results that are expressions.
-- tables: bids
-- duckdb:
--| SELECT bidder // 10, MAX(price) - MIN(price) + 1, SUM(price * 2) // COUNT(*) FROM bids
--| WHERE price IS NOT NULL GROUP BY bidder // 10
SELECT bidder / 10 AS tens, MAX(price) - MIN(price) + 1 AS width, SUM(price * 2) / COUNT(*) AS x FROM bids
WHERE price IS NOT NULL GROUP BY bidder / 10
