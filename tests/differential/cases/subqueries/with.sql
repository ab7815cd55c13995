-- WITH, used twice.
-- tables: bids
-- duckdb: same
WITH sums AS (SELECT auction, SUM(price) AS s FROM bids GROUP BY auction), big AS (SELECT * FROM sums WHERE s > 3000)
SELECT a.auction, a.s, b.s AS other FROM sums AS a JOIN big AS b ON a.auction = b.auction
